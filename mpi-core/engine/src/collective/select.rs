//! Chooses the algorithm of a call, from nothing but values that are equal on all ranks.

use std::sync::Arc;

use super::schedule::{Algorithm, Schedule};
use super::shape::{Collective, Shape};
use crate::collective::algorithms::across::{ReduceAcross, TellBoth};
use crate::collective::algorithms::allgather::{Dissemination as Gossip, Ring, UnequalRing};
use crate::collective::algorithms::allreduce::{Halving, RecursiveDoubling};
use crate::collective::algorithms::alltoall::Pairwise;
use crate::collective::algorithms::barrier::Dissemination;
use crate::collective::algorithms::bcast::{PipelinedTree, ScatterRing};
use crate::collective::algorithms::exchange::{Block, Exchange};
use crate::collective::algorithms::gather::{Linear, SubtreeGather};
use crate::collective::algorithms::reduce::TreeReduce;
use crate::collective::algorithms::reduce_scatter::{Parts, ReduceScatter};
use crate::collective::algorithms::scan::{Exscan, Scan};
use crate::collective::algorithms::scatter::{LinearScatter, SubtreeScatter};
use crate::collective::boards::on_board::OnBoard;

/// Where one algorithm gives way to another, in bytes. The same on all ranks of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Broadcasts of at least this many bytes, and of `bcast_block` for each rank, go by scatter and ring.
    pub bcast_scatter: usize,
    /// See `bcast_scatter`.
    pub bcast_block: usize,
    /// Segment of a broadcast down a tree.
    pub bcast_segment: usize,
    /// Segment of a reduction up a tree.
    pub reduce_segment: usize,
    /// Vectors of at least this many bytes, and of an element for each rank, are reduced by halving.
    pub allreduce_halving: usize,
    /// Blocks of at least this many bytes are gathered directly.
    pub gather_linear: usize,
    /// Blocks of at least this many bytes are scattered directly.
    pub scatter_linear: usize,
    /// Blocks of at least this many bytes travel around a ring.
    pub allgather_ring: usize,
    /// Vectors and blocks of up to this many bytes go over a board.
    pub board: BoardLimits,
    /// The most turns of a board that a call takes. Many members have short slots, for which a long call would wait often.
    pub board_turns: usize,
    /// Calls of up to this many bytes go within nodes and between them where a communicator spans several.
    pub by_nodes: usize,
    /// Vectors of up to this many bytes are combined on a board by everybody who wants the result, longer ones in slices where that is all.
    pub board_flat: usize,
    /// The same where ranks take turns on a processor, and waiting once more costs more.
    pub board_flat_crowded: usize,
}

/// A threshold that has a name.
pub(crate) type Named = (&'static str, fn(&mut Thresholds) -> &mut usize);

/// All of them, for who chooses otherwise than we do. `board` ones are for more than four ranks, those that end in a number for at most as many.
pub(crate) const NAMED: [Named; 39] = [
    ("bcast_scatter", |t| &mut t.bcast_scatter),
    ("bcast_block", |t| &mut t.bcast_block),
    ("bcast_segment", |t| &mut t.bcast_segment),
    ("reduce_segment", |t| &mut t.reduce_segment),
    ("allreduce_halving", |t| &mut t.allreduce_halving),
    ("gather_linear", |t| &mut t.gather_linear),
    ("scatter_linear", |t| &mut t.scatter_linear),
    ("allgather_ring", |t| &mut t.allgather_ring),
    ("by_nodes", |t| &mut t.by_nodes),
    ("board_turns", |t| &mut t.board_turns),
    ("board_flat", |t| &mut t.board_flat),
    ("board_flat_crowded", |t| &mut t.board_flat_crowded),
    ("board_bcast", |t| &mut t.board.bcast[2]),
    ("board_bcast4", |t| &mut t.board.bcast[1]),
    ("board_bcast2", |t| &mut t.board.bcast[0]),
    ("board_reduce", |t| &mut t.board.reduce[2]),
    ("board_reduce4", |t| &mut t.board.reduce[1]),
    ("board_reduce2", |t| &mut t.board.reduce[0]),
    ("board_allreduce", |t| &mut t.board.allreduce[2]),
    ("board_allreduce4", |t| &mut t.board.allreduce[1]),
    ("board_allreduce2", |t| &mut t.board.allreduce[0]),
    ("board_gather", |t| &mut t.board.gather[2]),
    ("board_gather4", |t| &mut t.board.gather[1]),
    ("board_gather2", |t| &mut t.board.gather[0]),
    ("board_allgather", |t| &mut t.board.allgather[2]),
    ("board_allgather4", |t| &mut t.board.allgather[1]),
    ("board_allgather2", |t| &mut t.board.allgather[0]),
    ("board_scatter", |t| &mut t.board.scatter[2]),
    ("board_scatter4", |t| &mut t.board.scatter[1]),
    ("board_scatter2", |t| &mut t.board.scatter[0]),
    ("board_alltoall", |t| &mut t.board.alltoall[2]),
    ("board_alltoall4", |t| &mut t.board.alltoall[1]),
    ("board_alltoall2", |t| &mut t.board.alltoall[0]),
    ("board_reduce_scatter", |t| &mut t.board.reduce_scatter[2]),
    ("board_reduce_scatter4", |t| &mut t.board.reduce_scatter[1]),
    ("board_reduce_scatter2", |t| &mut t.board.reduce_scatter[0]),
    ("board_scan", |t| &mut t.board.scan[2]),
    ("board_scan4", |t| &mut t.board.scan[1]),
    ("board_scan2", |t| &mut t.board.scan[0]),
];

/// For two ranks, for up to four, and for more. Two copies through the cache are cheaper than one from memory to memory by system call, and wait less often
/// than messages do; where every rank has another block for every other, a turn has little room for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardLimits {
    /// Broadcasts.
    pub bcast: [usize; 3],
    /// Reductions.
    pub reduce: [usize; 3],
    /// Allreduce.
    pub allreduce: [usize; 3],
    /// Blocks that are gathered.
    pub gather: [usize; 3],
    /// Blocks of an allgather.
    pub allgather: [usize; 3],
    /// Blocks that are scattered, all together.
    pub scatter: [usize; 3],
    /// Blocks of an alltoall, all together.
    pub alltoall: [usize; 3],
    /// Blocks of a reduce-scatter, all together.
    pub reduce_scatter: [usize; 3],
    /// Scan and exscan.
    pub scan: [usize; 3],
}

