//! The list that the checks go through: every algorithm with small and large, equal and unequal,
//! empty and in-place blocks.
//!
//! Most of it follows from the table of algorithms: each of its rows, and the choice among them,
//! for every collective. What is special has its cases here, one by one.

use super::case::{Case, Choice, Kind, Placed, Sides, WIDTH, edges, starts, unequal};
use super::simulate::PAYLOAD;
use crate::collective::algorithms::{Algorithm, Block, MessageThresholds, Parts, by_nodes};
use crate::collective::boards::{BoardLengths, BoardThresholds, OnBoard};
use crate::collective::nodes::Nodes;
use crate::collective::operation::Place;
use crate::collective::schedule::Schedule;
use crate::collective::select;
use crate::collective::shape::{Collective, Shape};
use crate::collective::thresholds::Thresholds;

/// Thresholds that the counts of these tests lie on both sides of.
pub(in crate::collective) const TINY: Thresholds = Thresholds {
    messages: MessageThresholds {
        // Several elements, so that the last segment can be a shorter one.
        reduce_segment: 2 * WIDTH,
        ..MessageThresholds::all(5)
    },
    board: BoardThresholds {
        longest: BoardLengths::all(0),
        turns: usize::MAX,
        sliced_above: 0,
        sliced_above_crowded: 0,
    },
    by_nodes: usize::MAX,
};

/// Thresholds that algorithms start with: segments of a few bytes, of several elements, and of
/// everything.
static STARTS: [MessageThresholds; 3] = [
    TINY.messages,
    MessageThresholds::all(24),
    MessageThresholds::DEFAULT,
];

impl Choice {
    pub(in crate::collective) fn schedule(self, shape: Shape) -> Schedule {
        match self {
            Choice::Algorithm(row, limits) => Schedule::new((row.start)(&shape, limits), shape),
            Choice::Messages(collective) => select::flat(collective, shape, &TINY),
            Choice::Board(collective, sliced_above) => over_board(collective, shape, sliced_above),
            Choice::Nodes(collective, placed, with_board) => {
                among_nodes(collective, shape, placed, with_board)
            }
            Choice::Special(choose) => choose(shape),
        }
    }
}

/// Over a board, or by messages what a board is not for: nobody else, or an allreduce whose
/// operation does not commute.
fn over_board(collective: Collective, shape: Shape, sliced_above: usize) -> Schedule {
    match OnBoard::new(collective, &shape, PAYLOAD, sliced_above) {
        Some(on_board) => Schedule::new(Algorithm::OnBoard(on_board), shape),
        None => select::flat(collective, shape, &TINY),
    }
}

/// By nodes, or flat what nodes are not for.
fn among_nodes(collective: Collective, shape: Shape, placed: Placed, with_board: bool) -> Schedule {
    let nodes = Nodes::new((0..shape.size).map(|rank| placed(rank, shape.size)));
    let longest = match with_board {
        true => BoardLengths::all(usize::MAX),
        false => BoardLengths::all(0),
    };
    let limits = Thresholds {
        board: BoardThresholds {
            longest,
            ..TINY.board
        },
        ..TINY
    };
    let board = with_board.then_some(PAYLOAD);
    let found = nodes.and_then(|nodes| by_nodes(collective, &shape, (&nodes, board), &limits));
    found.unwrap_or_else(|| select::flat(collective, shape, &TINY))
}

type Choose = fn(Shape) -> Schedule;

