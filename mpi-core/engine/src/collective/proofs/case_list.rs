//! The list that the checks go through: every algorithm with small and large, equal and unequal, empty and in-place blocks.

use super::case::{Case, Kind, Placed, Sides, edges, starts, unequal};
use super::simulate::PAYLOAD;
use crate::collective::algorithms::allgather::{Dissemination as Gossip, Ring, UnequalRing};
use crate::collective::algorithms::allreduce::{Halving, RecursiveDoubling};
use crate::collective::algorithms::bcast::{PipelinedTree, ScatterRing};
use crate::collective::algorithms::by_nodes::{self, Nodes};
use crate::collective::algorithms::exchange::Block;
use crate::collective::algorithms::gather::{Linear, SubtreeGather};
use crate::collective::algorithms::reduce::TreeReduce;
use crate::collective::algorithms::reduce_scatter::Parts;
use crate::collective::algorithms::scatter::{LinearScatter, SubtreeScatter};
use crate::collective::boards::on_board::OnBoard;
use crate::collective::operation::Place;
use crate::collective::schedule::{Algorithm, Schedule};
use crate::collective::select::{self, BoardLimits, Thresholds};
use crate::collective::shape::{Collective, Shape};

type Choose = fn(Shape) -> Schedule;

/// Every algorithm, whatever the thresholds say, and the selection itself.
const ALGORITHMS: &[(Kind, Choose)] = &[
    (Kind::Barrier, |s| select::barrier(s, &TINY)),
    (Kind::Bcast, |s| {
        Schedule::new(Algorithm::PipelinedTree(PipelinedTree::new(1 << 20)), s)
    }),
    (Kind::Bcast, |s| {
        Schedule::new(Algorithm::PipelinedTree(PipelinedTree::new(5)), s)
    }),
    (Kind::Bcast, |s| {
        Schedule::new(Algorithm::ScatterRing(ScatterRing::START), s)
    }),
    (Kind::Bcast, |s| select::bcast(s, &TINY)),
    (Kind::Reduce, |s| {
        Schedule::new(Algorithm::TreeReduce(TreeReduce::new(1 << 20, &s)), s)
    }),
    (Kind::Reduce, |s| {
        Schedule::new(Algorithm::TreeReduce(TreeReduce::new(24, &s)), s)
    }),
    (Kind::Reduce, |s| select::reduce(s, &TINY)),
    (Kind::Allreduce, |s| {
        Schedule::new(Algorithm::RecursiveDoubling(RecursiveDoubling::START), s)
    }),
    (Kind::Allreduce, |s| {
        Schedule::new(Algorithm::Halving(Halving::START), s)
    }),
    (Kind::Allreduce, |s| select::allreduce(s, &TINY)),
    (Kind::Gather, |s| {
        Schedule::new(Algorithm::SubtreeGather(SubtreeGather::START), s)
    }),
    (Kind::Gather, |s| {
        Schedule::new(Algorithm::Linear(Linear::START), s)
    }),
    (Kind::Gather, |s| select::gather(s, &TINY)),
    (Kind::Allgather, |s| {
        Schedule::new(Algorithm::Gossip(Gossip::START), s)
    }),
    (Kind::Allgather, |s| {
        Schedule::new(Algorithm::Ring(Ring::START), s)
    }),
    (Kind::Allgather, |s| select::allgather(s, &TINY)),
    (Kind::Allgatherv, |s| {
        let starts = starts((0..s.size).map(|from| unequal(s.count, from, 0)));
        let blocks = starts.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
        let ring = UnequalRing::new(blocks.collect());
        Schedule::new(Algorithm::UnequalRing(ring), s)
    }),
    (Kind::Allgatherv, |s| {
        let starts = starts((0..s.size).map(|from| unequal(s.count, from, 0)));
        let block = |rank: u32| {
            let [start, end] = [starts[rank as usize], starts[rank as usize + 1]];
            (Place::output(start), end - start)
        };
        let (own, bytes) = block(s.rank);
        let from = if s.in_place { own } else { Place::input(0) };
        let sends = (0..s.size).map(|peer| Block {
            peer,
            place: from,
            bytes,
        });
        let receives = (0..s.size).map(|peer| {
            let (place, bytes) = block(peer);
            Block { peer, place, bytes }
        });
        select::exchange(s, sends.collect(), receives.collect())
    }),
    (Kind::Scatter, |s| {
        Schedule::new(Algorithm::SubtreeScatter(SubtreeScatter::START), s)
    }),
    (Kind::Scatter, |s| {
        Schedule::new(Algorithm::LinearScatter(LinearScatter::START), s)
    }),
    (Kind::Scatter, |s| select::scatter(s, &TINY)),
    (Kind::Alltoall, |s| select::alltoall(s, &TINY)),
    (Kind::Alltoallv, |s| {
        let sent = starts((0..s.size).map(|to| unequal(s.count, s.rank, to)));
        let received = starts((0..s.size).map(|from| unequal(s.count, from, s.rank)));
        let blocks = |starts: &[usize], place: fn(usize) -> Place| {
            let lengths = (0..).zip(starts.windows(2));
            let blocks = lengths.map(|(peer, pair)| Block {
                peer,
                place: place(pair[0]),
                bytes: pair[1] - pair[0],
            });
            blocks.collect()
        };
        select::exchange(
            s,
            blocks(&sent, Place::input),
            blocks(&received, Place::output),
        )
    }),
    (Kind::Neighbours, |s| {
        let blocks = |edges: fn(u32, u32) -> u32, place: fn(usize) -> Place| {
            let mut at = 0;
            let mut blocks = Vec::new();
            for peer in 0..s.size {
                for _ in 0..edges(s.rank, peer) {
                    let place = place(at);
                    at += s.bytes();
                    blocks.push(Block {
                        peer,
                        place,
                        bytes: s.bytes(),
                    });
                }
            }
            blocks
        };
        let sends = blocks(edges, Place::input);
        let receives = blocks(|to, from| edges(from, to), Place::output);
        select::exchange(s, sends, receives)
    }),
    (Kind::ReduceScatterBlock, |s| {
        select::reduce_scatter(s, Parts::Equal, &TINY)
    }),
    (Kind::ReduceScatter, |s| {
        let starts = starts((0..s.size).map(|to| unequal(s.count, to, 0)));
        select::reduce_scatter(s, Parts::Unequal(starts), &TINY)
    }),
    (Kind::AllreduceAcross, |s| {
        let sides = Sides::of(&s);
        let sends = (0..sides.others).map(|to| (to, 0, s.bytes()));
        select::reduce_across(sides.shape(s), sides.group, sends.collect(), sides.others)
    }),
    (Kind::ReduceScatterAcross, |s| {
        let sides = Sides::of(&s);
        let block = s.count % 4 * sides.group as usize * s.width;
        let sends = (0..sides.others).map(|to| (to, to as usize * block, block));
        let shape = Shape {
            count: sides.dealt(s.count),
            ..sides.shape(s)
        };
        select::reduce_across(shape, sides.group, sends.collect(), sides.others)
    }),
    (Kind::AlltoallvAcross, |s| {
        let sides = Sides::of(&s);
        let blocks = |length: &dyn Fn(u32) -> usize, place: fn(usize) -> Place| {
            let starts = starts((0..sides.others).map(length));
            let blocks = (0..).zip(starts.windows(2)).map(|(peer, pair)| Block {
                peer,
                place: place(pair[0]),
                bytes: pair[1] - pair[0],
            });
            blocks.collect()
        };
        let sends = blocks(&|to| unequal(s.count, s.rank, sides.peer(to)), Place::input);
        let receives = blocks(
            &|from| unequal(s.count, sides.peer(from), s.rank),
            Place::output,
        );
        select::exchange_across(sides.shape(s), sends, receives)
    }),
    (Kind::TellBoth, |s| {
        let sides = Sides::of(&s);
        select::tell_both(sides.shape(s), sides.is_first, sides.others)
    }),
    (Kind::Scan, |s| select::scan(s, &TINY)),
    (Kind::Exscan, |s| select::exscan(s, &TINY)),
    (Kind::Barrier, |s| on_board(Collective::Barrier, s, 0)),
    (Kind::Bcast, |s| on_board(Collective::Bcast, s, 0)),
    (Kind::Reduce, |s| on_board(Collective::Reduce, s, 1 << 20)),
    (Kind::Allreduce, |s| {
        on_board(Collective::Allreduce, s, 1 << 20)
    }),
    (Kind::Allreduce, |s| on_board(Collective::Allreduce, s, 0)),
    (Kind::Gather, |s| on_board(Collective::Gather, s, 0)),
    (Kind::Allgather, |s| on_board(Collective::Allgather, s, 0)),
    (Kind::Scatter, |s| on_board(Collective::Scatter, s, 0)),
    (Kind::Alltoall, |s| on_board(Collective::Alltoall, s, 0)),
    (Kind::Scan, |s| on_board(Collective::Scan, s, 0)),
    (Kind::Exscan, |s| on_board(Collective::Exscan, s, 0)),
    (Kind::ReduceScatterBlock, |s| {
        on_board(Collective::ReduceScatter, s, 0)
    }),
];

