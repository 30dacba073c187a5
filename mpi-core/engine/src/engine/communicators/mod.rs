//! Communicators and groups as objects: members, contexts, boards, names, and the log of their
//! collective calls (MPI 5.0, chapter 7). How they are made and freed stands in
//! [`super::constructors`].

mod bsend_buffers;
mod call_log;
mod collective_state;
mod communicator;
mod groups;
mod session;

pub(in crate::engine) use bsend_buffers::Attached;
pub(crate) use bsend_buffers::SharedBuffers;
pub use bsend_buffers::{BSEND_OVERHEAD, BUFFER_AUTOMATIC};
pub(in crate::engine) use call_log::{Arguments, Calls, Rounds, Stage};
pub(in crate::engine) use communicator::Contexts;
pub(in crate::engine) use communicator::Inter;
pub(in crate::engine) use communicator::check_intra;
pub use communicator::{CommData, Comparison, MAX_NAME};
pub use session::{PSETS, SessionData, ThreadLevel};
pub(in crate::engine) use session::{Pset, pset_named};

use std::sync::Arc;

use crate::group::Group;
use crate::handle::{Comm, HandleKind};
use crate::slab::Slab;

/// Communicators, groups and sessions, by handle.
pub(in crate::engine) struct Communicators {
    world: Arc<CommData>,
    itself: Arc<CommData>,
    /// All but the predefined ones.
    table: Slab<Arc<CommData>>,
    groups: Slab<Group>,
    sessions: Slab<SessionData>,
    contexts: Contexts,
}

impl Communicators {
    /// Those that every process has. `own` is this process, and `salt` a number that all processes
    /// of a job share.
    pub(in crate::engine) fn new(world: Group, alone: Group, own: u32, salt: u32) -> Communicators {
        let predefined = |context, members, handle, name| {
            let made = CommData::new(context, own, members, name);
            made.set_handle(handle);
            Arc::new(made)
        };
        Communicators {
            world: predefined(Contexts::WORLD, world, Comm::WORLD, "MPI_COMM_WORLD"),
            itself: predefined(Contexts::OWN, alone, Comm::SELF, "MPI_COMM_SELF"),
            table: Slab::new(HandleKind::Comm),
            groups: Slab::new(HandleKind::Group),
            sessions: Slab::new(HandleKind::Session),
            contexts: Contexts::new(salt, own),
        }
    }

    /// `MPI_COMM_WORLD`
    pub(in crate::engine) fn world(&self) -> &Arc<CommData> {
        &self.world
    }

    /// `MPI_COMM_SELF`
    pub(in crate::engine) fn itself(&self) -> &Arc<CommData> {
        &self.itself
    }

    /// The others, by handle.
    pub(in crate::engine) fn table(&self) -> &Slab<Arc<CommData>> {
        &self.table
    }

    pub(in crate::engine) fn sessions(&self) -> &Slab<SessionData> {
        &self.sessions
    }

    /// What composes the contexts of new communicators.
    pub(in crate::engine) fn contexts(&self) -> &Contexts {
        &self.contexts
    }
}
