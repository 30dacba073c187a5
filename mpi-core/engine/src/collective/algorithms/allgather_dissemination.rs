//! Allgather at doubling distance. Every block lands at its final place, so no scratch memory is
//! needed.

use super::binomial::log2_ceil;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// The beginning of an allgather: this rank's block to its place. Returns what the block's readers
/// wait for.
pub(super) fn own_block(shape: &Shape, out: &mut Round) -> Id {
    if shape.in_place {
        return Id::NONE;
    }
    let block = shape.bytes();
    out.copy(
        Place::input(0),
        Place::output(shape.rank as usize * block),
        block,
        &[],
    )
}

/// Bruck's exchange: before round k a rank has the 2^k blocks from its own upwards; it sends them
/// to the rank 2^k below and receives as many from the rank 2^k above. A cyclic range of blocks
/// that passes the end is two messages.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct AllgatherDissemination {
    round: Option<u32>,
    /// The messages of the round before, and, since sends are chained, all those before them.
    before: [Id; 4],
}

impl Candidate for AllgatherDissemination {
    fn start(_: &Shape, _: &MessageThresholds) -> AllgatherDissemination {
        AllgatherDissemination {
            round: None,
            before: [Id::NONE; 4],
        }
    }
}

impl Generator for AllgatherDissemination {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let Some(round) = self.round else {
            self.before[0] = own_block(shape, out);
            self.round = Some(0);
            return true;
        };
        if round >= log2_ceil(shape.size) {
            return false;
        }
        let block = shape.bytes();
        let distance = 1 << round;
        let blocks = distance.min(shape.size - distance);
        let source = shape.above(distance);
        let pieces = |first: u32| {
            let straight = blocks.min(shape.size - first);
            [(first, straight), (0, blocks - straight)]
        };
        let mut messages = [Id::NONE; 4];
        let (sends, receives) = messages.split_at_mut(2);
        for (id, (first, blocks)) in sends.iter_mut().zip(pieces(shape.rank)) {
            let place = Place::output(first as usize * block);
            *id = out.send(
                shape.below(distance),
                place,
                blocks as usize * block,
                &self.before,
            );
        }
        for (id, (first, blocks)) in receives.iter_mut().zip(pieces(source)) {
            let place = Place::output(first as usize * block);
            *id = out.recv(source, place, blocks as usize * block, &[]);
        }
        self.before = messages;
        self.round = Some(round + 1);
        true
    }
}
