//! Scratch memory that outlives the collectives that use it, so that a small one allocates nothing.

use core::mem::MaybeUninit;

use ferrite_fabric::RawBufMut;

/// Bytes to which scratch memory, and every operand within it, is aligned.
pub(super) const LINE: usize = 64;

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line {
    _bytes: [MaybeUninit<u8>; LINE],
}

/// Memory for one collective at a time. Never initialised: schedules write before they read.
#[derive(Default)]
pub(crate) struct Scratch(Vec<Line>);

impl Scratch {
    /// At least `bytes` bytes, aligned to a cache line. Valid, and the same, until the next call or
    /// the end of `self`.
    pub(crate) fn reserve(&mut self, bytes: usize) -> RawBufMut {
        self.0.reserve(bytes.div_ceil(LINE));
        RawBufMut {
            ptr: self.0.as_mut_ptr().cast(),
            len: self.0.capacity() * LINE,
        }
    }

    /// Gives memory back when there is more than `bytes` of it.
    pub(crate) fn trim(&mut self, bytes: usize) {
        if self.0.capacity() * LINE > bytes {
            self.0 = Vec::new();
        }
    }
}
