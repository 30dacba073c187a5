//! Broadcast by scatter and ring. The buffer is `Output` on all ranks; ranks are counted from the
//! root.

use super::binomial::Node;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// Van de Geijn's broadcast: one block for each rank is scattered down a binomial tree, then the
/// blocks travel around a ring. Every rank sends and receives the message about once, however many
/// there are. A rank inside the tree keeps the blocks of its whole subtree, which the ring leaves
/// out.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct BcastScatterRing {
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

impl Candidate for BcastScatterRing {
    fn suits(shape: &Shape, limits: &MessageThresholds) -> bool {
        let (bytes, size) = (shape.bytes(), shape.size as usize);
        size > 2 && bytes >= limits.bcast_scatter && bytes / size >= limits.bcast_block
    }

    fn start(_: &Shape, _: &MessageThresholds) -> BcastScatterRing {
        BcastScatterRing {
            phase: Phase::Receive,
            scattered: Id::NONE,
            received: Id::NONE,
        }
    }
}

impl Generator for BcastScatterRing {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
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
