//! The segment, mapped.

use core::ptr::NonNull;

use ferrite_ring::{Bell, Ring};

use crate::board::Pool;
use crate::layout::{CLAIMS, Card, Claim, Layout, PairHead, Preamble, RankBlock};
use crate::sys;

/// The mapping. All indices are local: positions in `Job::local`.
#[derive(Debug)]
pub(crate) struct Segment {
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the mapping is reached through atomics, and through rings, whose ends are made once each.
unsafe impl Send for Segment {}
// SAFETY: as for `Send`.
unsafe impl Sync for Segment {}

impl Segment {
    /// Takes over a mapping.
    ///
    /// # Safety
    /// `memory` is a mapping of `layout.bytes()` bytes, made by `sys`, of zeros or of a segment of the same layout.
    pub(crate) unsafe fn new(memory: NonNull<u8>, layout: Layout) -> Segment {
        Segment { memory, layout }
    }

    fn at<T>(&self, offset: usize) -> &T {
        debug_assert!(offset + size_of::<T>() <= self.layout.bytes());
        // SAFETY: `Layout` keeps every part within the mapping and aligned, and every `T` asked for is made of atomics, for which any
        // content is valid. The mapping lives as long as `self`.
        unsafe { self.memory.add(offset).cast().as_ref() }
    }

    pub(crate) fn preamble(&self) -> &Preamble {
        self.at(0)
    }

    pub(crate) fn bell(&self, rank: usize) -> &Bell {
        &self.at::<RankBlock>(self.layout.rank_block(rank)).bell
    }

    pub(crate) fn card(&self, rank: usize) -> &Card {
        &self.at::<RankBlock>(self.layout.rank_block(rank)).card
    }

    pub(crate) fn claims(&self, receiver: usize, sender: usize) -> &[Claim; CLAIMS] {
        &self
            .at::<PairHead>(self.layout.pair(receiver, sender))
            .claims
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.at(self.layout.pool())
    }

    /// A place within the mapping.
    pub(crate) fn place(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.layout.bytes());
        // SAFETY: within the mapping.
        unsafe { self.memory.add(offset) }
    }

    /// The ring of frames from `sender` to `receiver`. Valid as long as the segment.
    pub(crate) fn ring(&self, receiver: usize, sender: usize) -> Ring {
        // SAFETY: `Layout` keeps the ring within the mapping and aligned to 128 bytes.
        unsafe {
            let memory = self.memory.add(self.layout.ring(receiver, sender));
            Ring::at(memory.as_ptr(), self.layout.shape)
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped by `sys` with this length, see `new`; whatever points into it holds a reference count of the segment.
        unsafe { sys::unmap(self.memory, self.layout.bytes()) }
    }
}
