//! Scatter to everybody directly. Every block leaves the root's buffer from its place.

use super::scatter_tree::own_block;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Place, Round};
use crate::collective::shape::Shape;

/// The root sends to everybody directly.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct ScatterLinear {
    distance: u32,
}

impl Candidate for ScatterLinear {
    fn suits(shape: &Shape, limits: &MessageThresholds) -> bool {
        shape.bytes() >= limits.scatter_linear
    }

    fn start(_: &Shape, _: &MessageThresholds) -> ScatterLinear {
        ScatterLinear { distance: 0 }
    }
}

impl Generator for ScatterLinear {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let block = shape.bytes();
        if self.distance == shape.size {
            return false;
        }
        if shape.rank != shape.root {
            out.recv(shape.root, Place::output(0), block, &[]);
            self.distance = shape.size;
            return true;
        }
        if self.distance == 0 {
            own_block(shape, out);
        } else {
            let to = shape.above(self.distance);
            out.send(to, Place::input(to as usize * block), block, &[]);
        }
        self.distance += 1;
        true
    }
}
