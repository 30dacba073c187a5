//! Reduction to a root.

use super::binomial::Node;
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Buffer, Id, Place, Round};
use crate::collective::scratch::LINE;
use crate::collective::shape::Shape;

/// How many partial results from children can be on their way at the same time.
const SLOTS: usize = 4;

/// A binomial tree up which partial results flow in segments.
///
/// The ranks of a subtree are a range, and children are added in ascending order. What a child sent
/// stands behind what has been reduced so far: `child = sofar OP child`, so the received operand
/// becomes the result, nothing is copied, and the operands keep their order. For an operation that
/// does not commute the tree hangs from rank 0, so that the order is the canonical one, and rank 0
/// passes the result on to the root; for all others it hangs from the root.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct ReduceTree {
    /// Elements of a segment.
    segment: usize,
    /// The first element of the current segment.
    first: usize,
    /// The next child, or the end of the segment when there are no more.
    child: u32,
    /// What has been reduced of the current segment: where it is and what it waits for.
    sofar: Place,
    ready: Id,
    /// The slot that the next child's operand goes to, and the last operation on each slot.
    slot: usize,
    slots: [Id; SLOTS],
}

impl Candidate for ReduceTree {
    fn start(shape: &Shape, limits: &MessageThresholds) -> ReduceTree {
        ReduceTree {
            segment: (limits.reduce_segment / shape.width).max(1),
            first: 0,
            child: 0,
            sofar: Place::input(0),
            ready: Id::NONE,
            slot: 0,
            slots: [Id::NONE; SLOTS],
        }
    }
}

impl Generator for ReduceTree {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let count = self.segment.min(shape.count - self.first);
        if count == 0 {
            return false;
        }
        let node = Self::node(shape);
        if self.child == 0 {
            self.ready = Id::NONE;
            self.sofar = Place::input(self.first * shape.width);
        }
        if self.child < node.children() {
            self.take(shape, node, count, out);
            self.child += 1;
        }
        if self.child == node.children() {
            self.end_segment(shape, node, count, out);
            self.first += count;
            self.child = 0;
        }
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        if Self::node(shape).children() == 0 {
            0
        } else {
            SLOTS * self.slot_bytes(shape)
        }
    }
}

impl ReduceTree {
    fn slot_bytes(&self, shape: &Shape) -> usize {
        (self.segment.min(shape.count) * shape.width).next_multiple_of(LINE)
    }

    fn node(shape: &Shape) -> Node {
        Node::new(
            if shape.commutative {
                shape.relative()
            } else {
                shape.rank
            },
            shape.size,
        )
    }

    /// Receives from the next child and reduces.
    fn take(&mut self, shape: &Shape, node: Node, count: usize, out: &mut Round) {
        let bytes = count * shape.width;
        let child = node.child(self.child).at();
        let child = if shape.commutative {
            shape.absolute(child)
        } else {
            child
        };
        let result = Place::output(self.first * shape.width);
        let tops_root = node.parent().is_none() && shape.rank == shape.root;

        if tops_root && !shape.in_place && self.child + 1 == node.children() {
            // The last operand makes the result, so it is received where the result belongs.
            let received = out.recv(child, result, bytes, &[]);
            let reduced = out.reduce(self.sofar, result, count, &[received, self.ready]);
            self.reduced(shape, self.sofar, reduced);
            self.sofar = result;
            return;
        }
        let slot = self.slot % SLOTS;
        self.slot = (slot + 1) % SLOTS;
        let operand = Place::scratch(slot * self.slot_bytes(shape));
        let received = out.recv(child, operand, bytes, &[self.slots[slot]]);
        if tops_root && shape.in_place && shape.commutative {
            self.ready = out.reduce(operand, result, count, &[received, self.ready]);
            self.sofar = result;
            self.slots[slot] = self.ready;
        } else {
            let reduced = out.reduce(self.sofar, operand, count, &[received, self.ready]);
            self.reduced(shape, self.sofar, reduced);
            self.sofar = operand;
            self.slots[slot] = reduced;
        }
    }

    /// Notes the reduction that read `from`.
    fn reduced(&mut self, shape: &Shape, from: Place, reduction: Id) {
        self.ready = reduction;
        self.used(shape, from, reduction);
    }

    /// Notes the last operation on the slot at `place`, if it is one.
    fn used(&mut self, shape: &Shape, place: Place, by: Id) {
        if place.buffer == Buffer::Scratch {
            self.slots[place.offset / self.slot_bytes(shape)] = by;
        }
    }

    /// All children are reduced: passes the segment on.
    fn end_segment(&mut self, shape: &Shape, node: Node, count: usize, out: &mut Round) {
        let bytes = count * shape.width;
        let result = Place::output(self.first * shape.width);
        let top = if shape.commutative { shape.root } else { 0 };
        let target = match node.parent() {
            Some(parent) if shape.commutative => Some(shape.absolute(parent)),
            Some(parent) => Some(parent),
            None => (top != shape.root).then_some(shape.root),
        };
        match target {
            Some(target) => {
                let sent = out.send(target, self.sofar, bytes, &[self.ready]);
                self.used(shape, self.sofar, sent);
                if shape.rank == shape.root {
                    // In place, what was sent lay where the result goes.
                    let free = if shape.in_place { sent } else { Id::NONE };
                    out.recv(top, result, bytes, &[free, self.ready]);
                }
            }
            None => {
                let there = self.sofar.buffer == Buffer::Output
                    || shape.in_place && self.sofar.buffer == Buffer::Input;
                if !there {
                    let copied = out.copy(self.sofar, result, bytes, &[self.ready]);
                    self.used(shape, self.sofar, copied);
                }
            }
        }
    }
}
