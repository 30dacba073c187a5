//! Allgather. Every block lands at its final place, so no algorithm needs scratch memory.

use std::sync::Arc;

use super::binomial::log2_ceil;
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// The beginning of an allgather: this rank's block to its place. Returns what the block's readers wait for.
fn own_block(shape: &Shape, out: &mut Round) -> Id {
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

/// Bruck's exchange: before round k a rank has the 2^k blocks from its own upwards; it sends them to the rank 2^k below
/// and receives as many from the rank 2^k above. A cyclic range of blocks that passes the end is two messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dissemination {
    round: Option<u32>,
    /// The messages of the round before, and, since sends are chained, all those before them.
    before: [Id; 4],
}

impl Dissemination {
    pub(in crate::collective) const START: Dissemination = Dissemination {
        round: None,
        before: [Id::NONE; 4],
    };

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
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

/// A ring: every rank passes on to the rank above what came from the rank below, `size - 1` times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    step: u32,
    received: Id,
}

impl Ring {
    pub(in crate::collective) const START: Ring = Ring {
        step: 0,
        received: Id::NONE,
    };

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.step >= shape.size {
            return false;
        }
        let block = shape.bytes();
        if self.step == 0 {
            self.received = own_block(shape, out);
        } else {
            let sent = Place::output(shape.below(self.step - 1) as usize * block);
            let received = Place::output(shape.below(self.step) as usize * block);
            out.send(shape.above(1), sent, block, &[self.received]);
            self.received = out.recv(shape.below(1), received, block, &[]);
        }
        self.step += 1;
        true
    }
}

/// A ring for blocks of any length: as [`Ring`].
#[derive(Clone, Debug)]
pub(crate) struct UnequalRing {
    /// Where each rank's block lies in the output: offset and length in bytes.
    blocks: Arc<[(usize, usize)]>,
    step: u32,
    received: Id,
}

impl UnequalRing {
    pub(in crate::collective) fn new(blocks: Arc<[(usize, usize)]>) -> UnequalRing {
        UnequalRing {
            blocks,
            step: 0,
            received: Id::NONE,
        }
    }

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.step >= shape.size {
            return false;
        }
        let block = |rank: u32| {
            let (offset, bytes) = self.blocks[rank as usize];
            (Place::output(offset), bytes)
        };
        if self.step == 0 {
            if !shape.in_place {
                let (place, bytes) = block(shape.rank);
                self.received = out.copy(Place::input(0), place, bytes, &[]);
            }
        } else {
            let (sent, bytes) = block(shape.below(self.step - 1));
            out.send(shape.above(1), sent, bytes, &[self.received]);
            let (place, bytes) = block(shape.below(self.step));
            self.received = out.recv(shape.below(1), place, bytes, &[]);
        }
        self.step += 1;
        true
    }
}