/// Over a board, or by messages what a board is not for: nobody else, or an allreduce whose operation does not commute.
fn on_board(collective: Collective, shape: Shape, flat_bytes: usize) -> Schedule {
    match OnBoard::new(collective, &shape, PAYLOAD, flat_bytes) {
        Some(algorithm) => Schedule::new(Algorithm::OnBoard(algorithm), shape),
        None => flat(collective, shape),
    }
}

fn flat(collective: Collective, shape: Shape) -> Schedule {
    match collective {
        Collective::Barrier => select::barrier(shape, &TINY),
        Collective::Bcast => select::bcast(shape, &TINY),
        Collective::Reduce => select::reduce(shape, &TINY),
        Collective::Allreduce => select::allreduce(shape, &TINY),
        Collective::Gather => select::gather(shape, &TINY),
        Collective::Allgather => select::allgather(shape, &TINY),
        Collective::Scatter => select::scatter(shape, &TINY),
        Collective::Alltoall => select::alltoall(shape, &TINY),
        Collective::ReduceScatter => select::reduce_scatter(shape, Parts::Equal, &TINY),
        Collective::Scan => select::scan(shape, &TINY),
        Collective::Exscan => select::exscan(shape, &TINY),
    }
}

/// Nodes of three ranks, of more and more, and ranks dealt out to three.
const THREES: Placed = |rank, _| rank / 3;
const GROWING: Placed = |rank, _| rank.isqrt();
const DEALT: Placed = |rank, _| rank % 3;

