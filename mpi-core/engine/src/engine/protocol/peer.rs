//! The sending side of one process: its link, and what waits for room there.

use core::ops::Range;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use ferrite_fabric::{
    CONTROL, Caps, Header, Limits, Link, RawBuf, RawBufMut, Refused, Region, Registration,
    RmaLimits, Sent, Token, Transfer, Uses,
};
use ferrite_shm::ShmLink;

use crate::engine::requests::{Body, NET_PIECE, PACKED_PIECE, ReceiversRequest, RequestRef};
use crate::sync::{Class, ClassLock};

/// A process that only sends would never hear that a peer holds too much of it already. So it
/// drives progress once in this many messages, or 256 times as many bytes.
pub(crate) const ALLOWANCE: u32 = 512;

/// What a message of so many bytes takes of the allowance.
#[inline]
pub(crate) fn cost(len: usize) -> u32 {
    1 + (len >> 8) as u32
}

/// The way to a process.
///
/// Shared memory stands beside the networks by its own type, the one exception to the rule that the
/// engine sees only links: a small send is inlined from the entry point down to the ring's slot
/// ([`Outgoing::send_small`]), which a call through `dyn Link` would end. Everything but that path
/// treats both alike.
pub(crate) enum Path {
    /// This process itself: messages are delivered at once and never queued here.
    Loopback,
    /// Rings in the node's segment.
    Shm(ShmLink),
    /// A network.
    Net(Box<dyn Link>),
}

/// A process that this one talks to.
pub(crate) struct Peer {
    pub(crate) process: u32,
    /// Whether the way to it is a network, which may keep frames back.
    pub(crate) is_remote: bool,
    pub(crate) out: ClassLock<Outgoing>,
    /// Bytes of its eager messages kept here for want of a receive.
    pub(crate) unexpected_bytes: AtomicUsize,
    /// Bit N: claim N of messages from it is in use.
    claims: AtomicU8,
}

/// What this process has sent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sends {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Messages whose data waited for their receiver.
    pub(crate) rendezvous: u64,
}

impl Sends {
    #[inline]
    pub(crate) fn count(&mut self, len: usize) {
        self.messages += 1;
        self.bytes += len as u64;
    }
}

/// A frame that waits for room.
pub(crate) struct Queued {
    pub(crate) header: Header,
    pub(crate) body: QueuedBody,
}

pub(crate) enum QueuedBody {
    /// A frame of the engine's own.
    Control { bytes: [u8; CONTROL], len: usize },
    /// A user's message; the request is done when the frame is accepted.
    Message(RequestRef),
}

impl QueuedBody {
    /// The body of a frame of the engine's own.
    pub(super) fn control(&self) -> RawBuf {
        match self {
            QueuedBody::Control { bytes, len } => RawBuf::of(&bytes[..*len]),
            QueuedBody::Message(_) => RawBuf::EMPTY,
        }
    }
}

/// The data of a rendezvous on their way, frame by frame.
pub(crate) struct Stream {
    pub(crate) request: RequestRef,
    /// The receiver's request.
    pub(crate) remote: ReceiversRequest,
    pub(crate) offset: usize,
    pub(crate) end: usize,
    /// The receiver unpacks every frame.
    pub(crate) is_unpacked: bool,
}

/// What is protected by a link's lock.
pub(crate) struct Outgoing {
    pub(crate) path: Path,
    /// The longest message that goes eagerly.
    pub(crate) eager: usize,
    /// The longest message that the link takes or refuses, but never keeps: one that needs no
    /// request.
    pub(crate) at_once: usize,
    pub(crate) sends: Sends,
    /// How much may go out eagerly before this process must look at what its peers have to say (see
    /// [`ALLOWANCE`]); 0 while the link is not open.
    pub(crate) allowance: u32,
    /// The peer asked for envelopes only: it keeps as many of our eager bytes as it wants to.
    pub(crate) held: bool,
    /// The peer was asked for envelopes only.
    pub(crate) holding: bool,
    /// Frames in the order in which they must go. New ones go behind them.
    pub(crate) frames: VecDeque<Queued>,
    /// Data whose order among frames does not matter.
    pub(crate) streams: VecDeque<Stream>,
    /// Whether the engine's list of links with work names this one.
    pub(crate) listed: bool,
}

impl Peer {
    /// A process at the end of this way, to which messages of up to `eager` bytes go eagerly, as
    /// far as the link takes them.
    pub(crate) fn new(process: u32, path: Path, eager: usize) -> Peer {
        let is_remote = matches!(path, Path::Net(_));
        let mut out = Outgoing {
            path,
            eager: 0,
            at_once: 0,
            sends: Sends::default(),
            allowance: 0,
            held: false,
            holding: false,
            frames: VecDeque::new(),
            streams: VecDeque::new(),
            listed: false,
        };
        out.limit_eager(eager);
        Peer {
            process,
            is_remote,
            out: ClassLock::new(Class::Link, out),
            unexpected_bytes: AtomicUsize::new(0),
            claims: AtomicU8::new(0),
        }
    }
}

impl Peer {
    /// The number of a claim that is not in use; it is now.
    pub(crate) fn take_claim(&self) -> Option<u32> {
        const _: () = assert!(ferrite_shm::CLAIMS == 8);
        // Acquire and release order the uses of one claim by several threads.
        let taken = self
            .claims
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used != u8::MAX).then(|| used | (used + 1))
            });
        taken.ok().map(u8::trailing_ones)
    }

    /// Gives a claim back.
    pub(crate) fn give_claim(&self, number: u32) {
        self.claims.fetch_and(!(1 << number), Ordering::AcqRel);
    }

    /// [`Outgoing::send_small`] where other threads may be.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    pub(crate) unsafe fn send_small(&self, header: &Header, data: RawBuf) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.out.lock().send_small(header, data) }
    }
}

