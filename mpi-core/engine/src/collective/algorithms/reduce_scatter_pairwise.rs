//! Reduce-scatter, of equal and of unequal blocks: every rank sends each other one its block and
//! combines what it receives for its own as it comes, so a byte travels once and no rank holds more
//! than a few blocks.
//!
//! Blocks arrive from the ranks below, the nearest first, then from the highest rank downwards to
//! the one above. Both parts grow at their lower end, so the operands keep their order: the lower
//! part ends with this rank, the upper one begins behind it, and at the end the lower part is put
//! in front of the upper one.

use std::sync::Arc;

use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::scratch::LINE;
use crate::collective::shape::Shape;

/// Blocks that can be on their way at the same time.
const SLOTS: usize = 4;

/// The elements of each rank's block.
#[derive(Clone, Debug)]
pub(crate) enum Parts {
    /// `shape.count` elements each.
    Equal,
    /// Where each begins, and where the last ends, in elements.
    Unequal(Arc<[usize]>),
}

impl Parts {
    /// The first element of a rank's block, and their number.
    fn of(&self, rank: u32, shape: &Shape) -> (usize, usize) {
        match self {
            Parts::Equal => (rank as usize * shape.count, shape.count),
            Parts::Unequal(starts) => {
                let [start, end] = [starts[rank as usize], starts[rank as usize + 1]];
                (start, end - start)
            }
        }
    }
}

/// See the module. The input is never the output.
#[derive(Clone, Debug)]
pub(in crate::collective) struct ReduceScatterPairwise {
    parts: Parts,
    distance: u32,
    /// The last operation on the lower part and on the upper one.
    lower: Id,
    upper: Id,
    slots: [Id; SLOTS],
    done: bool,
}

impl Candidate for ReduceScatterPairwise {
    fn start(_: &Shape, _: &MessageThresholds) -> ReduceScatterPairwise {
        ReduceScatterPairwise::new(Parts::Equal)
    }
}

impl Generator for ReduceScatterPairwise {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.done {
            return false;
        }
        let Shape {
            rank, size, width, ..
        } = *shape;
        let (first, count) = self.parts.of(rank, shape);
        let bytes = count * width;
        let slot_bytes = self.slot_bytes(shape);
        let slot_at = |slot: usize| Place::scratch(slot * slot_bytes);
        let (lower, upper) = (Place::output(0), slot_at(SLOTS));
        if self.distance == 0 {
            self.lower = out.copy(Place::input(first * width), lower, bytes, &[]);
            self.distance = 1;
            return true;
        }
        if self.distance == size {
            // The upper part is there unless this is the last rank.
            if rank + 1 < size {
                let combined = out.reduce(lower, upper, count, &[self.lower, self.upper]);
                out.copy(upper, lower, bytes, &[combined]);
            }
            self.done = true;
            return true;
        }
        let (to, from) = (shape.above(self.distance), shape.below(self.distance));
        let theirs = self.parts.of(to, shape);
        out.send(to, Place::input(theirs.0 * width), theirs.1 * width, &[]);
        if from == size - 1 && rank != size - 1 {
            self.upper = out.recv(from, upper, bytes, &[]);
        } else {
            let slot = self.distance as usize % SLOTS;
            let received = out.recv(from, slot_at(slot), bytes, &[self.slots[slot]]);
            let (sofar, ready) = match from < rank {
                true => (lower, &mut self.lower),
                false => (upper, &mut self.upper),
            };
            *ready = out.reduce(slot_at(slot), sofar, count, &[received, *ready]);
            self.slots[slot] = *ready;
        }
        self.distance += 1;
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        (SLOTS + 1) * self.slot_bytes(shape)
    }
}

impl ReduceScatterPairwise {
    pub(in crate::collective) fn new(parts: Parts) -> ReduceScatterPairwise {
        ReduceScatterPairwise {
            parts,
            distance: 0,
            lower: Id::NONE,
            upper: Id::NONE,
            slots: [Id::NONE; SLOTS],
            done: false,
        }
    }

    fn slot_bytes(&self, shape: &Shape) -> usize {
        (self.parts.of(shape.rank, shape).1 * shape.width).next_multiple_of(LINE)
    }
}
