//! The calls of point-to-point communication (MPI 5.0, chapters 3 and 4).

mod buffered;
mod cancel;
mod partitioned;
mod probe;
mod receive;
mod returnable;
mod send;
mod sendrecv;

pub(in crate::engine) use receive::checked_receive_body;
pub(in crate::engine) use send::outbound_of;

use crate::engine::communicators::SharedBuffers;
use crate::engine::requests::RequestRef;
use crate::handle::HandleKind;
use crate::slab::Slab;
use crate::sync::{Class, ClassLock};

/// What point-to-point calls leave behind when they return.
pub(in crate::engine) struct PointToPoint {
    /// The buffer of the process, for messages of buffered mode.
    buffers: SharedBuffers,
    /// Requests that wait for buffered messages to leave.
    flushes: ClassLock<Vec<buffered::Flush>>,
    /// Partitioned receives that wait for their announcement.
    announced: ClassLock<Vec<RequestRef>>,
    /// Matched messages, which `MPI_Mprobe` has taken out of matching.
    messages: Slab<probe::MessageData>,
}

impl PointToPoint {
    pub(in crate::engine) fn new() -> PointToPoint {
        PointToPoint {
            buffers: SharedBuffers::new(),
            flushes: ClassLock::new(Class::Leaf, Vec::new()),
            announced: ClassLock::new(Class::Leaf, Vec::new()),
            messages: Slab::new(HandleKind::Message),
        }
    }
}
