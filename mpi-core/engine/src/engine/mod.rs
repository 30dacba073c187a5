//! The engine: one process's share of a job.
//!
//! It owns the communicators, requests and matched messages, matches what arrives with what is posted, runs the protocols and
//! drives the transports. Everything here is above transports (it sees links and ports) and below ABIs (it sees its own
//! handles and returns `Result`s). System calls are in [`crate::sys`].

mod collectives;
mod communicators;
mod completion;
mod constructors;
mod life;
mod matching;
mod point_to_point;
mod progress;
mod protocol;
mod requests;
#[cfg(test)]
mod tests;
mod tuning;

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::ThreadId;

use ferrite_fabric::{Bootstrap, Job, Network};
use ferrite_shm::{Attachment, ShmLink};

pub use communicators::{CommData, Comparison, MAX_NAME};
pub use completion::{Any, RequestArray};
pub use constructors::Edge;
pub(crate) use constructors::check_intra;
pub use constructors::{RESOURCE_KEY, SplitType};
pub use life::ThreadLevel;
pub(crate) use life::made_engine;
pub use life::{Discovered, engine, is_finalized, is_initialized, loaded_from};
pub(crate) use point_to_point::SharedBuffers;
pub use point_to_point::{BSEND_OVERHEAD, BUFFER_AUTOMATIC};
pub use requests::Generalized;
pub use requests::{Mode, SENT};

use crate::settings::Settings;
use crate::slab::Slab;
use crate::sync::ClassLock;
use crate::tools::Event;
use crate::{Error, ErrorClass, Result};
pub use life::{PSETS, SessionData, session_action};
use matching::Matcher;
use point_to_point::MessageData;
use protocol::Kept;
use protocol::Peer;
use requests::{RequestData, RequestRef};

/// Contexts are spread over this many lanes, each with a lock of its own. A power of two.
const LANES: usize = 16;

type Lane = Matcher<RequestRef, Kept>;

/// One process's share of a job.
pub struct Engine {
    pub(crate) job: Job,
    bootstrap: Arc<dyn Bootstrap>,
    /// The settings this engine runs with.
    pub settings: Settings,
    level: ClassLock<ThreadLevel>,
    main_thread: ThreadId,
    world: Arc<CommData>,
    own: Arc<CommData>,
    comms: Slab<Arc<CommData>>,
    /// Communicators that were freed while something was under way in them.
    freed: ClassLock<Vec<Arc<CommData>>>,
    /// Communicators that have a name and are still to be made, with an error handler that they shall have then.
    unborn: ClassLock<Vec<(crate::Comm, Option<crate::errhandler::Attached>)>>,
    /// Groups alive, by handle.
    pub(crate) groups: Slab<crate::group::Group>,
    requests: Slab<RequestData>,
    messages: Slab<MessageData>,
    sessions: Slab<SessionData>,
    contexts: communicators::Contexts,
    lanes: [ClassLock<Lane>; LANES],
    peers: Box<[AtomicPtr<Peer>]>,
    making_peer: ClassLock<()>,
    shm: Option<Attachment>,
    net: Option<Arc<dyn Network>>,
    port: ClassLock<progress::Ports>,
    /// Processes with frames that wait for room.
    backlog: ClassLock<Vec<u32>>,
    has_backlog: AtomicBool,
    /// Receivers that want help with long messages of ours.
    helps: ClassLock<VecDeque<protocol::Help>>,
    has_helps: AtomicBool,
    /// Collective operations that nobody waits for in particular.
    under_way: collectives::UnderWay,
    /// The collective calls made on each communicator.
    all_calls: progress::AllCalls,
    /// `Call` frames that have come, and how often this process has asked. Relaxed everywhere: nothing else depends on them.
    talk: AtomicU32,
    asked: AtomicU32,
    waiting: progress::Waiting,
    left: progress::Left,
    tuning: tuning::Tuning,
    assistant: progress::Assistant,
    buffers: point_to_point::SharedBuffers,
    /// Requests that wait for buffered messages to leave.
    flushes: ClassLock<Vec<point_to_point::Flush>>,
    /// Partitioned receives that wait for their announcement.
    announced: ClassLock<Vec<RequestRef>>,
    /// How many there are of both, of events that wait for tools, and of connections that have ended. Advice, not synchronisation:
    /// relaxed everywhere.
    chores: AtomicU32,
    /// Scratch memory of collective operations, while none uses it.
    scratch: ClassLock<crate::collective::Scratch>,
}

