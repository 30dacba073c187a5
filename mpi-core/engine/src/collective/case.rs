//! The calls that the checks go through: every algorithm with small and large, equal and unequal, empty and in-place blocks, and what
//! MPI says that each does.

use core::ops::Range;
use std::sync::Arc;

use super::allgather::{Dissemination as Gossip, Ring, UnequalRing};
use super::allreduce::{Halving, RecursiveDoubling};
use super::bcast::{PipelinedTree, ScatterRing};
use super::board::{OnBoard, What};
use super::exchange::Block;
use super::gather::{Linear, SubtreeGather};
use super::operation::Place;
use super::reduce::TreeReduce;
use super::reduce_scatter::Parts;
use super::scatter::{LinearScatter, SubtreeScatter};
use super::schedule::{Algorithm, Schedule};
use super::select::{self, BoardLimits, Thresholds};
use super::shape::Shape;
use super::simulate::{PAYLOAD, combine};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Barrier,
    Bcast,
    Reduce,
    Allreduce,
    Gather,
    Allgather,
    Allgatherv,
    Scatter,
    Alltoall,
    Alltoallv,
    /// Any number of blocks between any two ranks, or on one.
    Neighbours,
    ReduceScatter,
    ReduceScatterBlock,
    Scan,
    Exscan,
}

/// One call, as all ranks make it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) choose: fn(Shape) -> Schedule,
    pub(super) size: u32,
    pub(super) root: u32,
    pub(super) count: usize,
    pub(super) commutative: bool,
    pub(super) in_place: bool,
}

/// Bytes of an element in these tests.
pub(super) const WIDTH: usize = 8;

/// A length for unequal blocks, from 0 to twice `count`.
fn unequal(count: usize, from: u32, to: u32) -> usize {
    let mixed = (from as usize * 31 + to as usize * 17 + 5) * 0x9e37;
    (mixed >> 4) % (2 * count + 1)
}

/// Blocks from one rank to another in [`Kind::Neighbours`].
fn edges(from: u32, to: u32) -> u32 {
    [0, 2, 0, 1, 0][((from * 7 + to * 3 + from * to) % 5) as usize]
}

/// Where blocks of these lengths begin, and where the last ends.
fn starts(lengths: impl IntoIterator<Item = usize>) -> Arc<[usize]> {
    let mut end = 0;
    let ends = lengths.into_iter().map(|length| {
        end += length;
        end
    });
    core::iter::once(0)
        .chain(ends.collect::<Vec<_>>())
        .collect()
}

impl Case {
    fn rooted(&self) -> bool {
        matches!(
            self.kind,
            Kind::Bcast | Kind::Reduce | Kind::Gather | Kind::Scatter
        )
    }

    pub(super) fn reduces(&self) -> bool {
        matches!(
            self.kind,
            Kind::Reduce
                | Kind::Allreduce
                | Kind::ReduceScatter
                | Kind::ReduceScatterBlock
                | Kind::Scan
                | Kind::Exscan
        )
    }

