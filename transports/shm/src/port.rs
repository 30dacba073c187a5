//! Receiving from all ranks of the node, and sleeping until one sends.

use core::mem::transmute;
use core::ptr::NonNull;
use core::time::Duration;
use std::sync::Arc;

use ferrite_fabric::{Header, LinkDown, Port, RawBuf, Sink};
use ferrite_ring::{Inbox, Receive};

use crate::attach::Node;

/// The receiving side of an attachment.
#[derive(Debug)]
pub struct ShmPort {
    // Before `node`, into whose segment it points.
    inbox: Inbox,
    node: Arc<Node>,
}

impl ShmPort {
    pub(crate) fn new(node: Arc<Node>) -> ShmPort {
        let rings = (0..node.local.len()).map(|sender| Some(node.segment.ring_from(sender)));
        let bell = NonNull::from(node.segment.bell(node.own));
        // SAFETY: bell and rings live in the segment, which `node` keeps; there is one port for an
        // attachment.
        let inbox = unsafe { Inbox::new(bell, rings, node.fenced) };
        ShmPort { inbox, node }
    }

    /// [`Port::poll`] for a sink whose type is known.
    #[inline]
    pub fn poll_into<S: Sink + ?Sized>(&mut self, sink: &mut S) -> usize {
        self.inbox.poll(&mut Deliver {
            sink,
            local: &self.node.local,
        })
    }
}

impl Port for ShmPort {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        self.poll_into(sink)
    }

    fn prepare_sleep(&mut self) -> bool {
        self.inbox.prepare_sleep()
    }

    fn awake(&mut self) {
        self.inbox.awake();
    }
}

struct Deliver<'a, S: ?Sized> {
    sink: &'a mut S,
    local: &'a [u32],
}

impl<S: Sink + ?Sized> Receive for Deliver<'_, S> {
    #[inline(always)]
    fn frame(&mut self, from: u32, head: [u64; 3], body: *const u8, len: usize) {
        // SAFETY: 24 bytes without padding, and every content is a header.
        let header = unsafe { transmute::<[u64; 3], Header>(head) };
        self.sink.frame(
            self.local[from as usize],
            &header,
            RawBuf { ptr: body, len },
        );
    }

    #[cold]
    fn broken(&mut self, from: u32) {
        let rank = self.local[from as usize];
        let reason = format!(
            "rank {rank} on this node has written nonsense into shared memory: a frame that lies \
             outside its ring"
        );
        self.sink.down(rank, LinkDown { reason });
    }
}

/// Puts this process to sleep, and wakes it. Needs no lock: one thread may sleep while others use
/// the port.
///
/// To sleep: [`Port::prepare_sleep`]; if it returns `true`, [`Sleeper::wait`], then
/// [`Port::awake`]. One thread at a time. A frame that another thread of this process takes from
/// the port meanwhile does not wake the one that sleeps.
#[derive(Clone, Debug)]
pub struct Sleeper {
    node: Arc<Node>,
}

impl Sleeper {
    pub(crate) fn new(node: Arc<Node>) -> Sleeper {
        Sleeper { node }
    }

    /// Sleeps until a frame arrives, [`Sleeper::wake`] is called, a signal arrives, or `timeout` is
    /// over; returns at once if one of them was since `prepare_sleep`. May return for no reason.
    pub fn wait(&self, timeout: Option<Duration>) {
        /// A frame can be this late where there are no asymmetric fences.
        const UNFENCED: Duration = Duration::from_millis(1);
        let timeout = match timeout {
            _ if self.node.fenced => timeout,
            Some(timeout) => Some(timeout.min(UNFENCED)),
            None => Some(UNFENCED),
        };
        self.node.segment.bell(self.node.own).wait(timeout);
    }

    /// Ends the sleep that a `prepare_sleep` began, now or in future. Does nothing when there is
    /// none.
    pub fn wake(&self) {
        self.node.segment.bell(self.node.own).wake();
    }
}
