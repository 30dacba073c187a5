//! What lies where in the segment.

use core::sync::atomic::{AtomicU32, AtomicU64};

use ferrite_ring::{Bell, Shape};

use crate::board::{Plan, Pool, UNIT};

/// Claims of each ordered pair of ranks.
pub const CLAIMS: usize = 8;

/// What can be mapped by itself begins at a multiple of this: the largest page that a system of
/// this architecture may have.
pub(crate) const PAGE: usize = if cfg!(target_arch = "x86_64") {
    4 << 10
} else {
    64 << 10
};

/// The first page: what all ranks must agree on. The first to come writes a field, the others
/// compare; what the first has decided ([`Decision`](crate::decision::Decision)), the others
/// follow.
#[repr(C)]
pub(crate) struct Preamble {
    pub(crate) magic: AtomicU64,
    pub(crate) version: AtomicU64,
    pub(crate) job: [AtomicU64; 2],
    pub(crate) ranks: AtomicU64,
    pub(crate) decision: AtomicU64,
}

impl Preamble {
    pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"ferrite\n");
    /// To be raised whenever anything in this file or in a ring's layout changes.
    pub(crate) const VERSION: u64 = 5;
}

/// What a rank tells about itself. `pid` is stored last, with release.
#[repr(C, align(128))]
pub(crate) struct Card {
    pub(crate) pid: AtomicU32,
    /// One of the constants of `Card`.
    pub(crate) barrier: AtomicU32,
    /// A random number and where it lies in the rank's own memory: whoever reads it there has found
    /// the right process.
    pub(crate) nonce: AtomicU64,
    pub(crate) nonce_at: AtomicU64,
    /// For how many boards, of any number of members, this rank has room that is promised to none
    /// yet. Others take from it.
    pub(crate) rooms: AtomicU32,
}

impl Card {
    /// The rank has no asymmetric fences. (Not known yet: 0, taken to be good, for a sender that
    /// finds out later is only slower and a sleeper without fences sleeps for a millisecond at
    /// most.)
    pub(crate) const NO_BARRIER: u32 = 1;
}

#[repr(C, align(128))]
pub(crate) struct RankBlock {
    pub(crate) bell: Bell,
    pub(crate) card: Card,
}

/// A counter that both sides of a pair use to divide the copying of one long message. Untouched,
/// all fields are 0. What they mean is the engine's business.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Claim {
    /// The next piece that nobody has taken.
    pub next: AtomicU64,
    /// Pieces done.
    pub done: AtomicU64,
    /// Which use of the claim this is.
    pub generation: AtomicU64,
}

#[repr(C)]
pub(crate) struct PairHead {
    pub(crate) claims: [Claim; CLAIMS],
}

const _: () = {
    assert!(size_of::<Preamble>() <= PAGE);
    assert!(size_of::<RankBlock>() == 640);
    assert!(size_of::<PairHead>().is_multiple_of(128));
};

/// Offsets in the memory file of a node with `ranks` ranks. The file is sparse: what nobody has
/// touched occupies nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) ranks: usize,
    pub(crate) shape: Shape,
    /// Units of the pool of boards, of which the board of all ranks has the first; 0: there are no
    /// boards.
    pub(crate) units: usize,
}

impl Layout {
    pub(crate) fn rank_block(self, rank: usize) -> usize {
        debug_assert!(rank < self.ranks);
        PAGE + rank * size_of::<RankBlock>()
    }

    /// Which boards of the pool are taken.
    pub(crate) fn pool(self) -> usize {
        (PAGE + self.ranks * size_of::<RankBlock>()).next_multiple_of(align_of::<Pool>())
    }

    /// Bytes of the part at the beginning of the file that every rank maps.
    pub(crate) fn control_bytes(self) -> usize {
        (self.pool() + size_of::<Pool>()).next_multiple_of(PAGE)
    }

    /// The area of frames from `sender` to `receiver`. Areas of one receiver lie together.
    pub(crate) fn pair(self, receiver: usize, sender: usize) -> usize {
        debug_assert!(receiver < self.ranks && sender < self.ranks);
        self.control_bytes() + (receiver * self.ranks + sender) * self.pair_bytes()
    }

    pub(crate) fn pair_bytes(self) -> usize {
        (size_of::<PairHead>() + self.shape.bytes()).next_multiple_of(PAGE)
    }

    /// The boards.
    pub(crate) fn pool_memory(self) -> usize {
        self.control_bytes() + self.ranks * self.ranks * self.pair_bytes()
    }

    /// Bytes of the board of all ranks.
    pub(crate) fn board_of_all_bytes(self) -> usize {
        match self.units {
            0 => 0,
            _ => Plan::of(self.ranks).bytes(),
        }
    }

    /// Bytes of the file.
    pub(crate) fn bytes(self) -> usize {
        self.pool_memory() + self.units * UNIT
    }

    /// Bytes of address space that a rank needs: the control part, the board of all ranks, and the
    /// areas of frames to it and from it.
    pub(crate) fn mapped_bytes(self) -> usize {
        self.control_bytes() + self.board_of_all_bytes() + 2 * self.ranks * self.pair_bytes()
    }
}