/// What needs more than a shape.
const SPECIAL: &[(Kind, Choose)] = &[
    (Kind::Allgatherv, |s| {
        let starts = starts((0..s.size).map(|from| unequal(s.count, from, 0)));
        let blocks = starts.windows(2).map(|pair| (pair[0], pair[1] - pair[0]));
        select::allgatherv_ring(s, blocks.collect())
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
        select::direct_exchange(s, sends.collect(), receives.collect())
    }),
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
        select::direct_exchange(
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
        select::direct_exchange(s, sends, receives)
    }),
    (Kind::ReduceScatter, |s| {
        let starts = starts((0..s.size).map(|to| unequal(s.count, to, 0)));
        select::reduce_scatter(s, Parts::Unequal(starts), &TINY)
    }),
    (Kind::AllreduceAcross, |s| {
        let sides = Sides::of(&s);
        let sends = (0..sides.others).map(|to| (to, 0, s.bytes()));
        select::intergroup_reduce(sides.shape(s), sides.group, sends.collect(), sides.others)
    }),
    (Kind::ReduceScatterAcross, |s| {
        let sides = Sides::of(&s);
        let block = s.count % 4 * sides.group as usize * s.width;
        let sends = (0..sides.others).map(|to| (to, to as usize * block, block));
        let shape = Shape {
            count: sides.dealt(s.count),
            ..sides.shape(s)
        };
        select::intergroup_reduce(shape, sides.group, sends.collect(), sides.others)
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
        select::intergroup_exchange(sides.shape(s), sends, receives)
    }),
    (Kind::TellBoth, |s| {
        let sides = Sides::of(&s);
        select::intergroup_bcast(sides.shape(s), sides.is_first, sides.others)
    }),
];

/// Nodes of three ranks, of more and more, and ranks dealt out to three.
const THREES: Placed = |rank, _| rank / 3;
const GROWING: Placed = |rank, _| rank.isqrt();
const DEALT: Placed = |rank, _| rank % 3;

/// Collectives that go by nodes, with boards and without.
const BY_NODES: &[(Collective, Placed, bool)] = &[
    (Collective::Barrier, THREES, false),
    (Collective::Barrier, DEALT, true),
    (Collective::Bcast, GROWING, false),
    (Collective::Bcast, DEALT, true),
    (Collective::Reduce, GROWING, false),
    (Collective::Reduce, DEALT, false),
    (Collective::Reduce, THREES, true),
    (Collective::Allreduce, THREES, false),
    (Collective::Allreduce, DEALT, true),
    (Collective::Allreduce, GROWING, true),
    (Collective::Allgather, THREES, false),
    (Collective::Allgather, GROWING, true),
];

/// Everything that is checked.
fn choices() -> Vec<(Kind, Choice)> {
    let mut choices = Vec::new();
    for row in Algorithm::CANDIDATES {
        let starts = STARTS.iter().map(|limits| Choice::Algorithm(row, limits));
        choices.extend(starts.map(|choice| (row.collective.into(), choice)));
    }
    for collective in Collective::ALL {
        let kind = collective.into();
        // The choice among one is that one.
        let rows = Algorithm::CANDIDATES.iter();
        if rows.filter(|row| row.collective == collective).count() > 1 {
            choices.push((kind, Choice::Messages(collective)));
        }
        // An allreduce in slices, and as everything else is done.
        choices.push((kind, Choice::Board(collective, 0)));
        if collective == Collective::Allreduce {
            choices.push((kind, Choice::Board(collective, 1 << 20)));
        }
    }
    let by_nodes = BY_NODES.iter().map(|&(collective, placed, with_board)| {
        let choice = Choice::Nodes(collective, placed, with_board);
        (collective.into(), choice)
    });
    let special = SPECIAL
        .iter()
        .map(|&(kind, choose)| (kind, Choice::Special(choose)));
    choices.extend(by_nodes.chain(special));
    choices
}

impl Case {
    /// Whether there is anything to check: the call can mean something, and its algorithm is for it
    /// and differs from those that other thresholds start.
    fn is_worthwhile(&self) -> bool {
        if !self.commutative && !self.reduces() || self.in_place && !self.may_be_in_place() {
            return false;
        }
        let Choice::Algorithm(row, limits) = self.choice else {
            return true;
        };
        let shape = self.shape(0);
        let start = |limits| format!("{:?}", (row.start)(&shape, limits));
        let mut earlier = STARTS.iter().take_while(|other| *other != limits);
        (row.suits)(&shape, &MessageThresholds::all(0))
            && !earlier.any(|other| start(other) == start(limits))
    }
}

/// Calls of this size, from small to large; `counts` and `roots` are made distinct here.
pub(in crate::collective) fn cases(size: u32, counts: &[usize], roots: &[u32]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, choice) in choices() {
        let mut base = Case {
            kind,
            choice,
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
                        base = Case {
                            root,
                            count,
                            commutative,
                            in_place,
                            ..base
                        };
                        if base.is_worthwhile() {
                            cases.push(base);
                        }
                    }
                }
            }
        }
    }
    cases
}
