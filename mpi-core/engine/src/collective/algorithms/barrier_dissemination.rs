//! Barrier by dissemination: in round k every rank signals the rank 2^k above and waits for the one
//! 2^k below, so that after ceil(log2 size) rounds each has heard of all.

use super::binomial::log2_ceil;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Round};
use crate::collective::shape::Shape;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct BarrierDissemination {
    round: u32,
    heard: Id,
}

impl Candidate for BarrierDissemination {
    fn start(_: &Shape, _: &MessageThresholds) -> BarrierDissemination {
        BarrierDissemination {
            round: 0,
            heard: Id::NONE,
        }
    }
}

impl Generator for BarrierDissemination {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.round >= log2_ceil(shape.size) {
            return false;
        }
        let distance = 1 << self.round;
        out.signal(shape.above(distance), &[self.heard]);
        // Heard of everybody between that rank and this one only when the earlier rounds are done
        // too.
        self.heard = out.wait(shape.below(distance), &[self.heard]);
        self.round += 1;
        true
    }
}
