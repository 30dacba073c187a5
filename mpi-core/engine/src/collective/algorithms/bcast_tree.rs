//! Broadcast down a binomial tree. The buffer is `Output` on all ranks; ranks are counted from the
//! root.

use super::binomial::Node;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// A binomial tree through which the message flows in segments, so that a rank passes on what it
/// has while the rest is still coming. With one segment it is the plain binomial tree.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct BcastTree {
    segment: usize,
    offset: usize,
    /// What comes next in this segment: the receive, or the child of this number (counted down).
    next: Option<u32>,
    received: Id,
}

impl Candidate for BcastTree {
    fn start(shape: &Shape, limits: &MessageThresholds) -> BcastTree {
        // Of two ranks nobody passes anything on, so segments would gain nothing.
        let segment = match shape.size {
            ..=2 => shape.bytes(),
            _ => limits.bcast_segment,
        };
        BcastTree {
            segment: segment.max(1),
            offset: 0,
            next: None,
            received: Id::NONE,
        }
    }
}

impl Generator for BcastTree {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let node = Node::new(shape.relative(), shape.size);
        let place = Place::output(self.offset);
        let bytes = self.segment.min(shape.bytes() - self.offset);
        if bytes == 0 {
            return false;
        }
        let left = match self.next {
            None => {
                if let Some(parent) = node.parent() {
                    self.received = out.recv(shape.absolute(parent), place, bytes, &[]);
                }
                node.children()
            }
            // The child with the largest subtree first.
            Some(left) => {
                let child = node.child(left - 1);
                out.send(shape.absolute(child.at()), place, bytes, &[self.received]);
                left - 1
            }
        };
        if left == 0 {
            self.offset += bytes;
            self.next = None;
        } else {
            self.next = Some(left);
        }
        true
    }
}
