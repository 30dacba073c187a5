//! A schedule: an algorithm for one call of one rank, from which its operations are generated as they are needed.

use core::fmt;

use super::operation::{Operation, Round};
use super::shape::{Collective, Shape};
use crate::collective::algorithms::across::{ReduceAcross, TellBoth};
use crate::collective::algorithms::allgather::{Dissemination as Gossip, Ring, UnequalRing};
use crate::collective::algorithms::allreduce::{Halving, RecursiveDoubling};
use crate::collective::algorithms::alltoall::Pairwise;
use crate::collective::algorithms::barrier::Dissemination;
use crate::collective::algorithms::bcast::{PipelinedTree, ScatterRing};
use crate::collective::algorithms::by_nodes::Staged;
use crate::collective::algorithms::exchange::Exchange;
use crate::collective::algorithms::gather::{Linear, SubtreeGather};
use crate::collective::algorithms::reduce::TreeReduce;
use crate::collective::algorithms::reduce_scatter::ReduceScatter;
use crate::collective::algorithms::scan::{Exscan, Scan};
use crate::collective::algorithms::scatter::{LinearScatter, SubtreeScatter};
use crate::collective::boards::on_board::OnBoard;

/// An algorithm in the state in which it has generated some of its operations.
#[derive(Clone, Debug)]
pub(crate) enum Algorithm {
    /// Nothing to do, or nothing to move.
    Nothing,
    /// Barrier: [`crate::collective::algorithms::barrier`].
    Dissemination(Dissemination),
    /// Broadcast: a binomial tree, in segments.
    PipelinedTree(PipelinedTree),
    /// Broadcast: scatter down a binomial tree, then a ring.
    ScatterRing(ScatterRing),
    /// Reduction up a binomial tree, in segments.
    TreeReduce(TreeReduce),
    /// Allreduce: exchange of whole vectors at doubling distance.
    RecursiveDoubling(RecursiveDoubling),
    /// Allreduce: reduce-scatter by halving vectors, then allgather by doubling.
    Halving(Halving),
    /// Gather up a binomial tree.
    SubtreeGather(SubtreeGather),
    /// Gather from everybody directly.
    Linear(Linear),
    /// Allgather at doubling distance.
    Gossip(Gossip),
    /// Allgather around a ring.
    Ring(Ring),
    /// Allgather of unequal blocks around a ring.
    UnequalRing(UnequalRing),
    /// Scatter down a binomial tree.
    SubtreeScatter(SubtreeScatter),
    /// Scatter to everybody directly.
    LinearScatter(LinearScatter),
    /// Alltoall of equal blocks.
    Pairwise(Pairwise),
    /// Blocks between any ranks.
    Exchange(Exchange),
    /// Reduce-scatter: [`crate::collective::algorithms::reduce_scatter`].
    ReduceScatter(ReduceScatter),
    /// Inclusive scan.
    Scan(Scan),
    /// Exclusive scan.
    Exscan(Exscan),
    /// Between two groups: a reduction.
    ReduceAcross(ReduceAcross),
    /// Between two groups: what one process says for all.
    TellBoth(TellBoth),
    /// Anything, in memory that all members reach.
    OnBoard(OnBoard),
    /// Several algorithms, one after the other, within nodes and between them.
    Staged(Box<Staged>),
}

/// What one rank does in one collective call.
///
/// It is a value: it can be kept (persistent collectives), executed ([`super::Running`]), printed, or walked through
/// without any communicator.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    algorithm: Algorithm,
    shape: Shape,
}

impl Schedule {
    /// A schedule by this algorithm, which must be in its initial state. Use [`super::select`] to have one chosen.
    pub(super) fn new(algorithm: Algorithm, shape: Shape) -> Schedule {
        Schedule { algorithm, shape }
    }

