//! ExscanDoubling by doubling, as [`super::scan_doubling`].

use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::scratch::LINE;
use crate::collective::shape::Shape;

/// Exclusive: what has been combined including this rank lies in the scratch memory, without it in
/// the output. Rank 0's output stays as it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct ExscanDoubling {
    distance: u32,
    /// What has been combined waits for this, and so does the operand's memory.
    ready: Id,
    /// The result so far.
    result: Id,
}

impl Candidate for ExscanDoubling {
    fn start(_: &Shape, _: &MessageThresholds) -> ExscanDoubling {
        ExscanDoubling {
            distance: 0,
            ready: Id::NONE,
            result: Id::NONE,
        }
    }
}

impl Generator for ExscanDoubling {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let Shape { rank, size, .. } = *shape;
        let bytes = shape.bytes();
        let (sofar, operand) = (
            Place::scratch(0),
            Place::scratch(bytes.next_multiple_of(LINE)),
        );
        let result = Place::output(0);
        if self.distance == 0 {
            self.ready = out.copy(Place::input(0), sofar, bytes, &[]);
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
            let free = [self.ready, self.result];
            let received = out.recv(rank - self.distance, operand, bytes, &free);
            // In place the output was the input, which has been copied.
            let after = [received, self.result, self.ready];
            self.result = match self.distance {
                1 => out.copy(operand, result, bytes, &after),
                _ => out.reduce(operand, result, shape.count, &after),
            };
            let after = [received, sent, self.ready];
            self.ready = out.reduce(operand, sofar, shape.count, &after);
        }
        self.distance = self.distance.saturating_mul(2);
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        2 * shape.bytes().next_multiple_of(LINE)
    }
}
