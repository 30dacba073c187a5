//! A frame on its way, and an operation under way.

use std::collections::VecDeque;

use crate::registry::What;
use ferrite_fabric::{Header, Outcome, OwnedBuf, RawBuf, RawBufMut, Region, Token};

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

/// An operation on a peer's memory that has not taken effect, or of which its process has not
/// heard.
pub(super) struct Operation {
    pub(super) id: u64,
    pub(super) what: What,
    /// What its buffer was copied to.
    pub(super) copy: Option<OwnedBuf>,
    pub(super) region: Region,
    pub(super) offset: u64,
    /// Its process has been told.
    pub(super) is_told: bool,
    /// When it takes effect at the latest, if its process has been told before.
    pub(super) lands: u64,
    /// It has taken effect.
    pub(super) outcome: Option<Outcome>,
}

impl Operation {
    /// Makes it independent of its process's buffer.
    ///
    /// # Safety
    /// The buffer is lent.
    pub(super) unsafe fn let_go(&mut self) {
        if let What::Write(from) = self.what {
            // SAFETY: the caller's promise.
            let copy = OwnedBuf::from(unsafe { from.to_vec() }.into_boxed_slice());
            self.what = What::Write(copy.buf());
            self.copy = Some(copy);
        }
    }
}

/// What a process will hear of.
pub(super) struct Pending {
    pub(super) due: u64,
    pub(super) peer: usize,
    pub(super) token: Token,
    pub(super) waiting: Waiting,
}

/// What it is about.
pub(super) enum Waiting {
    /// A frame's body is returned.
    Frame(u64),
    Operation(u64),
    /// What was begun before this number is visible.
    Flush(u64),
    /// It is lost.
    Lost,
}
