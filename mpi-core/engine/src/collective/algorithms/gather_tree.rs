//! Gather up a binomial tree. Every block lands in the root's buffer at its final place.

use super::binomial::Node;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::Shape;

/// The root's own block, unless it is there already.
pub(super) fn own_block(shape: &Shape, out: &mut Round) {
    if !shape.in_place {
        let block = shape.bytes();
        out.copy(
            Place::input(0),
            Place::output(shape.rank as usize * block),
            block,
            &[],
        );
    }
}

/// A binomial tree counted from the root: an inner rank collects the blocks of its subtree and
/// sends them up together. To the root a subtree that passes the highest rank is two messages,
/// since its blocks are not neighbours there.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct GatherTree {
    child: u32,
    /// The receives of an inner rank are chained, so that the last one stands for all.
    received: Id,
    own: Id,
    done: bool,
}

impl Candidate for GatherTree {
    fn start(_: &Shape, _: &MessageThresholds) -> GatherTree {
        GatherTree {
            child: 0,
            received: Id::NONE,
            own: Id::NONE,
            done: false,
        }
    }
}

impl Generator for GatherTree {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        if self.done {
            return false;
        }
        let node = Node::new(shape.relative(), shape.size);
        match node.parent() {
            None => self.at_root(shape, node, out),
            Some(parent) => self.below_root(shape, node, parent, out),
        }
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        Node::new(shape.relative(), shape.size).blocks_kept() * shape.bytes()
    }
}

impl GatherTree {
    fn at_root(&mut self, shape: &Shape, node: Node, out: &mut Round) {
        let block = shape.bytes();
        if self.child == node.children() {
            own_block(shape, out);
            self.done = true;
            return;
        }
        let child = node.child(self.child);
        for (first, blocks) in pieces(shape, child) {
            let place = Place::output(shape.absolute(first) as usize * block);
            out.recv(
                shape.absolute(child.at()),
                place,
                blocks as usize * block,
                &[],
            );
        }
        self.child += 1;
    }

    fn below_root(&mut self, shape: &Shape, node: Node, parent: u32, out: &mut Round) {
        let block = shape.bytes();
        let leaf = node.children() == 0;
        let place = |at: u32| Place::scratch((at - node.at()) as usize * block);
        if self.child < node.children() {
            if self.child == 0 {
                self.own = out.copy(Place::input(0), place(node.at()), block, &[]);
            }
            let child = node.child(self.child);
            let bytes = child.subtree().len() * block;
            self.received = out.recv(
                shape.absolute(child.at()),
                place(child.at()),
                bytes,
                &[self.received],
            );
            self.child += 1;
            return;
        }
        let from = |at: u32| if leaf { Place::input(0) } else { place(at) };
        let after = [self.received, self.own];
        let target = shape.absolute(parent);
        if parent == 0 {
            for (first, blocks) in pieces(shape, node) {
                out.send(target, from(first), blocks as usize * block, &after);
            }
        } else {
            out.send(
                target,
                from(node.at()),
                node.subtree().len() * block,
                &after,
            );
        }
        self.done = true;
    }
}

/// A subtree as ranges of relative ranks {first, blocks} that are ascending ranks of the
/// communicator; the second may be empty.
pub(in crate::collective) fn pieces(shape: &Shape, node: Node) -> [(u32, u32); 2] {
    let subtree = node.subtree();
    // The relative rank of rank 0.
    let wrap = (shape.size - shape.root).clamp(subtree.start, subtree.end);
    [
        (subtree.start, wrap - subtree.start),
        (wrap, subtree.end - wrap),
    ]
}
