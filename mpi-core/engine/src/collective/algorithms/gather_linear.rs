//! Gather from everybody directly. Every block lands in the root's buffer at its final place.

use super::gather_tree::own_block;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Place, Round};
use crate::collective::shape::Shape;

/// Everybody sends to the root, which receives in the order of ranks.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct GatherLinear {
    rank: u32,
}

impl Candidate for GatherLinear {
    fn suits(shape: &Shape, limits: &MessageThresholds) -> bool {
        shape.bytes() >= limits.gather_linear
    }

    fn start(_: &Shape, _: &MessageThresholds) -> GatherLinear {
        GatherLinear { rank: 0 }
    }
}

impl Generator for GatherLinear {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let block = shape.bytes();
        if self.rank == shape.size {
            return false;
        }
        if shape.rank != shape.root {
            out.send(shape.root, Place::input(0), block, &[]);
            self.rank = shape.size;
            return true;
        }
        if self.rank == shape.root {
            own_block(shape, out);
        } else {
            out.recv(
                self.rank,
                Place::output(self.rank as usize * block),
                block,
                &[],
            );
        }
        self.rank += 1;
        true
    }
}
