//! One suite that every transport must pass.
//!
//! [`run`] puts a transport through all of it within one process. [`storm`] alone is one process's
//! part in random traffic among any number of them, for transports that can be tested between real
//! processes too. [`loss`] is for networks, which must tell when a peer is gone. All take a seed; a
//! failure prints it.
//!
//! The suite plays the engine: it lends bodies and places to land as the engine does, spoils a body
//! as soon as it is its own again, and knows of nothing that the contract does not say. So no test
//! counts on time: what is to happen is waited for, with a deadline that only a hang meets.

mod frames;
mod loss;
mod operations;
mod process;
mod random;
mod rma;
mod storm;

use core::ops::AddAssign;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, mpsc};

use ferrite_fabric::{Link, Network, Port};
pub use loss::loss;
pub use random::Random;
pub use storm::storm;

/// One process's end of a transport.
pub struct Endpoint {
    /// The process's index, which frames that it sends carry as `peer`.
    pub rank: u32,
    /// Its receiving side.
    pub port: Box<dyn Port>,
    /// Its links by peer, one to itself included.
    pub links: Vec<Box<dyn Link>>,
    /// Whether the link to itself can be used; no engine does.
    pub reflexive: bool,
    /// Sleeps after a `prepare_sleep` that returned `true`; at most this long.
    pub sleep: Box<dyn Fn(Duration) + Send>,
    /// Lets what was sent arrive, once nothing will be sent any more.
    pub close: Box<dyn Fn() + Send>,
}

impl Endpoint {
    /// The end of a process in a network of `size`.
    pub fn of(network: Arc<dyn Network>, rank: u32, size: u32) -> Endpoint {
        let closing = network.clone();
        Endpoint {
            rank,
            port: network.port(),
            links: (0..size).map(|peer| network.link(peer)).collect(),
            reflexive: false,
            sleep: Box::new(move |timeout| network.sleep(Some(timeout))),
            close: Box::new(move || closing.close()),
        }
    }
}

/// What of the contract a transport has made use of. It is its right not to, but a test of a
/// transport says what it expects, so that nothing goes untested in silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Bodies that stayed lent until they were completed.
    pub lent: usize,
    /// Bodies that landed where the receiver said.
    pub placed: usize,
    /// Operations on a peer's memory that were done at once.
    pub direct: usize,
    /// Operations on a peer's memory that were completed later.
    pub direct_later: usize,
    /// Registrations.
    pub registered: usize,
    /// Memory that was not registered for want of room.
    pub refused: usize,
    /// Operations that were refused for want of room.
    pub full: usize,
    /// Operations that failed as they should.
    pub denied: usize,
    /// Writes that were waited for.
    pub flushed: usize,
    /// Atomic operations.
    pub atomics: usize,
    /// Two acts one right after the other whose order was promised.
    pub ordered: usize,
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Coverage) {
        self.lent += other.lent;
        self.placed += other.placed;
        self.direct += other.direct;
        self.direct_later += other.direct_later;
        self.registered += other.registered;
        self.refused += other.refused;
        self.full += other.full;
        self.denied += other.denied;
        self.flushed += other.flushed;
        self.atomics += other.atomics;
        self.ordered += other.ordered;
    }
}

/// Runs the suite. `make(n)` makes a fresh network of `n` processes.
pub fn run(seed: u64, make: impl Fn(u32) -> Vec<Endpoint>) -> Coverage {
    println!("seed {seed:#x}");
    let mut coverage = Coverage::default();
    coverage += frames::every_length_arrives(seed, make(2));
    coverage += frames::full_means_nothing_was_sent(seed, make(2));
    coverage += frames::order_holds_between_interleaved_peers(seed, make(4));
    coverage += frames::what_was_flushed_needs_its_sender_no_more(seed, make(2));
    frames::one_sender_cannot_starve_another(make(3));
    coverage += rma::run(seed, &make);
    frames::a_frame_ends_sleep(make(2));
    let (tell, told) = mpsc::channel();
    for endpoint in make(3) {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let stormy = AssertUnwindSafe(|| storm(endpoint, seed, 2_000));
            // Nobody listens any more when another one has failed.
            let _ = tell.send(catch_unwind(stormy));
        });
    }
    drop(tell);
    // The first one that fails ends it: the others may wait for it for ever.
    for ended in told {
        match ended {
            Ok(covered) => coverage += covered,
            Err(panic) => resume_unwind(panic),
        }
    }
    coverage
}
