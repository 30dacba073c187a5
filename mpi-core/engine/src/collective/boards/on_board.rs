//! Collectives of a node's ranks over a [board](ferrite_shm::Board): memory that all of them reach,
//! instead of messages.
//!
//! A call is cut into chunks that fit a member's slot, with blocks for all members into chunks of
//! each block; each takes one turn of the board, and several may be under way. In a turn every
//! member that contributes puts its chunk into its slot and posts it; whoever needs it waits for
//! that and reads. Vectors of some length that all want are reduced in slices, each member its own,
//! and collected in a second step; others by everybody who wants the result.
//!
//! A member takes its own operand from its own memory, but in place: reading a slot that others
//! read at the same time was measured to be slower.
//!
//! Operands are combined in the order of rank, or each slice by one member only, so that every rank
//! gets the same bits.

use crate::collective::algorithms::Generator;
use crate::collective::operation::{Id, Place, Round};
use crate::collective::shape::{Collective, Shape};
use crate::{Error, ErrorClass, Result};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnBoard {
    collective: Collective,
    /// Elements of a chunk.
    chunk: usize,
    /// The chunk fits the lines.
    in_line: bool,
    /// Members reduce slices.
    sliced: bool,
    turn: u32,
    /// The first element of the current chunk.
    first: usize,
    phase: Phase,
    last: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fill,
    /// Put the part of the block for this member into the slot.
    FillBlock(u32),
    /// The slot is filled: tell the others.
    Filled,
    /// Wait for this member, and take what it has.
    Take(u32),
    /// Combine what this member has with this rank's slice, counted from the one above it, from
    /// this element of the slice on.
    Slice(usize, u32),
    /// Fetch this member's slice, counted from this rank.
    Collect(u32),
    End,
}

/// First step of a turn: the chunk is in the slot.
pub(in crate::collective) const FILLED: u8 = 1;
/// Second step: the slice is reduced.
const REDUCED: u8 = 2;

/// Bytes that all operands are combined for before the next ones: the result stays in the nearest
/// cache.
pub(in crate::collective) const STRIP: usize = if cfg!(test) { 32 } else { 8 << 10 };

impl OnBoard {
    /// For a board whose slots have `payload` bytes. Vectors of up to `sliced_above` bytes are
    /// combined by everybody who wants the result. `None` if there is nobody else, an element for
    /// each member does not fit, or the call is better done by messages.
    #[inline]
    pub(in crate::collective) fn new(
        collective: Collective,
        shape: &Shape,
        payload: usize,
        sliced_above: usize,
    ) -> Option<OnBoard> {
        let share = if collective.has_blocks() {
            payload / shape.size as usize
        } else {
            payload
        };
        let chunk = share / shape.width;
        let sliced = collective == Collective::Allreduce
            && shape.size > 2
            && shape.bytes() > sliced_above
            && shape.count >= shape.size as usize;
        if shape.size == 1 || chunk == 0 || sliced && !shape.commutative {
            return None;
        }
        Some(OnBoard {
            collective,
            chunk,
            in_line: fits_line(collective, shape),
            sliced,
            turn: 0,
            first: 0,
            phase: Phase::Fill,
            last: Id::NONE,
        })
    }

    pub(in crate::collective) fn collective(&self) -> Collective {
        self.collective
    }

    /// What is done, if it takes one turn and nobody reduces slices.
    #[inline]
    pub(in crate::collective) fn in_one_turn(&self, shape: &Shape) -> Option<Collective> {
        (!self.sliced && self.turns(shape) == 1).then_some(self.collective)
    }
}

