//! A frame on its way, and a direct access under way.

use std::collections::VecDeque;

use ferrite_fabric::{Header, RawBuf, RawBufMut, Token};

/// Where a body is until it has arrived.
pub(super) enum Body {
    Owned(Vec<u8>),
    /// With its sender, who gets it back with a completion.
    Lent(RawBuf),
}

impl Body {
    /// Some of its bytes.
    ///
    /// # Safety
    /// What was lent is readable now.
    pub(super) unsafe fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        match self {
            Body::Owned(bytes) => bytes[at..at + len].to_vec(),
            // SAFETY: the caller's promise.
            Body::Lent(buffer) => unsafe { buffer.part(at, len).to_vec() },
        }
    }

    /// Makes it independent of its sender.
    ///
    /// # Safety
    /// As [`Body::bytes`].
    pub(super) unsafe fn capture(&mut self) {
        if let Body::Lent(buffer) = self {
            // SAFETY: the caller's promise.
            *self = Body::Owned(unsafe { buffer.to_vec() });
        }
    }
}

/// Whether the receiver was asked where a body is to land, and what it said.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// It is not to be asked.
    Unasked,
    /// It will be.
    ToAsk,
    Anywhere,
    At(RawBufMut),
}

/// A frame on its way.
pub(super) struct Flight {
    pub(super) id: u64,
    pub(super) header: Header,
    pub(super) body: Body,
    /// The pieces that have not arrived yet: when they do, and how long they are. Never empty.
    pub(super) pieces: VecDeque<(u64, usize)>,
    /// Bytes that have arrived.
    pub(super) at: usize,
    pub(super) place: Place,
}

impl Flight {
    /// When the next piece arrives.
    pub(super) fn due(&self) -> u64 {
        self.pieces.front().map_or(0, |piece| piece.0)
    }

    /// When it is there.
    pub(super) fn whole(&self) -> u64 {
        self.pieces.back().map_or(0, |piece| piece.0)
    }
}

/// A direct access to memory.
pub(super) struct Access {
    /// This process's memory; of a write it is only read.
    pub(super) own: RawBufMut,
    pub(super) region: u64,
    pub(super) offset: u64,
    pub(super) writes: bool,
}

/// An operation that a process will hear of.
pub(super) struct Pending {
    pub(super) due: u64,
    pub(super) peer: usize,
    pub(super) token: Token,
    pub(super) ok: bool,
    /// The frame whose body is returned.
    pub(super) flight: Option<u64>,
    pub(super) access: Option<Access>,
}