/// Collectives that go by nodes, with boards and without.
const BY_NODES: &[(Kind, Placed, Choose)] = &[
    (Kind::Barrier, THREES, |s| {
        by_nodes(Collective::Barrier, s, THREES, false)
    }),
    (Kind::Barrier, DEALT, |s| {
        by_nodes(Collective::Barrier, s, DEALT, true)
    }),
    (Kind::Bcast, GROWING, |s| {
        by_nodes(Collective::Bcast, s, GROWING, false)
    }),
    (Kind::Bcast, DEALT, |s| {
        by_nodes(Collective::Bcast, s, DEALT, true)
    }),
    (Kind::Reduce, GROWING, |s| {
        by_nodes(Collective::Reduce, s, GROWING, false)
    }),
    (Kind::Reduce, DEALT, |s| {
        by_nodes(Collective::Reduce, s, DEALT, false)
    }),
    (Kind::Reduce, THREES, |s| {
        by_nodes(Collective::Reduce, s, THREES, true)
    }),
    (Kind::Allreduce, THREES, |s| {
        by_nodes(Collective::Allreduce, s, THREES, false)
    }),
    (Kind::Allreduce, DEALT, |s| {
        by_nodes(Collective::Allreduce, s, DEALT, true)
    }),
    (Kind::Allreduce, GROWING, |s| {
        by_nodes(Collective::Allreduce, s, GROWING, true)
    }),
    (Kind::Allgather, THREES, |s| {
        by_nodes(Collective::Allgather, s, THREES, false)
    }),
    (Kind::Allgather, GROWING, |s| {
        by_nodes(Collective::Allgather, s, GROWING, true)
    }),
];

