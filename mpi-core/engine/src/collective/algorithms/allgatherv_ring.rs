//! Allgather of unequal blocks around a ring. Every block lands at its final place, so no scratch
//! memory is needed.

use std::sync::Arc;

use super::Generator;
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// A ring for blocks of any length: as [`AllgatherRing`](super::allgather_ring::AllgatherRing).
#[derive(Clone, Debug)]
pub(in crate::collective) struct AllgathervRing {
    /// Where each rank's block lies in the output: offset and length in bytes.
    blocks: Arc<[(usize, usize)]>,
    step: u32,
    received: Id,
}

impl AllgathervRing {
    pub(in crate::collective) fn new(blocks: Arc<[(usize, usize)]>) -> AllgathervRing {
        AllgathervRing {
            blocks,
            step: 0,
            received: Id::NONE,
        }
    }
}

impl Generator for AllgathervRing {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
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
