//! The simulator: a network within one process that does on purpose whatever the contract allows,
//! as a seed says.
//!
//! Frames take their time, other pairs' overtake them, long bodies come in pieces, what was lent is
//! returned early or late, links are full for no reason, keep frames back until they are flushed,
//! lose a capability, or die. A run is a pure function of its seed:
//!
//! - Every process is a thread that has entered ([`Sim::enter`]), and one of them runs at a time.
//!   It hands on only where it asks the network for news (`poll`, `sleep`, `close`); the seed says
//!   to whom.
//! - Time is virtual. It goes on by a little with every poll, and leaps when nobody has anything to
//!   do before.
//! - When nobody ever will, that is a deadlock: every process panics with a report instead of
//!   waiting.
//! - Memory that is lent is read as late as may be, so that whoever touches it too early is found
//!   out.
//!
//! Without anybody entered (*at large*), any threads may use it, as the conformance suite does:
//! then it is a network like others, and time leaps to whatever the polling process waits for.
//!
//! [`Sim::trace`] is a hash of all that has happened; two runs of a seed have the same. To see what
//! happened, replay a seed with [`Config::tell`].

mod access;
mod config;
mod flight;
mod loss;
mod network;
mod schedule;
mod seeds;
mod state;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;

use crate::place::place;
pub use config::Config;
use ferrite_fabric::Network;
use schedule::{Phase, Simulation};
pub use seeds::{REPLAY, Seeds};

/// A simulated network.
#[derive(Clone)]
pub struct Sim(Arc<Simulation>);

impl Sim {
    /// A network of `processes`, in which everything goes as `seed` says.
    pub fn new(seed: u64, processes: u32, config: Config) -> Sim {
        Sim(Arc::new(Simulation::new(seed, processes, config)))
    }

    /// A process's place in it. Once for each. When its port is dropped, the process is no more;
    /// its peers hear of that unless it took leave with [`Network::close`].
    pub fn network(&self, rank: u32) -> Arc<dyn Network> {
        place(self.0.clone(), rank as usize)
    }

    /// Enters the run as process `rank`: from now on this thread runs when it is its turn. Returns
    /// when it is for the first time, after all have entered.
    pub fn enter(&self, rank: u32) -> Turn {
        self.0.enter(rank as usize);
        Turn {
            simulation: self.0.clone(),
            rank,
        }
    }

    /// Lets a process, whose turn it is, do something else for so many virtual nanoseconds, in
    /// which the others go on.
    pub fn compute(&self, rank: u32, nanoseconds: u64) {
        let state = self.0.lock();
        let until = state.now + nanoseconds;
        drop(
            self.0
                .pass(state, rank as usize, Phase::Computing { until }),
        );
    }

    /// Ends the run for everybody: all other processes panic with `why`.
    pub fn fail(&self, why: &str) {
        self.0.fail(why);
    }

    /// Whether the run was ended by [`Sim::fail`] or a deadlock, and why.
    pub fn failure(&self) -> Option<String> {
        self.0.lock().failure.clone()
    }

    /// A hash of everything that has happened so far.
    pub fn trace(&self) -> u64 {
        self.0.lock().trace.hash()
    }

    /// Frames accepted so far.
    pub fn frames(&self) -> u64 {
        self.0.lock().accepted
    }
}

/// A process's part in a run; when it is dropped the process has left, and the next one goes on.
pub struct Turn {
    simulation: Arc<Simulation>,
    rank: u32,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.simulation.end_turns(self.rank as usize);
    }
}
