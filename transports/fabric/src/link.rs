//! The two halves of a transport: a [`Link`] sends to one peer, a [`Port`] receives from all of
//! them.

use crate::{
    Atomic, Caps, Header, Outcome, RawBuf, RawBufMut, Refused, Region, Registration, RmaLimits,
    Transfer, Uses, Width,
};

/// The longest body of the engine's own frames, in bytes: 24 and a key of 64. Links copy bodies up
/// to this length.
pub const CONTROL: usize = 24 + Region::KEY;

/// Names something that the transport still works on. Chosen by the caller of the operation, given
/// back in [`Sink::completed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// What became of a frame given to [`Link::try_send`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Accepted; the body has been copied and may be reused at once.
    Done,
    /// Accepted; the body must stay until [`Sink::completed`] names the token.
    Queued(Token),
    /// No room now. Nothing was sent; drive the port and try again.
    Full,
}

/// The declared limits of a link, in bytes. They do not change while the link lives, save `caps`,
/// which lose a capability that proved unavailable, and `direct_from`, which a tool may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bodies up to this length travel within the slot of the header, or are copied: they are never
    /// answered `Queued`.
    pub inline: usize,
    /// The longest body of one frame.
    pub frame: usize,
    /// What the link can do with the peer's memory.
    pub caps: Caps,
    /// How much of that.
    pub rma: RmaLimits,
    /// Messages of at least this length move faster by direct access than in frames, where there is
    /// a choice.
    pub direct_from: usize,
}

/// Sends to one peer. Frames arrive in the order in which `try_send` accepted them.
///
/// # Remote memory access
///
/// A link without it leaves the methods from [`Link::register`] on as they are, and says so in its
/// limits ([`Caps::NONE`], [`RmaLimits::NONE`]). One that has it promises:
///
/// - *Completion.* A write that was answered [`Transfer::Done`], or completed well, has let go of
///   its buffer. Its data may still be on their way: they are in the target's memory, and visible
///   to the target's processors, once a later [`Link::flush_writes`] completes well, or at once
///   where [`Caps::visible_writes`] says so. A read or an atomic operation with a result that is
///   done has its result in place. Completions come in any order, whatever the order of effects.
/// - *Protection.* An access that its region does not allow touches no memory outside of it, and
///   fails as [`crate::Failure::Denied`]: where it does not lie within the region always; for a key
///   that was revoked or invented, or another use, where [`Caps::checks_keys`] says so. The failure
///   of a write that had let go of its buffer before it was known is that of the next flush. A
///   failed access may have moved a part of what it was allowed to. The link goes on after it.
/// - *Order* of effects as [`crate::Order`] says, and no other.
/// - *Budgets* as [`RmaLimits`] says: what goes beyond is answered [`Transfer::Full`].
/// - *No imitation.* Operations that a link lacks are made from frames by the layer above.
pub trait Link: Send {
    /// What this link can take.
    fn limits(&self) -> Limits;

    /// Sends one frame; `header.len` is set by the link from `body`. A body longer than
    /// `limits().frame` is a panic. `token` is what a `Queued` answer and its completion carry.
    /// Bodies of up to [`CONTROL`] bytes, the engine's own frames among them, are to be copied: the
    /// engine does not wait for those. (A link that keeps them is not ready for the engine.)
    ///
    /// # Safety
    /// `body` is readable during the call and, after `Queued`, until its completion.
    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent;

    /// Sends the frames that the link has accepted but kept back in order to send them together
    /// with what follows. Nothing by default.
    fn flush(&mut self) {}

    /// Registers memory of this process with the network that the link belongs to, for these uses.
    /// Every peer of the network may be given the region, and it outlives the link. Parts of memory
    /// may be registered several times, each with a key of its own.
    ///
    /// The error says whether that can never be, as for uses that `limits().caps` lacks, or there
    /// is no room now.
    ///
    /// # Safety
    /// `memory` stays allocated until the registration is dropped and, where the link does not
    /// check keys, the peers that have its region are known to be through. It is writable where
    /// peers or this process's operations write to it.
    unsafe fn register(&mut self, memory: RawBufMut, uses: Uses) -> Result<Registration, Refused> {
        let _ = (memory, uses);
        Err(Refused::Unavailable)
    }

