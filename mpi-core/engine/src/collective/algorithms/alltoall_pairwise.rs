//! Alltoall of equal blocks: every rank sends to the rank above and receives from the one below, at
//! distance 1, 2, 3..., each block from its place to its place. Nothing waits for anything, so a
//! window full of messages is under way at any time.

use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Place, Round};
use crate::collective::shape::Shape;

/// See the module. In place is not possible: what is received would take the place of what is still
/// to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct AlltoallPairwise {
    distance: u32,
}

impl Candidate for AlltoallPairwise {
    fn start(_: &Shape, _: &MessageThresholds) -> AlltoallPairwise {
        AlltoallPairwise { distance: 0 }
    }
}

impl Generator for AlltoallPairwise {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.distance >= shape.size {
            return false;
        }
        let block = shape.bytes();
        let at = |rank: u32| rank as usize * block;
        if self.distance == 0 {
            let own = at(shape.rank);
            out.copy(Place::input(own), Place::output(own), block, &[]);
        } else {
            let (above, below) = (shape.above(self.distance), shape.below(self.distance));
            out.send(above, Place::input(at(above)), block, &[]);
            out.recv(below, Place::output(at(below)), block, &[]);
        }
        self.distance += 1;
        true
    }
}
