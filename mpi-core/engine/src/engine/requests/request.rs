//! Requests: operations under way (MPI 5.0, section 3.7).
//!
//! A request's body has one owner at any time, and ownership is handed on, never shared: the caller
//! that makes it; then, for a receive, the lane while it is posted, and after matching whoever
//! matched it; for a send, the link's queues; at the end the `DONE` bit hands it back to the
//! caller. So the body needs no lock of its own.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

use ferrite_fabric::{OwnedBuf, Region, Registration};

use super::collective::Collective;
use super::generalized::Generalized;
use super::on_the_wire::SendersRequest;
use super::partitioned::Partitioned;
use super::parts::Parent;
use super::payload::Spread;
use crate::datatype::Argument;
use crate::engine::communicators::CommData;
use crate::engine::matching::{Entry, Envelope};
use crate::handle::{HandleKind, Request, compose};
use crate::status::Status;
use crate::sync::threaded;
use crate::{Error, slab};

/// The operation has finished: the body belongs to the caller again.
const DONE: u32 = 1;
/// No caller will ask for it: whoever finishes it removes it.
const ORPHAN: u32 = 2;
/// The rest of a request's state is the number of its completion, in steps of this.
const COMPLETION: u32 = 4;

/// Counts completions, in steps of [`COMPLETION`], round and round. Only compared, so relaxed
/// everywhere.
static COMPLETIONS: AtomicU32 = AtomicU32::new(0);

/// The request of a send that was complete when it returned. Waiting for it needs no look-up.
pub const SENT: Request = Request(compose(HandleKind::Request, u32::MAX, slab::NEVER));

/// How a message is sent (MPI 5.0, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Standard
    Standard,
    /// Buffered
    Buffered,
    /// Synchronous
    Synchronous,
    /// Ready
    Ready,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Send,
    Recv,
    /// Both, as parts.
    Sendrecv,
    Collective,
    /// The program's own.
    Generalized,
    /// Waits for buffered messages to leave.
    Flush,
    /// Its pieces are requests of their own.
    Partitioned,
}

/// The arguments of a persistent operation.
pub(crate) struct Template {
    pub(crate) kind: Kind,
    pub(crate) mode: Mode,
    pub(crate) buf: *mut u8,
    pub(crate) count: i64,
    /// The type, alive also after the program has freed its handle.
    pub(crate) items: Argument,
    pub(crate) rank: i32,
    pub(crate) tag: i32,
}

pub(crate) struct Body {
    pub(crate) kind: Kind,
    /// Of a persistent request: started and not yet waited for. Others: true.
    pub(crate) active: bool,
    /// The user's buffer, of a send only read; nothing where the data are spread over it.
    pub(crate) buf: *mut u8,
    /// Bytes to send, or room to receive.
    pub(crate) len: usize,
    pub(crate) envelope: Envelope,
    /// The process at the other end, once known.
    pub(crate) process: u32,
    /// Where a receive is posted.
    pub(crate) entry: Entry,
    /// Bytes of a rendezvous that have not moved yet.
    pub(crate) remaining: usize,
    pub(crate) status: Status,
    pub(crate) error: Option<Error>,
    /// What few requests have.
    pub(crate) extra: Option<Box<Extra>>,
}

#[derive(Default)]
pub(crate) struct Extra {
    /// A copy of the data, which `buf` points into.
    pub(crate) copy: Option<OwnedBuf>,
    /// The data, where they are not in a row.
    pub(crate) spread: Option<Spread>,
    pub(crate) persistent: Option<Box<Template>>,
    pub(crate) collective: Option<Box<Collective>>,
    pub(crate) generalized: Option<Generalized>,
    pub(crate) partitioned: Option<Arc<Partitioned>>,
    /// The exchange that this is a part of.
    pub(crate) parent: Option<Parent>,
    /// The sender's request, of a message that is being read.
    pub(crate) sender: Option<SendersRequest>,
    /// The message's memory, which its receiver may be reading.
    pub(crate) registration: Option<Registration>,
    /// The message is copied by both sides.
    pub(crate) cooperative: Option<CooperativeCopy>,
    /// Of a receive that may give its message back.
    pub(crate) returnable: Option<Returnable>,
}

/// In the place of a process not known yet.
pub(in crate::engine) const NO_PROCESS: u32 = u32::MAX;

/// A body with nothing to do.
#[inline(always)]
pub(in crate::engine) fn idle_body(kind: Kind, envelope: Envelope) -> Body {
    Body {
        kind,
        active: true,
        buf: core::ptr::null_mut(),
        len: 0,
        envelope,
        process: NO_PROCESS,
        entry: Entry::NONE,
        remaining: 0,
        status: Status::EMPTY,
        error: None,
        extra: None,
    }
}

/// What a receive remembers that may give its message back.
#[derive(Default)]
pub(crate) struct Returnable {
    /// How many messages had arrived with the one that it was matched with; 0: it is not matched
    /// yet.
    pub(in crate::engine) arrived: u64,
}

/// A message that is being shared, as its receiver knows it.
pub(crate) struct CooperativeCopy {
    pub(in crate::engine) claim: u32,
    pub(in crate::engine) region: Region,
    pub(in crate::engine) len: usize,
    /// The sender's request.
    pub(in crate::engine) sender: SendersRequest,
}