    fn may_be_in_place(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Barrier
                | Kind::Bcast
                | Kind::Alltoall
                | Kind::Alltoallv
                | Kind::Neighbours
                | Kind::ReduceScatter
                | Kind::ReduceScatterBlock
        )
    }

    fn bytes(&self) -> usize {
        self.count * self.width()
    }

    fn width(&self) -> usize {
        if self.reduces() { WIDTH } else { 1 }
    }

    pub(super) fn schedule(&self, rank: u32) -> Schedule {
        (self.choose)(Shape {
            rank,
            size: self.size,
            root: self.root,
            count: self.count,
            width: self.width(),
            commutative: self.commutative,
            in_place: self.in_place && (!self.rooted() || rank == self.root),
            board: None,
        })
    }

    /// Whether the send buffer of a rank is its receive buffer.
    pub(super) fn is_one_buffer(&self, rank: u32) -> bool {
        self.kind != Kind::Scatter && self.schedule(rank).shape().in_place
    }

    /// What a rank contributes, in bytes.
    pub(super) fn contribution(&self, rank: u32) -> usize {
        let (one, size) = (self.bytes(), self.size as usize);
        let ranks = 0..self.size;
        match self.kind {
            Kind::Barrier => 0,
            Kind::Bcast | Kind::Reduce | Kind::Allreduce | Kind::Gather | Kind::Allgather => one,
            Kind::Scan | Kind::Exscan => one,
            Kind::Allgatherv => unequal(self.count, rank, 0),
            Kind::Scatter if rank == self.root => one * size,
            Kind::Scatter => 0,
            Kind::Alltoall | Kind::ReduceScatterBlock => one * size,
            Kind::Alltoallv => ranks.map(|to| unequal(self.count, rank, to)).sum(),
            Kind::Neighbours => ranks.map(|to| edges(rank, to) as usize * one).sum(),
            Kind::ReduceScatter => {
                let counts = ranks.map(|to| unequal(self.count, to, 0));
                counts.sum::<usize>() * WIDTH
            }
        }
    }

    /// Lengths of input and output.
    pub(super) fn lengths(&self, rank: u32) -> (usize, usize) {
        let (one, size) = (self.bytes(), self.size as usize);
        let at_root = |bytes| if rank == self.root { bytes } else { 0 };
        let ranks = 0..self.size;
        let output = match self.kind {
            Kind::Barrier => 0,
            Kind::Bcast | Kind::Allreduce | Kind::Scan | Kind::Exscan => one,
            Kind::Reduce => at_root(one),
            Kind::Gather => at_root(one * size),
            Kind::Allgather | Kind::Alltoall => one * size,
            Kind::Scatter if self.schedule(rank).shape().in_place => 0,
            Kind::Scatter | Kind::ReduceScatterBlock => one,
            Kind::Allgatherv => ranks.map(|from| unequal(self.count, from, 0)).sum(),
            Kind::Alltoallv => ranks.map(|from| unequal(self.count, from, rank)).sum(),
            Kind::Neighbours => ranks.map(|from| edges(from, rank) as usize * one).sum(),
            Kind::ReduceScatter => unequal(self.count, rank, 0) * WIDTH,
        };
        let input = match self.kind {
            Kind::Bcast => 0,
            _ if self.is_one_buffer(rank) => 0,
            _ => self.contribution(rank),
        };
        (input, output)
    }

    /// Where in the output the rank's contribution lies from the beginning.
    pub(super) fn contribution_in_output(&self, rank: u32) -> Range<usize> {
        let one = self.bytes();
        match self.kind {
            Kind::Bcast if rank == self.root => 0..one,
            _ if !self.is_one_buffer(rank) => 0..0,
            Kind::Gather | Kind::Allgather => rank as usize * one..(rank as usize + 1) * one,
            Kind::Allgatherv => {
                let starts = starts((0..self.size).map(|from| unequal(self.count, from, 0)));
                starts[rank as usize]..starts[rank as usize + 1]
            }
            _ => 0..one,
        }
    }

    /// What MPI says the output of each rank is, where it says anything.
    pub(super) fn oracle(&self, contributions: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
        // The reductions of the ranks up to each.
        let mut reduced: Vec<Vec<u8>> = Vec::new();
        for operand in contributions.iter().filter(|_| self.reduces()) {
            reduced.push(match reduced.last() {
                Some(sofar) => combine(sofar, operand, self.commutative),
                None => operand.clone(),
            });
        }
        let each = (0..self.size).map(|rank| self.output_of(rank, contributions, &reduced));
        each.collect()
    }

    fn output_of(
        &self,
        rank: u32,
        contributions: &[Vec<u8>],
        reduced: &[Vec<u8>],
    ) -> Option<Vec<u8>> {
        let (one, at) = (self.bytes(), rank as usize);
        match self.kind {
            Kind::Barrier => Some(Vec::new()),
            Kind::Bcast => Some(contributions[self.root as usize].clone()),
            Kind::Reduce | Kind::Gather if rank != self.root => Some(Vec::new()),
            Kind::Gather | Kind::Allgather | Kind::Allgatherv => Some(contributions.concat()),
            Kind::Reduce | Kind::Allreduce => reduced.last().cloned(),
            Kind::Scatter if self.schedule(rank).shape().in_place => Some(Vec::new()),
            Kind::Scatter => Some(contributions[self.root as usize][at * one..][..one].to_vec()),
            Kind::Alltoall => {
                let blocks = contributions.iter().map(|from| &from[at * one..][..one]);
                Some(blocks.flatten().copied().collect())
            }
            Kind::Alltoallv => {
                let block = |(from, all): (u32, &Vec<u8>)| {
                    let starts = starts((0..self.size).map(|to| unequal(self.count, from, to)));
                    all[starts[at]..starts[at + 1]].to_vec()
                };
                Some((0..).zip(contributions).flat_map(block).collect())
            }
            Kind::Neighbours => {
                let blocks = |(from, all): (u32, &Vec<u8>)| {
                    let starts = starts((0..self.size).map(|to| edges(from, to) as usize * one));
                    all[starts[at]..starts[at + 1]].to_vec()
                };
                Some((0..).zip(contributions).flat_map(blocks).collect())
            }
            Kind::ReduceScatterBlock => Some(reduced.last()?[at * one..][..one].to_vec()),
            Kind::ReduceScatter => {
                let starts = starts((0..self.size).map(|to| unequal(self.count, to, 0) * WIDTH));
                Some(reduced.last()?[starts[at]..starts[at + 1]].to_vec())
            }
            Kind::Scan => Some(reduced[at].clone()),
            Kind::Exscan => Some(reduced[at.checked_sub(1)?].clone()),
        }
    }
}