impl BoardLimits {
    pub(super) fn of(&self, collective: Collective, size: u32) -> usize {
        let limits = match collective {
            Collective::Barrier => return usize::MAX,
            Collective::Bcast => self.bcast,
            Collective::Reduce => self.reduce,
            Collective::Allreduce => self.allreduce,
            Collective::Gather => self.gather,
            Collective::Allgather => self.allgather,
            Collective::Scatter => self.scatter,
            Collective::Alltoall => self.alltoall,
            Collective::ReduceScatter => self.reduce_scatter,
            Collective::Scan | Collective::Exscan => self.scan,
        };
        limits[usize::from(size > 2) + usize::from(size > 4)]
    }
}

impl Thresholds {
    /// Those of messages from the cost of one against that of a byte in shared memory, which are equal at a few KiB; those of boards were
    /// measured with two to eight ranks on two processors.
    pub const DEFAULT: Thresholds = Thresholds {
        bcast_scatter: 64 << 10,
        bcast_block: 4 << 10,
        bcast_segment: 32 << 10,
        reduce_segment: 64 << 10,
        allreduce_halving: 8 << 10,
        gather_linear: 4 << 10,
        scatter_linear: 4 << 10,
        allgather_ring: 4 << 10,
        board: BoardLimits {
            bcast: [usize::MAX; 3],
            reduce: [usize::MAX; 3],
            allreduce: [usize::MAX; 3],
            gather: [usize::MAX; 3],
            allgather: [usize::MAX; 3],
            scatter: [usize::MAX, 8 << 20, 512 << 10],
            alltoall: [usize::MAX, 8 << 20, 2 << 20],
            reduce_scatter: [usize::MAX, 8 << 20, 8 << 20],
            scan: [usize::MAX, 64 << 10, 64 << 10],
        },
        board_turns: 256,
        by_nodes: 1 << 30,
        board_flat: 1 << 10,
        board_flat_crowded: 32 << 10,
    };
}

/// The call over the communicator's board, if it has one and the call is for it.
fn on_board(collective: Collective, shape: &Shape, limits: &Thresholds) -> Option<Schedule> {
    let payload = shape.board?;
    let blocks = if collective.has_blocks() {
        shape.size as usize
    } else {
        1
    };
    let bytes = shape.bytes().saturating_mul(blocks);
    if bytes > limits.board.of(collective, shape.size)
        || shape.count == 0 && collective != Collective::Barrier
    {
        return None;
    }
    let algorithm = OnBoard::new(collective, shape, payload, limits.board_flat)?;
    if algorithm.turns(shape) > limits.board_turns as u64 {
        return None;
    }
    Some(Schedule::new(Algorithm::OnBoard(algorithm), *shape))
}

/// The call over the board, or by messages.
fn board_or(
    collective: Collective,
    shape: Shape,
    limits: &Thresholds,
    messages: impl FnOnce() -> Algorithm,
) -> Schedule {
    on_board(collective, &shape, limits).unwrap_or_else(|| Schedule::new(messages(), shape))
}

/// A barrier.
pub(crate) fn barrier(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Barrier, shape, limits, || {
        Algorithm::Dissemination(Dissemination::START)
    })
}

/// A broadcast of `shape.bytes()` from the root; the buffer is the output on all ranks.
pub(crate) fn bcast(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Bcast, shape, limits, || {
        let (bytes, size) = (shape.bytes(), shape.size as usize);
        if bytes == 0 || size == 1 {
            Algorithm::Nothing
        } else if size == 2 {
            // Nobody passes anything on, so segments would gain nothing.
            Algorithm::PipelinedTree(PipelinedTree::new(bytes))
        } else if bytes >= limits.bcast_scatter && bytes / size >= limits.bcast_block {
            Algorithm::ScatterRing(ScatterRing::START)
        } else {
            Algorithm::PipelinedTree(PipelinedTree::new(limits.bcast_segment.max(1)))
        }
    })
}