impl Extra {
    /// A receive has its message now: if it may give that back, it remembers how many messages had
    /// arrived with it.
    pub(in crate::engine) fn remember_arrival(&mut self, arrived: impl FnOnce() -> u64) {
        if let Some(returnable) = &mut self.returnable
            && returnable.arrived == 0
        {
            returnable.arrived = arrived();
        }
    }
}

impl Body {
    /// What few requests have, to be filled in.
    pub(crate) fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// The receiver of a send reads the message's memory no more.
    pub(in crate::engine) fn unregister(&mut self) {
        if let Some(extra) = &mut self.extra {
            extra.registration = None;
        }
    }

    pub(crate) fn is_persistent(&self) -> bool {
        let is_persistent = |extra: &Extra| {
            let collective = extra.collective.as_ref();
            extra.persistent.is_some()
                || extra.partitioned.is_some()
                || collective.is_some_and(|collective| collective.persistent)
        };
        self.extra.as_deref().is_some_and(is_persistent)
    }
}

pub(crate) struct RequestData {
    state: AtomicU32,
    handle: Request,
    /// What the operation belongs to. It stays for as long as a request in the slab names it: see
    /// [`crate::engine::constructors::freed`].
    comm: NonNull<CommData>,
    body: UnsafeCell<Body>,
}

// SAFETY: the body has one owner at a time (see the module's text); `DONE` is stored with release
// and loaded with acquire.
unsafe impl Sync for RequestData {}
// SAFETY: nothing in it is bound to a thread; raw pointers are the user's buffers.
unsafe impl Send for RequestData {}

impl RequestData {
    #[inline(always)]
    pub(crate) fn new(handle: Request, comm: &CommData, body: Body) -> RequestData {
        RequestData {
            state: AtomicU32::new(0),
            handle,
            comm: NonNull::from(comm),
            body: UnsafeCell::new(body),
        }
    }

    /// The communicator that the operation belongs to, which may have been freed.
    #[inline]
    pub(crate) fn comm(&self) -> &CommData {
        // SAFETY: it is there while this request is in its slab: see
        // `crate::engine::constructors::freed`.
        unsafe { self.comm.as_ref() }
    }

    /// The same, for those who keep it beyond the request.
    #[cold]
    pub(crate) fn shared_comm(&self) -> Arc<CommData> {
        // SAFETY: all communicators are in an `Arc` when requests are made, and this one is there
        // while this request is in its slab.
        unsafe {
            Arc::increment_strong_count(self.comm.as_ptr());
            Arc::from_raw(self.comm.as_ptr())
        }
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // Pairs with the release in `RequestRef::finish`.
        self.state.load(Ordering::Acquire) & DONE != 0
    }

    /// How many completions ago this request was completed, if it is done. Right unless there have
    /// been 2^30 since.
    pub(crate) fn age(&self) -> Option<u32> {
        // Pairs with the release in `RequestRef::finish`.
        let state = self.state.load(Ordering::Acquire);
        let now = COMPLETIONS.load(Ordering::Relaxed);
        (state & DONE != 0).then(|| now.wrapping_sub(state & !(COMPLETION - 1)) / COMPLETION)
    }
}

/// A pending request, by address. Valid until the request is removed from its slab, which happens
/// only after it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestRef(NonNull<RequestData>);

// SAFETY: an address of something `Sync`.
unsafe impl Send for RequestRef {}

impl RequestRef {
    pub(crate) fn new(data: &RequestData) -> RequestRef {
        RequestRef(NonNull::from(data))
    }

    #[inline]
    pub(crate) fn data<'a>(self) -> &'a RequestData {
        // SAFETY: the type's promise: not yet removed, and slab chunks never move.
        unsafe { self.0.as_ref() }
    }

    /// The body.
    ///
    /// # Safety
    /// The caller is the body's owner now, and makes no second reference while this one is in use.
    #[inline]
    pub(crate) unsafe fn body<'a>(self) -> &'a mut Body {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.data().body.get() }
    }

    #[inline]
    pub(crate) fn handle(self) -> Request {
        self.data().handle
    }

    /// Hands the body back to the caller. Returns whether nobody will come for it.
    #[inline]
    pub(crate) fn finish(self) -> bool {
        let now = if threaded() {
            COMPLETIONS.fetch_add(COMPLETION, Ordering::Relaxed)
        } else {
            let now = COMPLETIONS.load(Ordering::Relaxed);
            COMPLETIONS.store(now.wrapping_add(COMPLETION), Ordering::Relaxed);
            now
        };
        self.mark(now | DONE) & ORPHAN != 0
    }

    /// Gives up the caller's interest. Returns whether the request was done already.
    pub(crate) fn abandon(self) -> bool {
        self.mark(ORPHAN) & DONE != 0
    }

    /// Makes a persistent request pending again.
    pub(crate) fn restart(self) {
        self.data().state.store(0, Ordering::Relaxed);
    }

    #[inline]
    fn mark(self, bits: u32) -> u32 {
        let state = &self.data().state;
        if threaded() {
            // Release pairs with the acquire in `is_done`; acquire, for whoever removes an orphan.
            state.fetch_or(bits, Ordering::AcqRel)
        } else {
            let before = state.load(Ordering::Relaxed);
            // Release pairs with the acquire in `is_done`.
            state.store(before | bits, Ordering::Release);
            before
        }
    }
}
