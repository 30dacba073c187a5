//! One agent that this process has started, and where it is in its life.

use super::complaints::Complaints;
use crate::protocol::Connection;
use rustix::process::{Pid, Signal};
use std::time::{Duration, Instant};

/// An agent with its remote shell.
pub(super) struct Child {
    pub(super) node: u32,
    /// Nodes whose agents it starts.
    pub(super) below: Vec<u32>,
    pub(super) state: State,
    /// The remote shell's process.
    pub(super) pid: Option<Pid>,
    pub(super) connection: Option<Connection>,
    /// Its standard error.
    pub(super) complaints: Complaints,
    /// Why it could not be reached the last time.
    pub(super) failure: Option<String>,
    /// Whether the event loop waits for room in the connection.
    pub(super) awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The remote shell runs, the agent has not answered.
    Dialling(Attempt),
    /// Until it is dialled again.
    Resting(Attempt, Instant),
    /// The agent has answered, and has to start its ranks until then.
    Answered(Instant),
    /// It has.
    Ready,
    /// The connection is closed, and the reason may follow until then. The state before it.
    Leaving {
        until: Instant,
        dialled: Option<Attempt>,
    },
    /// Nothing is expected of it any more.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// When the first one began.
    pub(super) began: Instant,
    pub(super) rest: Duration,
    pub(super) number: u32,
}

impl Child {
    /// Kills the remote shell and what it has started.
    pub(super) fn kill(&self) {
        if let Some(pid) = self.pid {
            // It may not have made its group yet.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}
