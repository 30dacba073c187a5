//! Scatter down a binomial tree. Every block leaves the root's buffer from its place.

use super::binomial::Node;
use super::gather_tree::pieces;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// The root's own block, unless it is to stay where it is.
pub(super) fn own_block(shape: &Shape, out: &mut Round) {
    if !shape.in_place {
        let block = shape.bytes();
        let from = Place::input(shape.rank as usize * block);
        out.copy(from, Place::output(0), block, &[]);
    }
}

/// A binomial tree counted from the root: an inner rank receives the blocks of its subtree together
/// and passes on those of its children. From the root a subtree that passes the highest rank is two
/// messages.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct ScatterTree {
    /// The children below this number are still to be served; none yet.
    left: Option<u32>,
    received: Id,
    done: bool,
}

impl Candidate for ScatterTree {
    fn start(_: &Shape, _: &MessageThresholds) -> ScatterTree {
        ScatterTree {
            left: None,
            received: Id::NONE,
            done: false,
        }
    }
}

impl Generator for ScatterTree {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.done {
            return false;
        }
        let block = shape.bytes();
        let node = Node::new(shape.relative(), shape.size);
        let scratch = |at: u32| Place::scratch((at - node.at()) as usize * block);
        match (self.left, node.parent()) {
            (None, parent) => {
                if let Some(parent) = parent {
                    self.receive(shape, node, parent, out);
                }
                self.left = Some(node.children());
            }
            // The child with the largest subtree first.
            (Some(left @ 1..), parent) => {
                let child = node.child(left - 1);
                let to = shape.absolute(child.at());
                if parent.is_none() {
                    for (first, blocks) in pieces(shape, child) {
                        let from = Place::input(shape.absolute(first) as usize * block);
                        out.send(to, from, blocks as usize * block, &[]);
                    }
                } else {
                    let bytes = child.subtree().len() * block;
                    out.send(to, scratch(child.at()), bytes, &[self.received]);
                }
                self.left = Some(left - 1);
            }
            (Some(0), parent) => {
                match parent {
                    None => own_block(shape, out),
                    Some(_) if node.children() > 0 => {
                        out.copy(
                            scratch(node.at()),
                            Place::output(0),
                            block,
                            &[self.received],
                        );
                    }
                    Some(_) => {}
                }
                self.done = true;
            }
        }
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        Node::new(shape.relative(), shape.size).blocks_kept() * shape.bytes()
    }
}

impl ScatterTree {
    fn receive(&mut self, shape: &Shape, node: Node, parent: u32, out: &mut Round) {
        let block = shape.bytes();
        let into = |at: u32| match node.children() {
            0 => Place::output(0),
            _ => Place::scratch((at - node.at()) as usize * block),
        };
        let from = shape.absolute(parent);
        if parent > 0 {
            let bytes = node.subtree().len() * block;
            self.received = out.recv(from, into(node.at()), bytes, &[]);
            return;
        }
        for (first, blocks) in pieces(shape, node) {
            // Chained, so that the last one stands for both.
            let after = [self.received];
            let received = out.recv(from, into(first), blocks as usize * block, &after);
            self.received = received.or(self.received);
        }
    }
}
