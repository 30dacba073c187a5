//! The binomial tree that several algorithms use.

use core::ops::Range;

/// One node's place in the binomial tree over `0..size` with root 0, in which every subtree is a
/// range.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct Node {
    at: u32,
    size: u32,
}

impl Node {
    pub(in crate::collective) fn new(at: u32, size: u32) -> Node {
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
    pub(in crate::collective) fn subtree(self) -> Range<u32> {
        self.at..self.at.saturating_add(self.span()).min(self.size)
    }

    /// The parent, but for the root.
    pub(in crate::collective) fn parent(self) -> Option<u32> {
        (self.at != 0).then(|| self.at & (self.at - 1))
    }

    /// The blocks that pass through this node to or from the root: none where it has no children,
    /// as its own needs no place beside, and none at the root, which has all of them in its buffer.
    pub(in crate::collective) fn blocks_kept(self) -> usize {
        match (self.parent(), self.subtree().len()) {
            (None, _) | (_, 1) => 0,
            (Some(_), blocks) => blocks,
        }
    }

    /// How many children there are.
    pub(in crate::collective) fn children(self) -> u32 {
        // Child i is at distance 2^i, and exists when that lies within the subtree.
        let beyond = self.subtree().len() as u32;
        32 - (beyond - 1).leading_zeros()
    }

    /// A child; their subtrees follow this node in the order of `index`, each at least as large as
    /// the one before save the last.
    pub(in crate::collective) fn child(self, index: u32) -> Node {
        Node {
            at: self.at + (1 << index),
            size: self.size,
        }
    }

    /// Where the node stands.
    pub(in crate::collective) fn at(self) -> u32 {
        self.at
    }
}

/// The number of doublings that reach `size` from 1.
pub(in crate::collective) fn log2_ceil(size: u32) -> u32 {
    32 - (size - 1).leading_zeros()
}
