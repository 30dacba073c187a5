//! What a process must be told before it can send its first message, and the way back to whoever started it.

use std::os::fd::OwnedFd;

/// The job as its launcher describes it.
#[derive(Debug)]
pub struct Job {
    /// 128 random bits that name the job.
    pub id: [u8; 16],
    /// This process's rank in the job.
    pub rank: u32,
    /// Processes in the job.
    pub size: u32,
    /// The ranks on this node in ascending order, this process's own among them.
    pub local: Vec<u32>,
    /// Processors that the ranks of this node share (affinity and cgroup quota taken into account); at least 1.
    pub cpus: u32,
    /// Application number: which of the programs separated by `:` this is.
    pub appnum: u32,
    /// Process id of the launcher on this node, whose descendants the ranks are; 0 when started alone.
    pub launcher: u32,
    /// An empty memory file, the same one for all of `local`; `None` when started alone.
    pub segment: Option<OwnedFd>,
}

/// The way back to the launcher.
pub trait Bootstrap: Send + Sync {
    /// This process has called finalize: its exit is no longer a failure.
    fn finalized(&self);

    /// Asks the launcher to end the job with this exit code, and ends this process.
    fn abort(&self, code: i32, message: &str) -> !;
}
