//! What the algorithms of allreduce have in common, for operations that commute and for those that
//! do not.
//!
//! They need a power of two of ranks. Of the first `2 * (size - power)` ranks each even one
//! therefore takes on the contribution of the odd rank above it and takes part for both, and passes
//! the result on at the end. The ranks that take part, counted in their order, are called
//! *members*; each stands for a range of ranks, and members whose numbers differ in bit i only
//! exchange in round i. So what a member has before round i covers an aligned range of 2^i members,
//! its partner's the neighbouring one, and the order of the operands is the canonical one.

use crate::collective::operation::{Buffer, Id, Place, Round};
use crate::collective::shape::Shape;

/// The ranks that take part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members {
    /// Of the ranks below this the even ones stand for two ranks.
    folded: u32,
    /// How many rounds.
    pub(super) rounds: u32,
}

/// What a rank does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Takes part with this number; `for_two` when it stands for the rank above too.
    Member { number: u32, for_two: bool },
    /// Leaves it to the rank below.
    Represented,
}

impl Members {
    pub(super) fn of(size: u32) -> Members {
        let rounds = size.ilog2();
        Members {
            folded: 2 * (size - (1 << rounds)),
            rounds,
        }
    }

    pub(super) fn part(self, rank: u32) -> Part {
        if rank >= self.folded {
            Part::Member {
                number: rank - self.folded / 2,
                for_two: false,
            }
        } else if rank.is_multiple_of(2) {
            Part::Member {
                number: rank / 2,
                for_two: true,
            }
        } else {
            Part::Represented
        }
    }

    pub(super) fn rank(self, member: u32) -> u32 {
        if member < self.folded / 2 {
            2 * member
        } else {
            member + self.folded / 2
        }
    }
}

/// Bytes of another vector, which a member needs.
pub(super) fn scratch_of_member(shape: &Shape) -> usize {
    match Members::of(shape.size).part(shape.rank) {
        Part::Member { .. } if shape.size > 1 => shape.bytes(),
        _ => 0,
    }
}

/// What a represented rank does: all of it.
pub(super) fn represented(shape: &Shape, out: &mut Round) {
    let below = shape.rank - 1;
    let sent = out.send(below, Place::input(0), shape.bytes(), &[]);
    let free = if shape.in_place { sent } else { Id::NONE };
    out.recv(below, Place::output(0), shape.bytes(), &[free]);
}

/// Where a member's partial result is while it moves between `Output` and `Scratch`.
pub(super) fn other(buffer: Buffer) -> Buffer {
    if buffer == Buffer::Output {
        Buffer::Scratch
    } else {
        Buffer::Output
    }
}
