//! A call that the checks go through, and what MPI says that it does. [`super::case_list`] lists
//! them.

use core::ops::Range;
use std::sync::Arc;

use super::simulate::combine;
use crate::collective::algorithms::{MessageThresholds, Row};
use crate::collective::schedule::Schedule;
use crate::collective::shape::{Collective, Shape};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collective) enum Kind {
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
    /// Between two groups.
    AllreduceAcross,
    ReduceScatterAcross,
    AlltoallvAcross,
    TellBoth,
}

impl From<Collective> for Kind {
    fn from(collective: Collective) -> Kind {
        match collective {
            Collective::Barrier => Kind::Barrier,
            Collective::Bcast => Kind::Bcast,
            Collective::Reduce => Kind::Reduce,
            Collective::Allreduce => Kind::Allreduce,
            Collective::Gather => Kind::Gather,
            Collective::Allgather => Kind::Allgather,
            Collective::Scatter => Kind::Scatter,
            Collective::Alltoall => Kind::Alltoall,
            Collective::ReduceScatter => Kind::ReduceScatterBlock,
            Collective::Scan => Kind::Scan,
            Collective::Exscan => Kind::Exscan,
        }
    }
}

/// One rank's view of the ranks as two groups, the first of `1 + root % (size - 1)` ranks.
#[derive(Clone, Copy)]
pub(in crate::collective) struct Sides {
    pub(in crate::collective) is_first: bool,
    /// This rank in its group, the sizes of that and of the other.
    rank: u32,
    pub(in crate::collective) group: u32,
    pub(in crate::collective) others: u32,
}

impl Sides {
    pub(in crate::collective) fn of(shape: &Shape) -> Sides {
        let Shape {
            rank, size, root, ..
        } = *shape;
        let first = 1 + root % (size - 1);
        match rank < first {
            true => Sides {
                is_first: true,
                rank,
                group: first,
                others: size - first,
            },
            false => Sides {
                is_first: false,
                rank: rank - first,
                group: size - first,
                others: first,
            },
        }
    }

    pub(in crate::collective) fn shape(self, shape: Shape) -> Shape {
        let (rank, size) = (self.rank, self.group.max(self.others));
        Shape {
            rank,
            size,
            ..shape
        }
    }

    /// Whom a rank of the other group is among all.
    pub(in crate::collective) fn peer(self, peer: u32) -> u32 {
        peer + if self.is_first { self.group } else { 0 }
    }

    /// Elements of each rank's result of a [`Kind::ReduceScatterAcross`].
    pub(in crate::collective) fn dealt(self, count: usize) -> usize {
        count % 4 * self.others as usize
    }
}

/// One call, as all ranks make it.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct Case {
    pub(in crate::collective) kind: Kind,
    pub(in crate::collective) choice: Choice,
    pub(in crate::collective) size: u32,
    pub(in crate::collective) root: u32,
    pub(in crate::collective) count: usize,
    pub(in crate::collective) commutative: bool,
    pub(in crate::collective) in_place: bool,
}

/// How a schedule for a case is found.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) enum Choice {
    /// By this algorithm, with these thresholds.
    Algorithm(&'static Row, &'static MessageThresholds),
    /// By messages, as the thresholds say.
    Messages(Collective),
    /// Over a board; vectors of up to this many bytes are combined by everybody.
    Board(Collective, usize),
    /// By nodes: the node of a rank, by rank and size; over boards, too, or by messages only.
    /// Boards reach no further than a node.
    Nodes(Collective, Placed, bool),
    /// By what needs more than a shape.
    Special(fn(Shape) -> Schedule),
}

/// The node of a rank.
pub(in crate::collective) type Placed = fn(u32, u32) -> u32;

/// Bytes of an element in these tests.
pub(in crate::collective) const WIDTH: usize = 8;

/// A length for unequal blocks, from 0 to twice `count`.
pub(in crate::collective) fn unequal(count: usize, from: u32, to: u32) -> usize {
    let mixed = (from as usize * 31 + to as usize * 17 + 5) * 0x9e37;
    (mixed >> 4) % (2 * count + 1)
}