    /// The call that it is for.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The algorithm, in its initial state.
    pub(super) fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// The algorithm's name.
    pub(crate) fn name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::Nothing => "nothing",
            Algorithm::Dissemination(_) => "barrier by dissemination",
            Algorithm::PipelinedTree(_) => "broadcast down a pipelined binomial tree",
            Algorithm::ScatterRing(_) => "broadcast by scatter and ring",
            Algorithm::TreeReduce(_) => "reduction up a pipelined binomial tree",
            Algorithm::RecursiveDoubling(_) => "allreduce by recursive doubling",
            Algorithm::Halving(_) => "allreduce by recursive halving and doubling",
            Algorithm::SubtreeGather(_) => "gather up a binomial tree",
            Algorithm::Linear(_) => "linear gather",
            Algorithm::Gossip(_) => "allgather by dissemination",
            Algorithm::Ring(_) => "allgather around a ring",
            Algorithm::UnequalRing(_) => "allgather of unequal blocks around a ring",
            Algorithm::SubtreeScatter(_) => "scatter down a binomial tree",
            Algorithm::LinearScatter(_) => "linear scatter",
            Algorithm::Pairwise(_) => "pairwise alltoall",
            Algorithm::Exchange(_) => "direct exchange",
            Algorithm::ReduceScatter(_) => "pairwise reduce-scatter",
            Algorithm::Scan(_) => "scan by doubling",
            Algorithm::Exscan(_) => "exscan by doubling",
            Algorithm::ReduceAcross(_) => "direct reduction of another group's vectors",
            Algorithm::TellBoth(_) => "broadcast to two groups",
            Algorithm::OnBoard(a) => a.name(),
            Algorithm::Staged(_) => "within and between nodes",
        }
    }

    /// Bytes of scratch memory that the operations refer to. Needs the alignment of [`super::Scratch`].
    pub(crate) fn scratch_bytes(&self) -> usize {
        match &self.algorithm {
            Algorithm::TreeReduce(a) => a.scratch_bytes(&self.shape),
            Algorithm::RecursiveDoubling(a) => a.scratch_bytes(&self.shape),
            Algorithm::Halving(a) => a.scratch_bytes(&self.shape),
            Algorithm::SubtreeGather(a) => a.scratch_bytes(&self.shape),
            Algorithm::SubtreeScatter(a) => a.scratch_bytes(&self.shape),
            Algorithm::ReduceScatter(a) => a.scratch_bytes(&self.shape),
            Algorithm::Scan(a) => a.scratch_bytes(&self.shape),
            Algorithm::Exscan(a) => a.scratch_bytes(&self.shape),
            Algorithm::ReduceAcross(a) => a.scratch_bytes(&self.shape),
            Algorithm::Staged(a) => a.scratch_bytes(),
            Algorithm::Nothing
            | Algorithm::Dissemination(_)
            | Algorithm::PipelinedTree(_)
            | Algorithm::ScatterRing(_)
            | Algorithm::Linear(_)
            | Algorithm::Gossip(_)
            | Algorithm::Ring(_)
            | Algorithm::UnequalRing(_)
            | Algorithm::LinearScatter(_)
            | Algorithm::Pairwise(_)
            | Algorithm::Exchange(_)
            | Algorithm::TellBoth(_)
            | Algorithm::OnBoard(_) => 0,
        }
    }

    /// Turns of the communicator's board that the operations take; 0 when they need no board.
    pub(crate) fn turns(&self) -> u64 {
        match &self.algorithm {
            Algorithm::OnBoard(a) => a.turns(&self.shape),
            Algorithm::Staged(a) => a.turns(),
            _ => 0,
        }
    }

    /// What is done on the board, if anything.
    #[inline]
    pub(crate) fn on_board(&self) -> Option<Collective> {
        match &self.algorithm {
            Algorithm::OnBoard(a) => Some(a.collective()),
            _ => None,
        }
    }

    /// What is done on the board, if it takes one turn and nobody reduces slices.
    #[inline]
    pub(crate) fn in_one_turn(&self) -> Option<Collective> {
        match &self.algorithm {
            Algorithm::OnBoard(a) => a.in_one_turn(&self.shape),
            _ => None,
        }
    }

    /// The operations, from the first.
    pub(crate) fn operations(&self) -> Operations {
        Operations {
            algorithm: self.algorithm.clone(),
            shape: self.shape,
            round: Round::EMPTY,
        }
    }
}

/// Generates the operations of a schedule, a round at a time: its memory does not depend on their number.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    algorithm: Algorithm,
    shape: Shape,
    round: Round,
}

impl Operations {
    /// The call that they are for; of stages the one that is under way.
    #[inline]
    pub(super) fn shape(&self) -> &Shape {
        match &self.algorithm {
            Algorithm::Staged(a) => a.shape(),
            _ => &self.shape,
        }
    }
}

impl Iterator for Operations {
    type Item = Operation;

    #[inline]
    fn next(&mut self) -> Option<Operation> {
        loop {
            if let Some(operation) = self.round.take() {
                return Some(operation);
            }
            if !generate(&mut self.algorithm, &self.shape, &mut self.round) {
                return None;
            }
        }
    }
}

/// The next operations of an algorithm. Returns whether there may be more.
#[inline]
pub(super) fn generate(algorithm: &mut Algorithm, shape: &Shape, out: &mut Round) -> bool {
    match algorithm {
        Algorithm::Nothing => false,
        Algorithm::Dissemination(a) => a.generate(shape, out),
        Algorithm::PipelinedTree(a) => a.generate(shape, out),
        Algorithm::ScatterRing(a) => a.generate(shape, out),
        Algorithm::TreeReduce(a) => a.generate(shape, out),
        Algorithm::RecursiveDoubling(a) => a.generate(shape, out),
        Algorithm::Halving(a) => a.generate(shape, out),
        Algorithm::SubtreeGather(a) => a.generate(shape, out),
        Algorithm::Linear(a) => a.generate(shape, out),
        Algorithm::Gossip(a) => a.generate(shape, out),
        Algorithm::Ring(a) => a.generate(shape, out),
        Algorithm::UnequalRing(a) => a.generate(shape, out),
        Algorithm::SubtreeScatter(a) => a.generate(shape, out),
        Algorithm::LinearScatter(a) => a.generate(shape, out),
        Algorithm::Pairwise(a) => a.generate(shape, out),
        Algorithm::Exchange(a) => a.generate(out),
        Algorithm::ReduceScatter(a) => a.generate(shape, out),
        Algorithm::Scan(a) => a.generate(shape, out),
        Algorithm::Exscan(a) => a.generate(shape, out),
        Algorithm::ReduceAcross(a) => a.generate(shape, out),
        Algorithm::TellBoth(a) => a.generate(shape, out),
        Algorithm::OnBoard(a) => a.generate(shape, out),
        Algorithm::Staged(a) => a.generate(out),
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape {
            rank,
            size,
            root,
            count,
            width,
            commutative,
            in_place,
            board: _,
        } = self.shape;
        writeln!(
            f,
            "{}: rank {rank} of {size}, root {root}, {count} elements of {width} B{}{}, {} B of scratch",
            self.name(),
            if commutative { "" } else { ", in order" },
            if in_place { ", in place" } else { "" },
            self.scratch_bytes()
        )?;
        self.operations()
            .try_for_each(|operation| writeln!(f, "  {operation}"))
    }
}