impl Outgoing {
    /// Sends a message of a slot's length, if the link is open and has room. Returns whether it was
    /// sent.
    ///
    /// # Safety
    /// `data` is readable, and no longer than [`ferrite_shm::INLINE`].
    #[inline(always)]
    pub(crate) unsafe fn send_small(&mut self, header: &Header, data: RawBuf) -> bool {
        let Path::Shm(link) = &mut self.path else {
            return false;
        };
        if self.allowance == 0 {
            return false;
        }
        self.allowance -= 1;
        // SAFETY: the caller's promise.
        let done = unsafe { link.try_send_inline(header, data) == Sent::Done };
        if done {
            self.sends.count(data.len);
        }
        done
    }

    /// Sends messages of up to `eager` bytes eagerly, as far as the link takes them.
    pub(crate) fn limit_eager(&mut self, eager: usize) {
        (self.eager, self.at_once) = match &self.path {
            Path::Loopback => (eager, 0),
            Path::Shm(link) => {
                let eager = eager.min(link.limits().frame);
                (eager, eager)
            }
            Path::Net(link) => {
                let Limits { inline, frame, .. } = link.limits();
                (eager.min(frame), eager.min(inline))
            }
        };
    }

    /// Whether an eager message may go out now: nothing queued, not held.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.path, Path::Loopback) && self.frames.is_empty() && !self.held
    }

    /// Takes the allowance away after a change that may have closed the link.
    pub(crate) fn update(&mut self) {
        if !self.is_open() {
            self.allowance = 0;
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.frames.is_empty() || !self.streams.is_empty()
    }

    /// The longest body of one frame, in bytes.
    pub(crate) fn frame_limit(&self) -> usize {
        match &self.path {
            Path::Loopback => usize::MAX,
            Path::Shm(link) => link.limits().frame,
            Path::Net(link) => link.limits().frame,
        }
    }

    /// The longest body of a frame that is packed or unpacked, in bytes.
    pub(crate) fn piece_limit(&self) -> usize {
        let best = match &self.path {
            Path::Loopback | Path::Shm(_) => PACKED_PIECE,
            Path::Net(_) => NET_PIECE,
        };
        best.min(self.frame_limit())
    }

    /// The length from which messages are better moved by direct access, in bytes.
    pub(crate) fn direct_from(&self) -> usize {
        match &self.path {
            Path::Loopback => usize::MAX,
            Path::Shm(link) => link.limits().direct_from,
            Path::Net(link) => link.limits().direct_from,
        }
    }

    /// What the link can do with the peer's memory, and how much.
    pub(crate) fn rma(&self) -> (Caps, RmaLimits) {
        let limits = match &self.path {
            Path::Loopback => return (Caps::NONE, RmaLimits::NONE),
            Path::Shm(link) => link.limits(),
            Path::Net(link) => link.limits(),
        };
        (limits.caps, limits.rma)
    }

    /// # Safety
    /// As [`Link::try_send`].
    #[inline]
    pub(crate) unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent {
        // SAFETY: the caller's promise.
        unsafe {
            match &mut self.path {
                Path::Loopback => unreachable!("messages to this process are delivered, not sent"),
                Path::Shm(link) => link.try_send(header, body, token),
                Path::Net(link) => link.try_send(header, body, token),
            }
        }
    }

    /// Sends the bytes `part` of a message in one frame. Items with gaps are packed in memory of
    /// the message's own: copying that to a ring in one go was measured to be faster than packing
    /// into lines that the other processor has.
    ///
    /// # Safety
    /// The message's buffer is readable, `part` lies within the message. After `Queued` all this
    /// holds until the completion, and until then no other part of a message with gaps is sent.
    #[inline]
    pub(crate) unsafe fn try_send_part(
        &mut self,
        header: &Header,
        message: &mut Body,
        part: Range<usize>,
        token: Token,
    ) -> Sent {
        // SAFETY: the caller's promise.
        unsafe { self.try_send(header, message.packed(part), token) }
    }

    /// Sends what a network keeps back.
    pub(crate) fn flush(&mut self) {
        if let Path::Net(link) = &mut self.path {
            link.flush();
        }
    }

    /// # Safety
    /// As [`Link::register`].
    pub(crate) unsafe fn register(
        &mut self,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Registration, Refused> {
        // SAFETY: the caller's promise.
        unsafe {
            match &mut self.path {
                Path::Loopback => Err(Refused::Unavailable),
                Path::Shm(link) => link.register(memory, uses),
                Path::Net(link) => link.register(memory, uses),
            }
        }
    }

    /// # Safety
    /// As [`Link::write`].
    pub(crate) unsafe fn write(
        &mut self,
        from: RawBuf,
        to: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe {
            match &mut self.path {
                Path::Loopback => Transfer::Unavailable,
                Path::Shm(link) => link.write(from, to, offset, token),
                Path::Net(link) => link.write(from, to, offset, token),
            }
        }
    }

    /// # Safety
    /// As [`Link::read`].
    pub(crate) unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe {
            match &mut self.path {
                Path::Loopback => Transfer::Unavailable,
                Path::Shm(link) => link.read(into, from, offset, token),
                Path::Net(link) => link.read(into, from, offset, token),
            }
        }
    }
}
