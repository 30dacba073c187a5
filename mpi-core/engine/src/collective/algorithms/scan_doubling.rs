//! ScanDoubling by doubling: before the round of distance d a rank has combined the d ranks up to
//! itself; it passes that to the rank d above and puts in front of it what the rank d below had.
//! Ranges are neighbours, so the order is the canonical one.

use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// Inclusive: what has been combined lies in the output.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct ScanDoubling {
    distance: u32,
    ready: Id,
}

impl Candidate for ScanDoubling {
    fn start(_: &Shape, _: &MessageThresholds) -> ScanDoubling {
        ScanDoubling {
            distance: 0,
            ready: Id::NONE,
        }
    }
}

impl Generator for ScanDoubling {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let Shape { rank, size, .. } = *shape;
        let (sofar, operand, bytes) = (Place::output(0), Place::scratch(0), shape.bytes());
        if self.distance == 0 {
            if !shape.in_place {
                self.ready = out.copy(Place::input(0), sofar, bytes, &[]);
            }
            self.distance = 1;
            return true;
        }
        if self.distance >= size {
            return false;
        }
        let mut sent = Id::NONE;
        if self.distance < size - rank {
            sent = out.send(rank + self.distance, sofar, bytes, &[self.ready]);
        }
        if self.distance <= rank {
            let received = out.recv(rank - self.distance, operand, bytes, &[self.ready]);
            let after = [received, sent, self.ready];
            self.ready = out.reduce(operand, sofar, shape.count, &after);
        }
        self.distance = self.distance.saturating_mul(2);
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        if shape.rank > 0 { shape.bytes() } else { 0 }
    }
}