impl Engine {
    #[inline]
    fn lane(&self, context: u64) -> &ClassLock<Lane> {
        // The lowest bit tells collectives from point-to-point: both of one communicator share a lane.
        &self.lanes[(context >> 1) as usize & (LANES - 1)]
    }

    /// The sending side of a process. Made when first asked for.
    #[inline]
    fn peer(&self, process: u32) -> &Peer {
        // Pairs with the release in `make_peer`.
        let peer = self.peers[process as usize].load(Ordering::Acquire);
        if peer.is_null() {
            return self.make_peer(process);
        }
        // SAFETY: published peers live as long as the engine.
        unsafe { &*peer }
    }

    #[cold]
    fn make_peer(&self, process: u32) -> &Peer {
        let place = &self.peers[process as usize];
        // A link can be had once, so one thread makes it.
        let _making = self.making_peer.lock();
        // Relaxed: the lock's last holder has made what is there.
        let mut peer = place.load(Ordering::Relaxed);
        if peer.is_null() {
            let path = if process == self.job.rank {
                protocol::Path::Own
            } else if let Some(link) = self.link_in_memory(process) {
                protocol::Path::Shm(link)
            } else {
                let net = self.net.as_ref();
                let net = net.expect("ranks that share no segment have a network: see `make`");
                protocol::Path::Net(net.link(process))
            };
            let eager = self.tuning.eager_limit(&path);
            peer = Box::into_raw(Box::new(Peer::new(process, path, eager)));
            // Pairs with the acquire in `peer`.
            place.store(peer, Ordering::Release);
            self.raise(Event::PeerOpened {
                process,
                // SAFETY: published just now.
                is_remote: unsafe { &*peer }.is_remote,
            });
        }
        // SAFETY: published peers live as long as the engine.
        unsafe { &*peer }
    }

    /// The link to a process of this node. Where it cannot be had, the job ends: that process expects frames nowhere else.
    fn link_in_memory(&self, process: u32) -> Option<ShmLink> {
        let link = self.shm.as_ref()?.link(process);
        link.unwrap_or_else(|error| {
            let sentence = format!("rank {} to rank {process}: {error}", self.job.rank);
            self.abort(1, &sentence)
        })
    }

    /// Puts a request of a communicator in the slab. No lock is held.
    #[inline(always)]
    fn add_request(
        &self,
        comm: &CommData,
        body: impl FnOnce() -> requests::Body,
    ) -> Result<RequestRef> {
        let make = |handle| RequestData::new(crate::Request(handle), comm, body());
        match self.requests.insert_with(make) {
            Ok(data) => Ok(RequestRef::new(data)),
            Err(make) => {
                self.make_room();
                let made = self.requests.insert_with(make);
                made.map(RequestRef::new).map_err(|_| too_many_requests())
            }
        }
    }

    /// Lets go of what has ended and nobody waits for: a request that was freed, or a buffered message.
    #[cold]
    fn make_room(&self) {
        while self.hear() {}
        self.reap_all_buffered();
    }

    /// Takes a request out of the slab that is done, or that nobody else has learnt of.
    #[cold]
    fn remove_request(&self, request: RequestRef) {
        // SAFETY: done, or known to nobody else, so the body is the caller's.
        let body = unsafe { request.body() };
        // What is in these may be the last that refers to something, and is dropped while the slab is not locked.
        let rest = (body.extra.take(), body.error.take());
        self.requests.discard(request.handle().0);
        drop(rest);
    }
}

#[cold]
fn too_many_requests() -> Error {
    Error::new(
        ErrorClass::NO_MEM,
        "4,194,047 requests are outstanding, the most there can be: wait for some of them",
    )
}
