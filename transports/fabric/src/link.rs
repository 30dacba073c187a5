//! The two halves of a transport: a [`Link`] sends to one peer, a [`Port`] receives from all of them.

use crate::{Header, RawBuf, RawBufMut};

/// The longest body of the engine's own frames, in bytes: 24 and a key of 64. Links copy bodies up to this length.
pub const CONTROL: usize = 24 + 64;

/// Names something that the transport still works on. Chosen by the caller of the operation, given back in
/// [`Sink::completed`].
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

/// What became of a direct access to the peer's memory.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// All bytes have moved.
    Done,
    /// Under way; [`Sink::completed`] names the token.
    Queued(Token),
    /// This pair of processes cannot do it in this direction. Final: do not ask again.
    Unavailable,
    /// The memory is not there, or the peer is gone. The message is lost.
    Failed,
}

/// What a link can do beyond frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// [`Link::read`] may work.
    pub read: bool,
    /// [`Link::write`] may work.
    pub write: bool,
}

/// The declared limits of a link, in bytes. They do not change while the link lives, save `caps`, which lose a
/// capability that proved unavailable, and `direct_from`, which a tool may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bodies up to this length travel within the slot of the header, or are copied: they are never answered `Queued`.
    pub inline: usize,
    /// The longest body of one frame.
    pub frame: usize,
    /// Direct access to the peer's memory.
    pub caps: Caps,
    /// Messages of at least this length move faster by direct access than in frames, where there is a choice.
    pub direct_from: usize,
}

/// Memory made accessible to a peer: an address in its owner's space and an opaque key of up to 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Address of the first byte in the owner's address space.
    pub addr: u64,
    /// Length of the key; the rest of `key` is 0.
    pub key_len: u8,
    /// What the transport needs to reach the memory.
    pub key: [u8; 64],
}

/// Sends to one peer. Frames arrive in the order in which `try_send` accepted them.
pub trait Link: Send {
    /// What this link can take.
    fn limits(&self) -> Limits;

    /// Sends one frame; `header.len` is set by the link from `body`. A body longer than `limits().frame` is a panic.
    /// `token` is what a `Queued` answer and its completion carry. Bodies of up to [`CONTROL`] bytes, the engine's own frames among
    /// them, are to be copied: the engine does not wait for those. (A link that keeps them is not ready for the engine.)
    ///
    /// # Safety
    /// `body` is readable during the call and, after `Queued`, until its completion.
    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent;

    /// Sends what the link has accepted but kept back in order to send it together with what follows. Nothing by default.
    fn flush(&mut self) {}

    /// Makes `buffer` accessible to the peer, if this transport can.
    ///
    /// # Safety
    /// `buffer` stays allocated until the engine withdraws it (after the peer's answer, or the link's death).
    unsafe fn expose(&mut self, buffer: RawBuf) -> Option<Region>;

    /// Reads `into.len` bytes at `offset` of the peer's exposed region.
    ///
    /// # Safety
    /// `into` is writable during the call and, after `Queued`, until its completion.
    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer;

    /// Writes `from` to `offset` of the peer's exposed region.
    ///
    /// # Safety
    /// `from` is readable during the call and, after `Queued`, until its completion.
    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, token: Token) -> Transfer;
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
    /// Here, as far as there is room; the rest is thrown away. [`Sink::landed`] follows, or [`Sink::down`]. The memory is
    /// writable until then.
    At(RawBufMut),
}

/// Takes what a port receives. Implemented by the engine.
pub trait Sink {
    /// A frame from process `peer` has arrived with its whole body. `body` is readable during the call only; it may lie
    /// in memory that the peer can still write, so every value is to be read once and checked. `header.len` equals
    /// `body.len`.
    fn frame(&mut self, peer: u32, header: &Header, body: RawBuf);

    /// A frame with a long body has begun to arrive. A transport that can choose where a body lands asks; one that has the
    /// body already does not. Of one peer, one frame at a time is on its way.
    fn arriving(&mut self, peer: u32, header: &Header) -> Landing {
        let _ = (peer, header);
        Landing::Anywhere
    }

    /// The body of the frame for which [`Sink::arriving`] named a place is there.
    fn landed(&mut self, peer: u32, header: &Header) {
        let _ = (peer, header);
    }

    /// An operation that was answered `Queued` has finished.
    fn completed(&mut self, peer: u32, token: Token, ok: bool);

    /// A peer is gone. No frame from it will follow, and nothing that was under way to or from it is touched any more.
    fn down(&mut self, peer: u32, why: LinkDown);
}

/// Receives from every peer of one transport.
pub trait Port: Send {
    /// Hands what has arrived to `sink`, up to some dozens of frames, and sends what links have kept back. Returns how many
    /// events were delivered.
    fn poll(&mut self, sink: &mut dyn Sink) -> usize;

    /// Gets ready to sleep: from now on a sender wakes this process. Returns `false` when something has arrived
    /// meanwhile, in which case the port is awake again.
    fn prepare_sleep(&mut self) -> bool;

    /// Back from sleep (or from a `prepare_sleep` that no sleep followed).
    fn awake(&mut self);
}
