//! Chooses the algorithm of a call, from nothing but values that are equal on all ranks.
//!
//! By nodes where a communicator spans some, over a board where there is one, by messages
//! otherwise: then the table in [`algorithms`](super::algorithms) says which.

use std::sync::Arc;

use super::algorithms::{
    Algorithm, AllgathervRing, Block, DirectExchange, Generator, IntergroupBcast, IntergroupReduce,
    Nothing, Parts, ReduceScatterPairwise, by_nodes,
};
use super::boards::{OnBoard, Unequal, Way};
use super::nodes::Nodes;
use super::schedule::Schedule;
use super::shape::{Collective, Shape};
use super::thresholds::Thresholds;

/// A call on a communicator that may span nodes. `nodes`: where its members are if it does, and the
/// bytes of each slot of this node's board, where it has one that the call may use.
#[inline(always)]
pub(crate) fn schedule(
    collective: Collective,
    shape: Shape,
    nodes: Option<(&Nodes, Option<usize>)>,
    limits: &Thresholds,
) -> Schedule {
    if let Some(nodes) = nodes
        && let Some(schedule) = by_nodes(collective, &shape, nodes, limits)
    {
        return schedule;
    }
    flat(collective, shape, limits)
}

/// A call among ranks that are all equally far from one another.
// Inlined always, as its neighbours: the caller knows which collective it is, so what is for others
// falls away. That is a twentieth of a short call.
#[inline(always)]
pub(crate) fn flat(collective: Collective, shape: Shape, limits: &Thresholds) -> Schedule {
    let algorithm = if shape.count == 0 && collective != Collective::Barrier {
        Algorithm::Nothing(Nothing)
    } else if let Some(on_board) = on_board(collective, &shape, limits) {
        Algorithm::OnBoard(on_board)
    } else {
        Algorithm::select(collective, &shape, &limits.messages)
    };
    Schedule::new(algorithm, shape)
}

/// The call over the communicator's board, if it has one and the call is for it.
#[inline(always)]
fn on_board(collective: Collective, shape: &Shape, limits: &Thresholds) -> Option<OnBoard> {
    let payload = shape.board?;
    let blocks = if collective.has_blocks() {
        shape.size as usize
    } else {
        1
    };
    let bytes = shape.bytes().saturating_mul(blocks);
    if bytes > limits.board.longest.of(collective, shape.size) {
        return None;
    }
    let algorithm = OnBoard::new(collective, shape, payload, limits.board.sliced_above)?;
    (algorithm.turns(shape) <= limits.board.turns as u64).then_some(algorithm)
}

/// These blocks {to send, to receive} of a gather, scatter, allgather or alltoall whose blocks have
/// lengths of their own: over the board, if there is one, as far as its turns have room for them,
/// and by messages. `longest` is the length of the longest block, where everybody knows.
pub(crate) fn unequal_blocks(
    collective: Collective,
    shape: Shape,
    longest: Option<usize>,
    (sends, receives): (Vec<Block>, Vec<Block>),
    limits: &Thresholds,
) -> (Option<Unequal>, Schedule) {
    let Some(way) = Way::new(collective, &shape, longest, limits) else {
        return (None, direct_exchange(shape, sends, receives));
    };
    let unequal = Unequal::new(way, &shape, sends, receives);
    let schedule = match unequal.long() {
        Some((sends, receives)) => direct_exchange(shape, sends, receives),
        None => Schedule::new(Algorithm::Nothing(Nothing), shape),
    };
    (Some(unequal), schedule)
}

/// These blocks from any rank to any other.
pub(crate) fn direct_exchange(shape: Shape, sends: Vec<Block>, receives: Vec<Block>) -> Schedule {
    let exchange = DirectExchange::new(shape.rank, shape.size, sends, receives);
    Schedule::new(Algorithm::DirectExchange(exchange), shape)
}

/// These blocks from any rank of one group to any of another. `shape.size` is the size of the
/// larger one.
pub(crate) fn intergroup_exchange(
    shape: Shape,
    sends: Vec<Block>,
    receives: Vec<Block>,
) -> Schedule {
    let exchange = DirectExchange::between_groups(shape.rank, shape.size, sends, receives);
    Schedule::new(Algorithm::DirectExchange(exchange), shape)
}

/// A reduction of what the other group sends: see [`IntergroupReduce::new`].
pub(crate) fn intergroup_reduce(
    shape: Shape,
    group: u32,
    sends: Vec<(u32, usize, usize)>,
    operands: u32,
) -> Schedule {
    let reduction = IntergroupReduce::new(&shape, group, sends, operands);
    Schedule::new(Algorithm::IntergroupReduce(reduction), shape)
}

/// What one group's rank 0 says for both groups.
pub(crate) fn intergroup_bcast(shape: Shape, is_origin: bool, others: u32) -> Schedule {
    let telling = IntergroupBcast::new(is_origin, others);
    Schedule::new(Algorithm::IntergroupBcast(telling), shape)
}

/// Every rank's block of these bytes {offset, length in the output} for all, around a ring.
pub(crate) fn allgatherv_ring(shape: Shape, blocks: Arc<[(usize, usize)]>) -> Schedule {
    Schedule::new(
        Algorithm::AllgathervRing(AllgathervRing::new(blocks)),
        shape,
    )
}

/// At most this many ranks send each other short blocks directly instead of around a ring.
const DIRECT_RANKS: u32 = 32;
/// Longer blocks than this, on average, go around the ring.
const DIRECT_BYTES: usize = 4 << 10;

/// Whether an allgather of unequal blocks by messages is better done directly than around a ring.
/// `total`: the bytes of all blocks.
pub(crate) fn is_direct_allgatherv(size: u32, total: usize) -> bool {
    size <= DIRECT_RANKS && total / size as usize <= DIRECT_BYTES
}

/// A reduction whose result is dealt out. Not in place.
pub(crate) fn reduce_scatter(shape: Shape, parts: Parts, limits: &Thresholds) -> Schedule {
    match parts {
        Parts::Equal => flat(Collective::ReduceScatter, shape, limits),
        unequal @ Parts::Unequal(_) => {
            let pairwise = ReduceScatterPairwise::new(unequal);
            Schedule::new(Algorithm::ReduceScatterPairwise(pairwise), shape)
        }
    }
}
