//! What an algorithm may know about a call, and the binomial tree that several of them use.

use core::ops::Range;

/// One rank's view of a collective call. Everything but `rank`, `in_place` and the split of a block's bytes into `count`
/// and `width` is equal on all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// This rank.
    pub rank: u32,
    /// Ranks of the communicator, at least 1.
    pub size: u32,
    /// The root, where there is one.
    pub root: u32,
    /// Elements that each rank contributes, or that the root broadcasts.
    pub count: usize,
    /// Bytes from one element to the next; at least 1. `count * width` fits `isize`.
    pub width: usize,
    /// The operation may change the order of its operands.
    pub commutative: bool,
    /// This rank's contribution lies in its output buffer already.
    pub in_place: bool,
    /// Bytes of each slot of the communicator's board, where it has one.
    pub board: Option<usize>,
}

impl Shape {
    /// Bytes that each rank contributes, or that the root broadcasts.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.count * self.width
    }

    /// This rank when the ranks are counted from the root.
    #[inline]
    pub(super) fn relative(&self) -> u32 {
        if self.rank >= self.root {
            self.rank - self.root
        } else {
            self.rank + self.size - self.root
        }
    }

    /// The rank that stands `relative` behind the root.
    #[inline]
    pub(super) fn absolute(&self, relative: u32) -> u32 {
        self.wrap(self.root as u64 + relative as u64)
    }

    /// The rank `distance` (at most `size`) above this one, cyclically.
    #[inline]
    pub(super) fn above(&self, distance: u32) -> u32 {
        self.wrap(self.rank as u64 + distance as u64)
    }

    /// The rank `distance` (at most `size`) below this one, cyclically.
    #[inline]
    pub(crate) fn below(&self, distance: u32) -> u32 {
        self.wrap(self.rank as u64 + self.size as u64 - distance as u64)
    }

    #[inline]
    fn wrap(&self, sum: u64) -> u32 {
        (if sum >= self.size as u64 {
            sum - self.size as u64
        } else {
            sum
        }) as u32
    }
}

/// One node's place in the binomial tree over `0..size` with root 0, in which every subtree is a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    at: u32,
    size: u32,
}

impl Node {
    pub(super) fn new(at: u32, size: u32) -> Node {
        Node { at, size }
    }

    /// Twice the distance to the farthest child that this node could have.
    fn span(self) -> u32 {
        if self.at == 0 {
            self.size.next_power_of_two()
        } else {
            1 << self.at.trailing_zeros()
        }
    }

    /// The nodes of the subtree.
    pub(super) fn subtree(self) -> Range<u32> {
        self.at..self.at.saturating_add(self.span()).min(self.size)
    }

    /// The parent, but for the root.
    pub(super) fn parent(self) -> Option<u32> {
        (self.at != 0).then(|| self.at & (self.at - 1))
    }

    /// How many children there are.
    pub(super) fn children(self) -> u32 {
        // Child i is at distance 2^i, and exists when that lies within the subtree.
        let beyond = self.subtree().len() as u32;
        32 - (beyond - 1).leading_zeros()
    }

    /// A child; their subtrees follow this node in the order of `index`, each at least as large as the one before save
    /// the last.
    pub(super) fn child(self, index: u32) -> Node {
        Node {
            at: self.at + (1 << index),
            size: self.size,
        }
    }

    /// Where the node stands.
    pub(super) fn at(self) -> u32 {
        self.at
    }
}

/// The number of doublings that reach `size` from 1.
pub(super) fn log2_ceil(size: u32) -> u32 {
    32 - (size - 1).leading_zeros()
}