impl Generator for OnBoard {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let count = self.chunk.min(shape.count - self.first);
        if self.collective == Collective::Barrier {
            return self.barrier(out, shape);
        }
        if count == 0 {
            return false;
        }
        let (own, at, bytes) = (shape.rank, self.first * shape.width, count * shape.width);
        let is_root = own == shape.root;
        match self.phase {
            Phase::Fill => self.fill(shape, at, count, out),
            Phase::FillBlock(member) => {
                let from = Place::input(member as usize * shape.bytes() + at);
                let into = self.slot(own, member as usize * bytes);
                if member != own {
                    self.last = out.copy(from, into, bytes, &[self.last]);
                }
                self.phase = match member + 1 == shape.size {
                    true => Phase::Filled,
                    false => Phase::FillBlock(member + 1),
                };
            }
            Phase::Filled => {
                self.last = out.post(self.turn, FILLED, &[self.last]);
                self.keep_own(shape, at, bytes, out);
                self.phase = match self.collective {
                    Collective::Allreduce if self.sliced => {
                        let all = 0..shape.size;
                        self.last = out.wait_for(self.turn, FILLED, all, &[self.last]);
                        Phase::Slice(0, 0)
                    }
                    collective if collective.operands(shape) > 0 => {
                        let operands = collective.operands(shape);
                        let all = 0..operands;
                        self.last = out.wait_for(self.turn, FILLED, all, &[self.last]);
                        // The first two are combined at once.
                        Phase::Take((operands - 1).max(1))
                    }
                    Collective::Allgather | Collective::Alltoall if shape.size > 1 => {
                        Phase::Take(shape.size - 1)
                    }
                    Collective::Gather if is_root && shape.size > 1 => Phase::Take(shape.size - 1),
                    _ => Phase::End,
                };
            }
            Phase::Take(left) => {
                self.take(shape, left, at, count, out);
                self.phase = if left == 1 {
                    Phase::End
                } else {
                    Phase::Take(left - 1)
                };
            }
            Phase::Slice(done, step) => self.slice((done, step), shape, at, count, out),
            Phase::Collect(step) => {
                let member = shape.above(step);
                let (first, slice) = slice_of(member, shape.size, count);
                let offset = first * shape.width;
                let ready = out.wait_for(self.turn, REDUCED, member..member + 1, &[self.last]);
                let (from, into) = (self.slot(member, offset), Place::output(at + offset));
                self.last = out
                    .copy(from, into, slice * shape.width, &[ready])
                    .or(ready);
                self.phase = if step + 1 == shape.size {
                    Phase::End
                } else {
                    Phase::Collect(step + 1)
                };
            }
            Phase::End => {
                out.finish(self.turn, &[self.last]);
                self.turn += 1;
                self.first += count;
                self.phase = Phase::Fill;
            }
        }
        true
    }

    /// Turns of the board that the call takes.
    fn turns(&self, shape: &Shape) -> u64 {
        match self.collective {
            Collective::Barrier => 1,
            _ => shape.count.div_ceil(self.chunk) as u64,
        }
    }
}

impl OnBoard {
    /// Begins to fill this rank's slot with the chunk, or to wait for the root's.
    fn fill(&mut self, shape: &Shape, at: usize, count: usize, out: &mut Round) {
        let (own, bytes) = (shape.rank, count * shape.width);
        self.last = Id::NONE;
        if !self.collective.fills(own == shape.root) {
            self.phase = Phase::Take(1);
            return;
        }
        self.last = out.enter(self.turn);
        if self.collective.has_blocks() && count < shape.count {
            self.phase = Phase::FillBlock(0);
            return;
        }
        self.phase = Phase::Filled;
        let (from, bytes) = match self.collective {
            Collective::Bcast => (Place::output(at), bytes),
            // In place, a gathering rank's block lies in its output.
            Collective::Gather | Collective::Allgather if shape.in_place => {
                (Place::output(own as usize * shape.bytes() + at), bytes)
            }
            collective if collective.has_blocks() => (Place::input(0), shape.size as usize * bytes),
            _ => (Place::input(at), bytes),
        };
        // What this member keeps for itself, nobody else needs.
        let kept = match self.collective {
            _ if self.sliced => {
                let (first, slice) = slice_of(own, shape.size, count);
                first * shape.width..(first + slice) * shape.width
            }
            collective if collective.has_blocks() => {
                own as usize * shape.bytes()..(own as usize + 1) * shape.bytes()
            }
            _ => 0..0,
        };
        let before = out.copy(from, self.slot(own, 0), kept.start, &[self.last]);
        self.last = before.or(self.last);
        let from = Place {
            offset: from.offset + kept.end,
            ..from
        };
        let into = self.slot(own, kept.end);
        let behind = out.copy(from, into, bytes - kept.end, &[self.last]);
        self.last = behind.or(self.last);
    }

    /// Combines what the member `step + 1` ranks above has with a strip of this rank's slice, from
    /// element `done` of the slice on.
    fn slice(
        &mut self,
        (done, step): (usize, u32),
        shape: &Shape,
        at: usize,
        count: usize,
        out: &mut Round,
    ) {
        let own = shape.rank;
        let (first, slice) = slice_of(own, shape.size, count);
        let strip = (STRIP / shape.width).max(1).min(slice - done);
        let offset = (first + done) * shape.width;
        let (input, result) = (Place::input(at + offset), Place::output(at + offset));
        let from = self.slot(shape.above(step + 1), offset);
        let with = match step {
            0 if !shape.in_place => input,
            _ => result,
        };
        let reduced = out.combine((from, with), result, strip, &[self.last]);
        self.last = reduced.or(self.last);
        self.phase = Phase::Slice(done, step + 1);
        if step + 2 == shape.size {
            let copied = out.copy(
                result,
                self.slot(own, offset),
                strip * shape.width,
                &[self.last],
            );
            self.last = copied.or(self.last);
            self.phase = Phase::Slice(done + strip, 0);
            if done + strip == slice {
                self.last = out.post(self.turn, REDUCED, &[self.last]);
                self.phase = Phase::Collect(1);
            }
        }
    }

