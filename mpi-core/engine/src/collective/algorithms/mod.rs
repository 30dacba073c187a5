//! The algorithms of collective operations: a file for each, and the table of all of them.
//!
//! An algorithm is a [`Generator`]. One that a call's shape and the thresholds suffice to start is
//! a [`Candidate`], too, and belongs to a collective; the others are *special*: their callers start
//! them, with what they need besides. A row gives an algorithm its name for people and the
//! thresholds that it reads. Selection, dispatch, the settings' names of thresholds, and the cases
//! of the proofs follow from it.
//!
//! How to add one: `docs/how-to/add-a-collective-algorithm.md`.

mod allgather_dissemination;
mod allgather_ring;
mod allgatherv_ring;
mod allreduce_doubling;
mod allreduce_halving;
mod allreduce_members;
mod alltoall_pairwise;
mod barrier_dissemination;
mod bcast_scatter_ring;
mod bcast_tree;
mod binomial;
mod by_nodes;
mod direct_exchange;
mod exscan_doubling;
mod gather_linear;
mod gather_tree;
mod intergroup_bcast;
mod intergroup_reduce;
mod nothing;
mod reduce_scatter_pairwise;
mod reduce_tree;
mod rows;
mod scan_doubling;
mod scatter_linear;
mod scatter_tree;

pub(in crate::collective) use allgatherv_ring::AllgathervRing;
pub(in crate::collective) use by_nodes::by_nodes;
pub(crate) use direct_exchange::Block;
pub(in crate::collective) use direct_exchange::DirectExchange;
pub(in crate::collective) use intergroup_bcast::IntergroupBcast;
pub(in crate::collective) use intergroup_reduce::IntergroupReduce;
pub(in crate::collective) use nothing::Nothing;
pub(crate) use reduce_scatter_pairwise::Parts;
pub(in crate::collective) use reduce_scatter_pairwise::ReduceScatterPairwise;

use super::boards;
use super::operation::Round;
use super::shape::{Collective, Shape};
use super::thresholds::Named;

/// One rank's part of a call: generates its operations, a round at a time.
pub(in crate::collective) trait Generator {
    /// Generates the next operations. Returns whether there may be more.
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool;

    /// Bytes of scratch memory that the operations refer to. It has the alignment of
    /// [`super::Scratch`].
    fn scratch_bytes(&self, _shape: &Shape) -> usize {
        0
    }

    /// Turns of the communicator's board that the operations take.
    fn turns(&self, _shape: &Shape) -> u64 {
        0
    }
}

/// An algorithm that can be chosen by what all ranks know of a call.
///
/// All ranks have to choose the same, so [`Candidate::suits`] reads nothing of the shape that
/// differs between them: neither `rank` nor `in_place`, and `count` and `width` apart from one
/// another only for a reduction.
pub(in crate::collective) trait Candidate: Generator + Sized {
    /// Whether the algorithm can do the call, and does it better than those below it in the table.
    /// The last one of a collective suits every call. Thresholds say from how many bytes on an
    /// algorithm is the better one, so with all of them at 0 this says only whether it can: that is
    /// what the proofs try.
    fn suits(_shape: &Shape, _limits: &MessageThresholds) -> bool {
        true
    }

    /// This rank's part of the call, before the first operation.
    fn start(shape: &Shape, limits: &MessageThresholds) -> Self;
}

/// What the proofs know of a candidate.
#[cfg(test)]
pub(in crate::collective) struct Row {
    pub(in crate::collective) collective: Collective,
    pub(in crate::collective) name: &'static str,
    pub(in crate::collective) suits: fn(&Shape, &MessageThresholds) -> bool,
    pub(in crate::collective) start: fn(&Shape, &MessageThresholds) -> Algorithm,
}

#[cfg(test)]
impl core::fmt::Debug for Row {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

// Of several algorithms of a collective the first that suits a call is taken.
rows::algorithms! {
    Barrier {
        BarrierDissemination in barrier_dissemination: "barrier by dissemination";
    }
    Bcast {
        BcastScatterRing in bcast_scatter_ring: "broadcast by scatter and ring" {
            /// Broadcasts of at least this many bytes, and of `bcast_block` for each rank, go by
            /// scatter and ring.
            bcast_scatter: 64 << 10,
            /// See `bcast_scatter`.
            bcast_block: 4 << 10,
        };
        BcastTree in bcast_tree: "broadcast down a pipelined binomial tree" {
            /// Segment of a broadcast down a tree.
            bcast_segment: 32 << 10,
        };
    }
    Reduce {
        ReduceTree in reduce_tree: "reduction up a pipelined binomial tree" {
            /// Segment of a reduction up a tree.
            reduce_segment: 64 << 10,
        };
    }
    Allreduce {
        AllreduceHalving in allreduce_halving: "allreduce by recursive halving and doubling" {
            /// Vectors of at least this many bytes, and of an element for each rank, are reduced by
            /// halving.
            allreduce_halving: 8 << 10,
        };
        AllreduceDoubling in allreduce_doubling: "allreduce by recursive doubling";
    }
    Gather {
        GatherLinear in gather_linear: "linear gather" {
            /// Blocks of at least this many bytes are gathered directly.
            gather_linear: 4 << 10,
        };
        GatherTree in gather_tree: "gather up a binomial tree";
    }
    Scatter {
        ScatterLinear in scatter_linear: "linear scatter" {
            /// Blocks of at least this many bytes are scattered directly.
            scatter_linear: 4 << 10,
        };
        ScatterTree in scatter_tree: "scatter down a binomial tree";
    }
    Allgather {
        AllgatherRing in allgather_ring: "allgather around a ring" {
            /// Blocks of at least this many bytes travel around a ring.
            allgather_ring: 4 << 10,
        };
        AllgatherDissemination in allgather_dissemination: "allgather by dissemination";
    }
    Alltoall {
        AlltoallPairwise in alltoall_pairwise: "pairwise alltoall";
    }
    ReduceScatter {
        ReduceScatterPairwise in reduce_scatter_pairwise: "pairwise reduce-scatter";
    }
    Scan {
        ScanDoubling in scan_doubling: "scan by doubling";
    }
    Exscan {
        ExscanDoubling in exscan_doubling: "exscan by doubling";
    }
    // Special ones.
    _ {
        Nothing in nothing: "nothing";
        AllgathervRing in allgatherv_ring: "allgather of unequal blocks around a ring";
        DirectExchange in direct_exchange: "direct exchange";
        IntergroupReduce in intergroup_reduce: "direct reduction of another group's vectors";
        IntergroupBcast in intergroup_bcast: "broadcast to two groups";
        OnBoard in boards: "on the board";
        ByNodes in by_nodes: "within and between nodes";
    }
}
