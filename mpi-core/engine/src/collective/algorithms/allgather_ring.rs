//! Allgather around a ring. Every block lands at its final place, so no scratch memory is needed.

use super::allgather_dissemination::own_block;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// A ring: every rank passes on to the rank above what came from the rank below, `size - 1` times.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct AllgatherRing {
    step: u32,
    received: Id,
}

impl Candidate for AllgatherRing {
    fn suits(shape: &Shape, limits: &MessageThresholds) -> bool {
        shape.bytes() >= limits.allgather_ring
    }

    fn start(_: &Shape, _: &MessageThresholds) -> AllgatherRing {
        AllgatherRing {
            step: 0,
            received: Id::NONE,
        }
    }
}

impl Generator for AllgatherRing {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
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