    /// Copies this rank's block to where it is wanted, if it is.
    fn keep_own(&self, shape: &Shape, at: usize, bytes: usize, out: &mut Round) {
        let block = shape.rank as usize * shape.bytes() + at;
        let (from, into) = match self.collective {
            _ if shape.in_place => return,
            Collective::Gather if shape.rank == shape.root => (at, block),
            Collective::Allgather => (at, block),
            Collective::Scatter => (block, at),
            Collective::Alltoall => (block, block),
            _ => return,
        };
        out.copy(Place::input(from), Place::output(into), bytes, &[]);
    }

    /// Takes what a member has filled in; `left` counts the members down.
    fn take(&mut self, shape: &Shape, left: u32, at: usize, count: usize, out: &mut Round) {
        let bytes = count * shape.width;
        // Where this rank's block begins in another's slot.
        let mine = match self.collective.has_blocks() {
            true => shape.rank as usize * bytes,
            false => 0,
        };
        match self.collective {
            Collective::Bcast | Collective::Scatter => {
                let root = shape.root;
                let ready = out.wait_for(self.turn, FILLED, root..root + 1, &[]);
                self.last = out.copy(self.slot(root, mine), Place::output(at), bytes, &[ready]);
            }
            Collective::Gather | Collective::Allgather | Collective::Alltoall => {
                // Each begins with another one.
                let member = shape.below(left);
                let ready = out.wait_for(self.turn, FILLED, member..member + 1, &[self.last]);
                let into = Place::output(member as usize * shape.bytes() + at);
                self.last = out.copy(self.slot(member, mine), into, bytes, &[ready]);
            }
            _ => {
                // From the last rank to the first: each operand goes to the left of what there is.
                let operand = |member| match member == shape.rank && !shape.in_place {
                    // Nobody else looks at it: that is faster than one's own slot, which others are
                    // reading.
                    true if self.collective.has_blocks() => {
                        Place::input(shape.rank as usize * shape.bytes() + at)
                    }
                    true => Place::input(at),
                    false => self.slot(member, mine),
                };
                let (from, into) = (operand(left - 1), Place::output(at));
                self.last = match self.collective.operands(shape) {
                    // It is there already.
                    1 if shape.in_place && shape.rank == 0 => return,
                    1 => out.copy(from, into, bytes, &[self.last]),
                    operands if left + 1 == operands => {
                        out.combine((from, operand(left)), into, count, &[self.last])
                    }
                    _ => out.reduce(from, into, count, &[self.last]),
                };
            }
        }
    }

    fn barrier(&mut self, out: &mut Round, shape: &Shape) -> bool {
        if self.turn == 1 {
            return false;
        }
        let here = out.post(self.turn, FILLED, &[]);
        let all = out.wait_for(self.turn, FILLED, 0..shape.size, &[here]);
        out.finish(self.turn, &[all]);
        self.turn += 1;
        true
    }

    fn slot(&self, member: u32, offset: usize) -> Place {
        Place::slot(member, self.turn, self.in_line, offset)
    }
}

/// Whether the data of a call fit the lines.
#[inline]
pub(in crate::collective) fn fits_line(collective: Collective, shape: &Shape) -> bool {
    let blocks = if collective.has_blocks() {
        shape.size as usize
    } else {
        1
    };
    shape.bytes() * blocks <= ferrite_shm::IN_LINE
}

/// What a member announces that has found counts not to agree: no call has so many bytes.
pub(in crate::collective) const IN_DISAGREEMENT: u64 = u64::MAX;

/// Whether a member that has filled its slot means a call of as many bytes as this one does. A call
/// without data, such as a barrier, fills none.
#[inline]
pub(in crate::collective) fn in_agreement(
    shape: &Shape,
    member: u32,
    announced: u64,
) -> Result<()> {
    let bytes = shape.bytes() as u64;
    if bytes == 0 || announced == bytes {
        return Ok(());
    }
    Err(disagreement(shape, member, announced))
}

#[cold]
fn disagreement(shape: &Shape, member: u32, announced: u64) -> Error {
    let bytes = shape.bytes() as u64;
    let class = if announced > bytes {
        ErrorClass::TRUNCATE
    } else {
        ErrorClass::COUNT
    };
    if announced == IN_DISAGREEMENT {
        let sentence =
            format!("rank {member} has found that the counts of some ranks do not agree");
        return Error::new(class, sentence);
    }
    let sentence = format!(
        "rank {member} takes part with {announced} bytes, this rank ({}) with {bytes}: counts and \
         types must describe as much on all \
         ranks",
        shape.rank
    );
    Error::new(class, sentence)
}

/// First element and number of elements of a member's slice of a vector.
fn slice_of(member: u32, size: u32, count: usize) -> (usize, usize) {
    let at = |member: u32| (count as u64 * u64::from(member) / u64::from(size)) as usize;
    (at(member), at(member + 1) - at(member))
}
