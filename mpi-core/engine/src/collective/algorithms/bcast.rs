//! Broadcast. The buffer is `Output` on all ranks; ranks are counted from the root.

use super::binomial::Node;
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// A binomial tree through which the message flows in segments, so that a rank passes on what it has while the rest is
/// still coming. With one segment it is the plain binomial tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PipelinedTree {
    segment: usize,
    offset: usize,
    /// What comes next in this segment: the receive, or the child of this number (counted down).
    next: Option<u32>,
    received: Id,
}

impl PipelinedTree {
    /// With segments of this many bytes, at least 1.
    pub(in crate::collective) fn new(segment: usize) -> PipelinedTree {
        PipelinedTree {
            segment,
            offset: 0,
            next: None,
            received: Id::NONE,
        }
    }

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
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

/// Van de Geijn's broadcast: one block for each rank is scattered down a binomial tree, then the blocks travel around a
/// ring. Every rank sends and receives the message about once, however many there are. A rank inside the tree keeps the
/// blocks of its whole subtree, which the ring leaves out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScatterRing {
    phase: Phase,
    scattered: Id,
    received: Id,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Receive,
    /// The children below this number are still to be sent to.
    Scatter(u32),
    /// This step of the ring is next.
    Ring(u32),
}

impl ScatterRing {
    pub(in crate::collective) const START: ScatterRing = ScatterRing {
        phase: Phase::Receive,
        scattered: Id::NONE,
        received: Id::NONE,
    };

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let size = shape.size;
        let node = Node::new(shape.relative(), size);
        let block = shape.bytes().div_ceil(size as usize);
        // Offset and length of a range of blocks; the last ones may be short or empty.
        let extent = |first: u32, end: u32| {
            let start = (first as usize * block).min(shape.bytes());
            (
                Place::output(start),
                (end as usize * block).min(shape.bytes()) - start,
            )
        };
        match self.phase {
            Phase::Receive => {
                if let Some(parent) = node.parent() {
                    let (place, bytes) = extent(node.subtree().start, node.subtree().end);
                    self.scattered = out.recv(shape.absolute(parent), place, bytes, &[]);
                }
                self.phase = Phase::Scatter(node.children());
            }
            Phase::Scatter(0) => self.phase = Phase::Ring(0),
            Phase::Scatter(left) => {
                let child = node.child(left - 1);
                let (place, bytes) = extent(child.subtree().start, child.subtree().end);
                out.send(shape.absolute(child.at()), place, bytes, &[self.scattered]);
                self.phase = Phase::Scatter(left - 1);
            }
            Phase::Ring(step) if step + 1 >= size => return false,
            Phase::Ring(step) => {
                let around = |back: u32| (node.at() + size - back) % size;
                let above = Node::new((node.at() + 1) % size, size);
                let (sent, received) = (around(step), around(step + 1));
                if !above.subtree().contains(&sent) {
                    let own = node.subtree().contains(&sent);
                    let after = if own { self.scattered } else { self.received };
                    let (place, bytes) = extent(sent, sent + 1);
                    out.send(shape.above(1), place, bytes, &[after]);
                }
                if !node.subtree().contains(&received) {
                    let (place, bytes) = extent(received, received + 1);
                    self.received = out.recv(shape.below(1), place, bytes, &[]);
                }
                self.phase = Phase::Ring(step + 1);
            }
        }
        true
    }
}
