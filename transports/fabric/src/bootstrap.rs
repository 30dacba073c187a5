//! What a process must be told before it can send its first message, and the way back to whoever
//! started it.

use core::fmt;

use crate::SharedFile;

/// The job as its launcher describes it.
#[derive(Debug)]
pub struct Job {
    /// 128 random bits that name the job.
    pub id: [u8; 16],
    /// What only the job's members know; a connection proves with it that it comes from one.
    pub secret: Secret,
    /// This process's rank in the job.
    pub rank: u32,
    /// Processes in the job.
    pub size: u32,
    /// The ranks that share this process's segment in ascending order, this process's own among
    /// them. The same list for all of them: who is not in it is reached over a network, even if it
    /// runs on this node.
    pub local: Vec<u32>,
    /// Other ranks of the job on this node, whether they share the segment or not.
    pub neighbours: u32,
    /// The node of each rank, the same list for all processes; empty where it is not known, or is
    /// the same for all.
    pub nodes: Vec<u32>,
    /// Processors that the ranks of this node share (affinity and cgroup quota taken into account);
    /// at least 1.
    pub cpus: u32,
    /// Application number: which of the programs separated by `:` this is.
    pub appnum: u32,
    /// Processes that were to be started with this program; 0 where it is not known.
    pub part: u32,
    /// Process id of the launcher on this node, whose descendants the ranks are; 0 when it is not
    /// known.
    pub launcher: u32,
    /// An empty memory file, the same one for all of `local`; `None` when `local` is this process
    /// alone.
    pub segment: Option<SharedFile>,
}

/// The job's secret. It never stands in an argument list or an environment, and prints as nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Job {
    /// Whether the launcher has placed all ranks on this process's node, whatever they reach each
    /// other by.
    pub fn is_on_one_node(&self) -> bool {
        self.neighbours + 1 == self.size
    }

    /// The first of the ranks that the launcher has placed on this process's node, whatever they
    /// reach each other by.
    pub fn first_of_node(&self) -> u32 {
        if self.is_on_one_node() {
            return 0;
        }
        let own = self.nodes.get(self.rank as usize);
        let first = own.and_then(|own| self.nodes.iter().position(|node| node == own));
        match first {
            Some(first) => first as u32,
            None => self.local.first().copied().unwrap_or(self.rank),
        }
    }
}

/// A wait of a process, as it tells its launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// For how long nothing has moved, in seconds; 0 also where another thread may do what is
    /// waited for.
    pub quiet: u32,
    /// A process that it needs and that has left, as it has been told before.
    pub needs: Option<u32>,
    /// How many it had been told of while it waited.
    pub known: u32,
    /// It has nothing left to do but to wait for all others in `MPI_Finalize`.
    pub finalizing: bool,
}

/// What a process that waits is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The processes that have ended in peace, but without finalising, by rank.
    pub ranks: Vec<u32>,
    /// All others wait in `MPI_Finalize`, or are through with it.
    pub all_finalize: bool,
}

/// The longest text, in bytes, that [`Bootstrap::publish`] takes.
pub const MAX_CARD: usize = 800;

/// The way back to the launcher. May be used by several threads.
pub trait Bootstrap: Send + Sync {
    /// Tells the job how this process is reached, once, before it sends anything. `card`: printable
    /// ASCII without spaces, `;` or `=`, at most [`MAX_CARD`] bytes; may be empty. Every process of
    /// a job of several calls it (it may wait for the others).
    fn publish(&self, card: &str) -> Result<(), String>;

    /// What the process of this rank has published; `None`: nothing yet, ask again a little later.
    /// The error is a sentence.
    fn fetch(&self, rank: u32) -> Result<Option<String>, String>;

    /// Whether [`Bootstrap::waiting`] is answered.
    fn hears_of_waits(&self) -> bool {
        false
    }

    /// This process waits. Returns who has left meanwhile; `None`: the launcher cannot tell.
    fn waiting(&self, _wait: &Wait) -> Option<Left> {
        None
    }

    /// This process has called finalize: its exit is no longer a failure.
    fn finalized(&self);

    /// Asks the launcher to end the job with this exit code, and ends this process.
    fn abort(&self, code: i32, message: &str) -> !;

    /// The process of this rank can no longer be reached, for this reason. Ends this process, and
    /// the job; the launcher may know a better reason (that the rank has died, and of what), which
    /// it tells instead.
    fn lost(&self, rank: u32, reason: &str) -> !;
}