    /// Reads `into.len` bytes at `offset` of a region of the peer's, at most
    /// `limits().rma.transfer`.
    ///
    /// # Safety
    /// `into` is writable during the call and, after `Queued`, until its completion.
    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        let _ = (into, from, offset, token);
        Transfer::Unavailable
    }

    /// Writes `from` to `offset` of a region of the peer's, at most `limits().rma.transfer` bytes.
    ///
    /// # Safety
    /// `from` is readable during the call and, after `Queued`, until its completion.
    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, token: Token) -> Transfer {
        let _ = (from, to, offset, token);
        Transfer::Unavailable
    }

    /// Changes an integer at `offset` of a region of the peer's, whose address there is a multiple
    /// of its width. `result` takes the value before, in as many bytes; it has none for an
    /// operation without a result. Whether that one has changed the memory when it is done is told
    /// by [`Link::flush_writes`], as of a write.
    ///
    /// # Safety
    /// `result` is writable during the call and, after `Queued`, until its completion.
    unsafe fn atomic(
        &mut self,
        operation: Atomic,
        width: Width,
        result: RawBufMut,
        on: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        let _ = (operation, width, result, on, offset, token);
        Transfer::Unavailable
    }

    /// Completes when all writes and atomic operations that this link accepted before are visible
    /// to the target's processors, with the failure of one that nobody was told of since the last
    /// flush. What is accepted meanwhile is not waited for. It stays available when the capability
    /// to begin such operations is lost.
    fn flush_writes(&mut self, token: Token) -> Transfer {
        let _ = token;
        Transfer::Unavailable
    }
}

/// Why a peer can no longer be reached.
#[derive(Clone, Debug)]
pub struct LinkDown {
    /// A sentence for the person who runs the job.
    pub reason: String,
}

/// Where the body of a frame that is still on its way is to land.
#[derive(Clone, Copy, Debug)]
pub enum Landing {
    /// Wherever the transport likes: it hands the whole frame to [`Sink::frame`].
    Anywhere,
    /// Here, as far as there is room; the rest is thrown away. [`Sink::landed`] follows, or
    /// [`Sink::down`]. The memory is writable until then.
    At(RawBufMut),
}

/// Takes what a port receives. Implemented by the engine.
pub trait Sink {
    /// A frame from process `peer` has arrived with its whole body. `body` is readable during the
    /// call only; it may lie in memory that the peer can still write, so every value is to be read
    /// once and checked. `header.len` equals `body.len`.
    fn frame(&mut self, peer: u32, header: &Header, body: RawBuf);

    /// A frame with a long body has begun to arrive. A transport that can choose where a body lands
    /// asks; one that has the body already does not. Of one peer, one frame at a time is on its
    /// way.
    fn arriving(&mut self, peer: u32, header: &Header) -> Landing {
        let _ = (peer, header);
        Landing::Anywhere
    }

    /// The body of the frame for which [`Sink::arriving`] named a place is there.
    fn landed(&mut self, peer: u32, header: &Header) {
        let _ = (peer, header);
    }

    /// What was answered `Queued` has ended: a frame, or an operation on the peer's memory. Its
    /// buffer is its owner's again.
    fn completed(&mut self, peer: u32, token: Token, outcome: Outcome);

    /// A peer is gone. No frame from it will follow, and nothing that was under way to or from it
    /// is touched any more.
    fn down(&mut self, peer: u32, why: LinkDown);
}

/// Receives from every peer of one transport.
pub trait Port: Send {
    /// Hands what has arrived to `sink`, up to some dozens of frames, and sends what links have
    /// kept back. Returns how many events were delivered.
    fn poll(&mut self, sink: &mut dyn Sink) -> usize;

    /// Gets ready to sleep: from now on a sender wakes this process. Returns `false` when something
    /// has arrived meanwhile, in which case the port is awake again.
    fn prepare_sleep(&mut self) -> bool;

    /// Back from sleep (or from a `prepare_sleep` that no sleep followed).
    fn awake(&mut self);
}
