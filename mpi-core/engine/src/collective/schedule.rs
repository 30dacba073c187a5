//! A schedule: an algorithm for one call of one rank, from which its operations are generated as
//! they are needed.

use core::fmt;

use super::algorithms::{Algorithm, Generator};
use super::operation::{Operation, Round};
use super::shape::{Collective, Shape};

/// What one rank does in one collective call.
///
/// It is a value: it can be kept (persistent collectives), executed ([`super::Running`]), printed,
/// or walked through without any communicator.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    algorithm: Algorithm,
    shape: Shape,
}

impl Schedule {
    /// A schedule by this algorithm, which must be in its initial state. Use [`super::select`] to
    /// have one chosen.
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
        self.algorithm.name()
    }

    /// Bytes of scratch memory that the operations refer to. Needs the alignment of
    /// [`super::Scratch`].
    #[inline]
    pub(crate) fn scratch_bytes(&self) -> usize {
        self.algorithm.scratch_bytes(&self.shape)
    }

    /// Turns of the communicator's board that the operations take; 0 when they need no board.
    #[inline]
    pub(crate) fn turns(&self) -> u64 {
        self.algorithm.turns(&self.shape)
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

/// Generates the operations of a schedule, a round at a time: its memory does not depend on their
/// number.
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
            Algorithm::ByNodes(a) => a.shape(),
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
            if !self.algorithm.generate(&self.shape, &mut self.round) {
                return None;
            }
        }
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
        if let Some(collective) = self.on_board() {
            write!(f, "{collective} ")?;
        }
        writeln!(
            f,
            "{}: rank {rank} of {size}, root {root}, {count} elements of {width} B{}{}, {} B of \
             scratch",
            self.name(),
            if commutative { "" } else { ", in order" },
            if in_place { ", in place" } else { "" },
            self.scratch_bytes()
        )?;
        self.operations()
            .try_for_each(|operation| writeln!(f, "  {operation}"))
    }
}
