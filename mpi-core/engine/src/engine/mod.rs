//! The engine: one process's share of a job.
//!
//! It owns the communicators, requests and matched messages, matches what arrives with what is
//! posted, runs the protocols and drives the transports. Everything here is above transports (it
//! sees links and ports) and below ABIs (it sees its own handles and returns `Result`s). System
//! calls are in [`crate::sys`].

mod collectives;
mod communicators;
mod completion;
mod constructors;
mod events;
mod life;
mod matching;
mod persistent;
mod point_to_point;
mod progress;
mod protocol;
mod requests;
#[cfg(test)]
mod tests;
mod tuning;

use std::sync::Arc;

use ferrite_fabric::{Bootstrap, Job};

pub use collectives::{Types, Vectors, Waits, check_reduce_local};
pub(crate) use communicators::SharedBuffers;
pub use communicators::{
    BSEND_OVERHEAD, BUFFER_AUTOMATIC, CommData, Comparison, MAX_NAME, PSETS, SessionData,
    ThreadLevel,
};
pub use completion::{Any, RequestArray};
pub use constructors::{Edge, RESOURCE_KEY, SplitType};
pub(crate) use life::made_engine;
pub use life::{Discovered, engine, is_finalized, is_initialized, loaded_from, session_action};
pub(crate) use protocol::{frame_seeds, fuzz_frame};
pub use requests::{Generalized, Mode, SENT};

use crate::settings::Settings;
use crate::slab::Slab;
use requests::RequestData;

/// One process's share of a job: a handful of subsystems, each of which keeps its state to itself.
pub struct Engine {
    pub(crate) job: Job,
    bootstrap: Arc<dyn Bootstrap>,
    /// The settings this engine runs with.
    pub settings: Settings,
    threading: life::Threading,
    comms: communicators::Communicators,
    requests: Slab<RequestData>,
    lanes: protocol::Lanes,
    peers: protocol::Peers,
    transports: protocol::Transports,
    protocol_limits: protocol::ProtocolLimits,
    chores: events::Chores,
    progress: progress::Progress,
    point_to_point: point_to_point::PointToPoint,
    collectives: collectives::Collectives,
    constructors: constructors::Constructors,
}

/// What all groups ask of the job.
impl Engine {
    /// `MPI_Abort`: ends the job.
    pub fn abort(&self, code: i32, message: &str) -> ! {
        self.bootstrap.abort(code, message)
    }

    /// This process's rank in the job.
    pub fn job_rank(&self) -> u32 {
        self.job.rank
    }

    /// The number of the program among those that the launcher was given (`MPI_APPNUM`).
    pub fn appnum(&self) -> u32 {
        self.job.appnum
    }

    /// Processes in the job (`MPI_UNIVERSE_SIZE`).
    pub fn job_size(&self) -> u32 {
        self.job.size
    }

    /// Lets go of what has ended and nobody waits for: a request that was freed, or a buffered
    /// message.
    #[cold]
    fn make_room(&self) {
        while self.hear() {}
        self.reap_all_buffered();
    }
}
