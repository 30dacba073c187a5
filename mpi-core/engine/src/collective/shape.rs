//! What an algorithm may know about a call.

use core::fmt;

/// One rank's view of a collective call. Everything but `rank`, `in_place` and the split of a
/// block's bytes into `count` and `width` is equal on all ranks.
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

/// A collective operation whose calls a [`Shape`] describes, on a board as by messages. (Forms
/// whose blocks have lengths of their own are not among them, nor is what goes between two groups.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collective {
    /// Nobody leaves before all have come.
    Barrier,
    /// The root's vector for all.
    Bcast,
    /// All vectors, combined, for the root.
    Reduce,
    /// All vectors, combined, for all.
    Allreduce,
    /// Each one's block for the root.
    Gather,
    /// Each one's block for all.
    Allgather,
    /// The root's blocks, one for each.
    Scatter,
    /// Each one's blocks, one for each.
    Alltoall,
    /// All vectors, combined, a block for each.
    ReduceScatter,
    /// The vectors of the ranks up to each one, combined.
    Scan,
    /// The vectors of the ranks below each one, combined; nothing for rank 0.
    Exscan,
}

impl Collective {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Collective; 11] = [
        Collective::Barrier,
        Collective::Bcast,
        Collective::Reduce,
        Collective::Allreduce,
        Collective::Gather,
        Collective::Allgather,
        Collective::Scatter,
        Collective::Alltoall,
        Collective::ReduceScatter,
        Collective::Scan,
        Collective::Exscan,
    ];

    /// Whether one member gives or gets everything.
    #[inline]
    pub(crate) fn has_root(self) -> bool {
        matches!(
            self,
            Collective::Bcast | Collective::Scatter | Collective::Gather | Collective::Reduce
        )
    }

    /// Whether whoever fills a slot has a block for each member.
    #[inline]
    pub(crate) fn has_blocks(self) -> bool {
        matches!(
            self,
            Collective::Scatter | Collective::Alltoall | Collective::ReduceScatter
        )
    }

    /// Of how many members, from the first on, this rank combines the vectors.
    #[inline]
    pub(crate) fn operands(self, shape: &Shape) -> u32 {
        match self {
            Collective::Allreduce | Collective::ReduceScatter => shape.size,
            Collective::Reduce if shape.rank == shape.root => shape.size,
            Collective::Scan => shape.rank + 1,
            Collective::Exscan => shape.rank,
            _ => 0,
        }
    }

    /// Whether this rank fills its slot.
    pub(super) fn fills(self, is_root: bool) -> bool {
        is_root || !matches!(self, Collective::Bcast | Collective::Scatter)
    }
}

impl fmt::Display for Collective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Collective::Barrier => "barrier",
            Collective::Bcast => "broadcast",
            Collective::Reduce => "reduction",
            Collective::Allreduce => "allreduce",
            Collective::Gather => "gather",
            Collective::Allgather => "allgather",
            Collective::Scatter => "scatter",
            Collective::Alltoall => "alltoall",
            Collective::ReduceScatter => "reduce-scatter",
            Collective::Scan => "scan",
            Collective::Exscan => "exscan",
        })
    }
}