type Choose = fn(Shape) -> Schedule;

/// Every algorithm, whatever the thresholds say, and the selection itself.
const ALGORITHMS: &[(Kind, Choose)] = &[
    (Kind::Barrier, select::barrier),
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
    (Kind::Alltoall, select::alltoall),
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
        select::reduce_scatter(s, Parts::Equal)
    }),
    (Kind::ReduceScatter, |s| {
        let starts = starts((0..s.size).map(|to| unequal(s.count, to, 0)));
        select::reduce_scatter(s, Parts::Unequal(starts))
    }),
    (Kind::Scan, select::scan),
    (Kind::Exscan, select::exscan),
    (Kind::Barrier, |s| on_board(What::Barrier, s, 0)),
    (Kind::Bcast, |s| on_board(What::Bcast, s, 0)),
    (Kind::Reduce, |s| on_board(What::Reduce, s, 1 << 20)),
    (Kind::Allreduce, |s| on_board(What::Allreduce, s, 1 << 20)),
    (Kind::Allreduce, |s| on_board(What::Allreduce, s, 0)),
    (Kind::Gather, |s| on_board(What::Gather, s, 0)),
    (Kind::Allgather, |s| on_board(What::Allgather, s, 0)),
];

/// Over a board, or by messages an allreduce whose operation does not commute, which a board is not for.
fn on_board(what: What, shape: Shape, flat: usize) -> Schedule {
    match OnBoard::new(what, &shape, PAYLOAD, flat) {
        Some(algorithm) => Schedule::new(Algorithm::OnBoard(algorithm), shape),
        None => select::allreduce(shape, &TINY),
    }
}

/// Thresholds that the counts of these tests lie on both sides of.
pub(super) const TINY: Thresholds = Thresholds {
    bcast_scatter: 16,
    bcast_block: 2,
    bcast_segment: 4,
    reduce_segment: 16,
    allreduce_halving: 24,
    gather_linear: 5,
    scatter_linear: 5,
    allgather_ring: 5,
    board: BoardLimits {
        bcast: [0; 2],
        reduce: [0; 2],
        allreduce: [0; 2],
        gather: [0; 2],
        allgather: [0; 2],
    },
    board_flat: 0,
};

/// Calls of this size, from small to large; `counts` and `roots` are made distinct here.
pub(super) fn cases(size: u32, counts: &[usize], roots: &[u32]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &(kind, choose) in ALGORITHMS {
        let mut base = Case {
            kind,
            choose,
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
        let mut roots = if base.rooted() {
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