/// A reduction of `shape.count` elements to the root.
pub(crate) fn reduce(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Reduce, shape, limits, || {
        Algorithm::TreeReduce(TreeReduce::new(limits.reduce_segment, &shape))
    })
}

/// A reduction of `shape.count` elements whose result every rank gets.
pub(crate) fn allreduce(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Allreduce, shape, limits, || {
        if shape.count == 0 {
            Algorithm::Nothing
        } else if shape.bytes() >= limits.allreduce_halving && shape.count >= shape.size as usize {
            Algorithm::Halving(Halving::START)
        } else {
            Algorithm::RecursiveDoubling(RecursiveDoubling::START)
        }
    })
}

/// Every rank's `shape.bytes()` to the root, whose output has them in the order of ranks.
pub(crate) fn gather(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Gather, shape, limits, || {
        if shape.bytes() == 0 {
            Algorithm::Nothing
        } else if shape.bytes() >= limits.gather_linear {
            Algorithm::Linear(Linear::START)
        } else {
            Algorithm::SubtreeGather(SubtreeGather::START)
        }
    })
}

/// A block of `shape.bytes()` from the root's input for each rank, in the order of ranks.
pub(crate) fn scatter(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Scatter, shape, limits, || {
        if shape.bytes() == 0 {
            Algorithm::Nothing
        } else if shape.bytes() >= limits.scatter_linear {
            Algorithm::LinearScatter(LinearScatter::START)
        } else {
            Algorithm::SubtreeScatter(SubtreeScatter::START)
        }
    })
}

/// A block of `shape.bytes()` from every rank for every rank. Not in place.
pub(crate) fn alltoall(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Alltoall, shape, limits, || {
        Algorithm::Pairwise(Pairwise::START)
    })
}

/// What is done already.
pub(crate) fn nothing(shape: Shape) -> Schedule {
    Schedule::new(Algorithm::Nothing, shape)
}

/// These blocks from any rank to any other.
pub(crate) fn exchange(shape: Shape, sends: Vec<Block>, receives: Vec<Block>) -> Schedule {
    let exchange = Exchange::new(shape.rank, shape.size, sends, receives);
    Schedule::new(Algorithm::Exchange(exchange), shape)
}

/// These blocks from any rank of one group to any of another. `shape.size` is the size of the larger one.
pub(crate) fn exchange_across(shape: Shape, sends: Vec<Block>, receives: Vec<Block>) -> Schedule {
    let exchange = Exchange::across(shape.rank, shape.size, sends, receives);
    Schedule::new(Algorithm::Exchange(exchange), shape)
}

/// A reduction of what the other group sends: see [`ReduceAcross::new`].
pub(crate) fn reduce_across(
    shape: Shape,
    group: u32,
    sends: Vec<(u32, usize, usize)>,
    operands: u32,
) -> Schedule {
    let reduction = ReduceAcross::new(&shape, group, sends, operands);
    Schedule::new(Algorithm::ReduceAcross(reduction), shape)
}

/// What one group's rank 0 says for both groups.
pub(crate) fn tell_both(shape: Shape, is_origin: bool, others: u32) -> Schedule {
    let telling = TellBoth::new(is_origin, others);
    Schedule::new(Algorithm::TellBoth(telling), shape)
}

/// Every rank's block of these bytes {offset, length in the output} for all.
pub(crate) fn allgatherv(shape: Shape, blocks: Arc<[(usize, usize)]>) -> Schedule {
    Schedule::new(Algorithm::UnequalRing(UnequalRing::new(blocks)), shape)
}

/// A reduction whose result is dealt out. Not in place.
pub(crate) fn reduce_scatter(shape: Shape, parts: Parts, limits: &Thresholds) -> Schedule {
    if let Parts::Equal = parts
        && let Some(schedule) = on_board(Collective::ReduceScatter, &shape, limits)
    {
        return schedule;
    }
    Schedule::new(Algorithm::ReduceScatter(ReduceScatter::new(parts)), shape)
}

/// For each rank the reduction of the ranks up to it.
pub(crate) fn scan(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Scan, shape, limits, || {
        Algorithm::Scan(Scan::START)
    })
}

/// For each rank but the first the reduction of the ranks below it.
pub(crate) fn exscan(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Exscan, shape, limits, || {
        Algorithm::Exscan(Exscan::START)
    })
}

/// Every rank's `shape.bytes()` to every rank, in the order of ranks.
pub(crate) fn allgather(shape: Shape, limits: &Thresholds) -> Schedule {
    board_or(Collective::Allgather, shape, limits, || {
        if shape.bytes() == 0 {
            Algorithm::Nothing
        } else if shape.bytes() >= limits.allgather_ring {
            Algorithm::Ring(Ring::START)
        } else {
            Algorithm::Gossip(Gossip::START)
        }
    })
}