/// Blocks from one rank to another in [`Kind::Neighbours`].
pub(in crate::collective) fn edges(from: u32, to: u32) -> u32 {
    [0, 2, 0, 1, 0][((from * 7 + to * 3 + from * to) % 5) as usize]
}

/// Where blocks of these lengths begin, and where the last ends.
pub(in crate::collective) fn starts(lengths: impl IntoIterator<Item = usize>) -> Arc<[usize]> {
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
    pub(in crate::collective) fn rooted(&self) -> bool {
        matches!(
            self.kind,
            Kind::Bcast | Kind::Reduce | Kind::Gather | Kind::Scatter
        )
    }

    pub(in crate::collective) fn reduces(&self) -> bool {
        matches!(
            self.kind,
            Kind::Reduce
                | Kind::Allreduce
                | Kind::ReduceScatter
                | Kind::ReduceScatterBlock
                | Kind::Scan
                | Kind::Exscan
                | Kind::AllreduceAcross
                | Kind::ReduceScatterAcross
        )
    }

    pub(in crate::collective) fn is_across(&self) -> bool {
        matches!(
            self.kind,
            Kind::AllreduceAcross
                | Kind::ReduceScatterAcross
                | Kind::AlltoallvAcross
                | Kind::TellBoth
        )
    }

    fn sides(&self, rank: u32) -> Sides {
        Sides::of(&self.shape(rank))
    }

    /// Whom a schedule of a rank means by a peer.
    pub(in crate::collective) fn peer(&self, rank: u32, peer: u32) -> u32 {
        match self.is_across() {
            true => self.sides(rank).peer(peer),
            false => peer,
        }
    }

    pub(in crate::collective) fn may_be_in_place(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Barrier
                | Kind::Bcast
                | Kind::Alltoall
                | Kind::Alltoallv
                | Kind::Neighbours
                | Kind::ReduceScatter
                | Kind::ReduceScatterBlock
        ) && !self.is_across()
    }

    fn bytes(&self) -> usize {
        self.count * self.width()
    }

    fn width(&self) -> usize {
        if self.reduces() { WIDTH } else { 1 }
    }

    /// Where the ranks are, if that makes a difference.
    pub(in crate::collective) fn placed(&self) -> Option<Placed> {
        match self.choice {
            Choice::Nodes(_, placed, _) => Some(placed),
            _ => None,
        }
    }

    pub(in crate::collective) fn shape(&self, rank: u32) -> Shape {
        Shape {
            rank,
            size: self.size,
            root: self.root,
            count: self.count,
            width: self.width(),
            commutative: self.commutative,
            in_place: self.in_place && (!self.rooted() || rank == self.root),
            board: None,
        }
    }

    /// The members of the board that a rank uses, and which of them the rank is.
    pub(in crate::collective) fn around(&self, rank: u32) -> (u32, Vec<u32>) {
        let node = |rank| self.placed().map_or(0, |placed| placed(rank, self.size));
        let members = (0..self.size).filter(|other| node(*other) == node(rank));
        let members: Vec<u32> = members.collect();
        let own = members.iter().position(|member| *member == rank);
        (own.expect("it is there itself") as u32, members)
    }

    pub(in crate::collective) fn schedule(&self, rank: u32) -> Schedule {
        self.choice.schedule(self.shape(rank))
    }

    /// Whether the send buffer of a rank is its receive buffer.
    pub(in crate::collective) fn is_one_buffer(&self, rank: u32) -> bool {
        self.kind != Kind::Scatter && self.schedule(rank).shape().in_place
    }

    /// What a rank contributes, in bytes.
    pub(in crate::collective) fn contribution(&self, rank: u32) -> usize {
        let (one, size) = (self.bytes(), self.size as usize);
        let ranks = 0..self.size;
        match self.kind {
            Kind::Barrier => 0,
            Kind::Bcast | Kind::Reduce | Kind::Allreduce | Kind::Gather | Kind::Allgather => one,
            Kind::Scan | Kind::Exscan | Kind::AllreduceAcross | Kind::TellBoth => one,
            Kind::ReduceScatterAcross => {
                let sides = self.sides(rank);
                sides.dealt(self.count) * sides.group as usize * WIDTH
            }
            Kind::Allgatherv => unequal(self.count, rank, 0),
            Kind::Scatter if rank == self.root => one * size,
            Kind::Scatter => 0,
            Kind::Alltoall | Kind::ReduceScatterBlock => one * size,
            Kind::Alltoallv => ranks.map(|to| unequal(self.count, rank, to)).sum(),
            Kind::AlltoallvAcross => {
                let others = 0..self.sides(rank).others;
                let lengths = others.map(|to| unequal(self.count, rank, self.peer(rank, to)));
                lengths.sum()
            }
            Kind::Neighbours => ranks.map(|to| edges(rank, to) as usize * one).sum(),
            Kind::ReduceScatter => {
                let counts = ranks.map(|to| unequal(self.count, to, 0));
                counts.sum::<usize>() * WIDTH
            }
        }
    }

    /// Lengths of input and output.
    pub(in crate::collective) fn lengths(&self, rank: u32) -> (usize, usize) {
        let (one, size) = (self.bytes(), self.size as usize);
        let at_root = |bytes| if rank == self.root { bytes } else { 0 };
        let ranks = 0..self.size;
        let output = match self.kind {
            Kind::Barrier => 0,
            Kind::Bcast | Kind::Allreduce | Kind::Scan | Kind::Exscan => one,
            Kind::AllreduceAcross | Kind::TellBoth => one,
            Kind::ReduceScatterAcross => self.sides(rank).dealt(self.count) * WIDTH,
            Kind::AlltoallvAcross => {
                let others = 0..self.sides(rank).others;
                let lengths = others.map(|from| unequal(self.count, self.peer(rank, from), rank));
                lengths.sum()
            }
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
            Kind::Bcast | Kind::TellBoth => 0,
            _ if self.is_one_buffer(rank) => 0,
            _ => self.contribution(rank),
        };
        (input, output)
    }

    /// Where in the output the rank's contribution lies from the beginning.
    pub(in crate::collective) fn contribution_in_output(&self, rank: u32) -> Range<usize> {
        let one = self.bytes();
        match self.kind {
            Kind::Bcast if rank == self.root => 0..one,
            Kind::TellBoth if rank == 0 => 0..one,
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
    pub(in crate::collective) fn oracle(&self, contributions: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
        // The reductions of the ranks up to each.
        let mut reduced: Vec<Vec<u8>> = Vec::new();
        let in_one_group = self.reduces() && !self.is_across();
        for operand in contributions.iter().filter(|_| in_one_group) {
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
            Kind::TellBoth => Some(contributions[0].clone()),
            Kind::AllreduceAcross | Kind::ReduceScatterAcross => {
                let sides = self.sides(rank);
                let others = (0..sides.others).map(|peer| sides.peer(peer) as usize);
                let operands = others.map(|peer| contributions[peer].clone());
                let all = operands
                    .reduce(|left, right| combine(&left, &right, self.commutative))
                    .expect("a group has members");
                if self.kind == Kind::AllreduceAcross {
                    return Some(all);
                }
                let block = sides.dealt(self.count) * WIDTH;
                Some(all[sides.rank as usize * block..][..block].to_vec())
            }
            Kind::AlltoallvAcross => {
                let sides = self.sides(rank);
                let block = |peer: u32| {
                    let from = sides.peer(peer);
                    let theirs = self.sides(from);
                    let lengths =
                        (0..theirs.others).map(|to| unequal(self.count, from, theirs.peer(to)));
                    let starts = starts(lengths);
                    let own = sides.rank as usize;
                    contributions[from as usize][starts[own]..starts[own + 1]].to_vec()
                };
                Some((0..sides.others).flat_map(block).collect())
            }
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