/// By nodes, or flat what nodes are not for.
fn by_nodes(collective: Collective, shape: Shape, placed: Placed, with_board: bool) -> Schedule {
    let nodes = Nodes::new((0..shape.size).map(|rank| placed(rank, shape.size)));
    let limits = match with_board {
        true => Thresholds {
            board: ALWAYS,
            ..TINY
        },
        false => TINY,
    };
    let board = with_board.then_some(PAYLOAD);
    let found =
        nodes.and_then(|nodes| by_nodes::by_nodes(collective, &shape, (&nodes, board), &limits));
    found.unwrap_or_else(|| flat(collective, shape))
}

/// Whatever the length.
const ALWAYS: BoardLimits = BoardLimits {
    bcast: [usize::MAX; 3],
    reduce: [usize::MAX; 3],
    allreduce: [usize::MAX; 3],
    gather: [usize::MAX; 3],
    allgather: [usize::MAX; 3],
    scatter: [usize::MAX; 3],
    alltoall: [usize::MAX; 3],
    reduce_scatter: [usize::MAX; 3],
    scan: [usize::MAX; 3],
};

/// Thresholds that the counts of these tests lie on both sides of.
pub(in crate::collective) const TINY: Thresholds = Thresholds {
    bcast_scatter: 16,
    bcast_block: 2,
    bcast_segment: 4,
    reduce_segment: 16,
    allreduce_halving: 24,
    gather_linear: 5,
    scatter_linear: 5,
    allgather_ring: 5,
    board: BoardLimits {
        bcast: [0; 3],
        reduce: [0; 3],
        allreduce: [0; 3],
        gather: [0; 3],
        allgather: [0; 3],
        scatter: [0; 3],
        alltoall: [0; 3],
        reduce_scatter: [0; 3],
        scan: [0; 3],
    },
    board_turns: usize::MAX,
    by_nodes: usize::MAX,
    board_flat: 0,
    board_flat_crowded: 0,
};

/// Calls of this size, from small to large; `counts` and `roots` are made distinct here.
pub(in crate::collective) fn cases(size: u32, counts: &[usize], roots: &[u32]) -> Vec<Case> {
    let mut cases = Vec::new();
    let flat = ALGORITHMS
        .iter()
        .map(|&(kind, choose)| (kind, choose, None));
    let by_nodes = BY_NODES
        .iter()
        .map(|&(kind, placed, choose)| (kind, choose, Some(placed)));
    for (kind, choose, placed) in flat.chain(by_nodes) {
        let mut base = Case {
            kind,
            choose,
            placed,
            size,
            root: 0,
            count: 0,
            commutative: true,
            in_place: false,
        };
        let mut counts = if kind == Kind::Barrier {
            vec![0]
        } else {
            counts.to_vec()
        };
        counts.sort_unstable();
        counts.dedup();
        if base.is_across() && size == 1 {
            continue;
        }
        let mut roots = if base.rooted() || base.is_across() {
            roots.to_vec()
        } else {
            vec![0]
        };
        roots.sort_unstable();
        roots.dedup();
        for &count in &counts {
            for &root in &roots {
                for commutative in [true, false] {
                    for in_place in [false, true] {
                        let meaningless =
                            !commutative && !base.reduces() || in_place && !base.may_be_in_place();
                        if !meaningless {
                            base = Case {
                                root,
                                count,
                                commutative,
                                in_place,
                                ..base
                            };
                            cases.push(base);
                        }
                    }
                }
            }
        }
    }
    cases
}
