//! The segment, mapped.
//!
//! A rank reserves address space for all that it may need of the file but the boards, and maps what
//! it needs at once: the control part, the board of all ranks, and the areas of frames to it. An
//! area of frames to another rank is mapped when it is first used, in the place that is reserved
//! for it, so that a limit of the address space cannot forbid it any more. Nothing of it is in a
//! core dump.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::Mutex;

use ferrite_ring::{Bell, Ring};

use crate::board::Pool;
use crate::layout::{CLAIMS, Card, Claim, Layout, PairHead, RankBlock};
use crate::sys::{File, Mapping};

/// The mapping. All indices are local: positions in `Job::local`.
#[derive(Debug)]
pub(crate) struct Segment {
    memory: Mapping,
    file: File,
    layout: Layout,
    own: usize,
    /// To which ranks the areas of frames are mapped.
    outgoing: Box<[AtomicBool]>,
    mapping: Mutex<()>,
}

impl Segment {
    /// Maps what the rank `own` needs of a file that has this layout.
    pub(crate) fn map(file: File, layout: Layout, own: usize) -> io::Result<Segment> {
        let memory = Mapping::reserve(layout.mapped_bytes())?;
        let segment = Segment {
            memory,
            file,
            layout,
            own,
            outgoing: (0..layout.ranks).map(|_| AtomicBool::new(false)).collect(),
            mapping: Mutex::new(()),
        };
        segment.show(0, 0, layout.control_bytes())?;
        let all = layout.board_of_all_bytes();
        if all > 0 {
            segment.show(layout.control_bytes(), layout.pool_memory(), all)?;
        }
        let incoming = layout.ranks * layout.pair_bytes();
        segment.show(segment.incoming(0), layout.pair(own, 0), incoming)?;
        Ok(segment)
    }

    fn show(&self, at: usize, offset: usize, bytes: usize) -> io::Result<()> {
        self.memory.show(at, &self.file, offset, bytes)
    }

    /// Where the areas of frames from a rank lie in the mapping.
    fn incoming(&self, sender: usize) -> usize {
        let before = self.layout.control_bytes() + self.layout.board_of_all_bytes();
        before + sender * self.layout.pair_bytes()
    }

    /// Where the area of frames to a rank lies in the mapping. It is mapped now.
    fn outgoing(&self, receiver: usize) -> io::Result<usize> {
        if receiver == self.own {
            return Ok(self.incoming(receiver));
        }
        let at = self.incoming(self.layout.ranks) + receiver * self.layout.pair_bytes();
        let is_mapped = &self.outgoing[receiver];
        // Acquire pairs with the release below.
        if !is_mapped.load(Ordering::Acquire) {
            let _mapping = self.mapping.lock();
            // Relaxed: the lock orders it.
            if !is_mapped.load(Ordering::Relaxed) {
                let offset = self.layout.pair(receiver, self.own);
                self.show(at, offset, self.layout.pair_bytes())?;
                is_mapped.store(true, Ordering::Release);
            }
        }
        Ok(at)
    }

    fn at<T>(&self, offset: usize) -> &T {
        debug_assert!(offset + size_of::<T>() <= self.layout.mapped_bytes());
        // SAFETY: `Layout` keeps every part within the mapping and aligned, and every `T` asked for
        // is made of atomics, for which any content is valid. The mapping lives as long as `self`.
        unsafe { self.memory.start().add(offset).cast().as_ref() }
    }

    pub(crate) fn bell(&self, rank: usize) -> &Bell {
        &self.at::<RankBlock>(self.layout.rank_block(rank)).bell
    }

    pub(crate) fn card(&self, rank: usize) -> &Card {
        &self.at::<RankBlock>(self.layout.rank_block(rank)).card
    }

    /// The claims of messages from a rank.
    pub(crate) fn claims_from(&self, sender: usize) -> &[Claim; CLAIMS] {
        &self.at::<PairHead>(self.incoming(sender)).claims
    }

    /// The claims of messages to a rank.
    pub(crate) fn claims_to(&self, receiver: usize) -> io::Result<&[Claim; CLAIMS]> {
        Ok(&self.at::<PairHead>(self.outgoing(receiver)?).claims)
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.at(self.layout.pool())
    }

    /// The board of all ranks, where there are boards.
    pub(crate) fn board_of_all(&self) -> Option<NonNull<u8>> {
        // SAFETY: within the mapping.
        let board = unsafe { self.memory.start().add(self.layout.control_bytes()) };
        (self.layout.units > 0).then_some(board)
    }

    /// The ring of frames from a rank. Valid as long as the segment.
    pub(crate) fn ring_from(&self, sender: usize) -> Ring {
        self.ring(self.incoming(sender))
    }

    /// The ring of frames to a rank. Valid as long as the segment.
    pub(crate) fn ring_to(&self, receiver: usize) -> io::Result<Ring> {
        Ok(self.ring(self.outgoing(receiver)?))
    }

    fn ring(&self, pair: usize) -> Ring {
        // SAFETY: `Layout` keeps the ring within the mapping and aligned to 128 bytes.
        unsafe {
            let memory = self.memory.start().add(pair + size_of::<PairHead>());
            Ring::at(memory.as_ptr(), self.layout.shape)
        }
    }
}
