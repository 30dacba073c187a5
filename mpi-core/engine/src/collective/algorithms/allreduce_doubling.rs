//! Allreduce by recursive doubling.

use super::allreduce_members::{Members, Part, other, represented, scratch_of_member};
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Buffer, Id, Place, Round};
use crate::collective::shape::Shape;

/// Members exchange their whole partial results, at distance 1, 2, 4... Good for short vectors.
///
/// The operand of the higher ranks becomes the result: a member whose partner is higher goes on
/// with what it received. It starts in the buffer from which that ends in `Output`.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct AllreduceDoubling {
    phase: Phase,
    /// Where the partial result is, and what it waits for.
    sofar: Buffer,
    ready: Id,
    /// What must be finished before the other buffer is written.
    free: [Id; 2],
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Start,
    /// This round is next.
    Exchange(u32),
    Done,
}

impl Candidate for AllreduceDoubling {
    fn start(_: &Shape, _: &MessageThresholds) -> AllreduceDoubling {
        AllreduceDoubling {
            phase: Phase::Start,
            sofar: Buffer::Output,
            ready: Id::NONE,
            free: [Id::NONE; 2],
        }
    }
}

impl Generator for AllreduceDoubling {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let members = Members::of(shape.size);
        let Part::Member { number, for_two } = members.part(shape.rank) else {
            if let Phase::Start = self.phase {
                represented(shape, out);
                self.phase = Phase::Done;
                return true;
            }
            return false;
        };
        match self.phase {
            Phase::Start => {
                self.begin(shape, members, number, for_two, out);
                self.phase = Phase::Exchange(0);
            }
            Phase::Exchange(round) if round < members.rounds => {
                let partner = members.rank(number ^ 1 << round);
                let mine = Place {
                    buffer: self.sofar,
                    offset: 0,
                };
                let sent = out.send(partner, mine, shape.bytes(), &[self.ready]);
                self.combine(shape, partner, sent, out);
                self.phase = Phase::Exchange(round + 1);
            }
            Phase::Exchange(_) => {
                if self.sofar != Buffer::Output {
                    let [a, b] = self.free;
                    let scratch = Place::scratch(0);
                    self.ready = out.copy(
                        scratch,
                        Place::output(0),
                        shape.bytes(),
                        &[self.ready, a, b],
                    );
                }
                if for_two {
                    out.send(
                        shape.rank + 1,
                        Place::output(0),
                        shape.bytes(),
                        &[self.ready],
                    );
                }
                self.phase = Phase::Done;
            }
            Phase::Done => return false,
        }
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        scratch_of_member(shape)
    }
}

impl AllreduceDoubling {
    fn begin(
        &mut self,
        shape: &Shape,
        members: Members,
        number: u32,
        for_two: bool,
        out: &mut Round,
    ) {
        if !shape.in_place {
            let moves = members.rounds - number.count_ones() + for_two as u32;
            self.sofar = if moves.is_multiple_of(2) {
                Buffer::Output
            } else {
                Buffer::Scratch
            };
            let start = Place {
                buffer: self.sofar,
                offset: 0,
            };
            self.ready = out.copy(Place::input(0), start, shape.bytes(), &[]);
        }
        if for_two {
            self.combine(shape, shape.rank + 1, Id::NONE, out);
        }
    }

    /// Receives from `partner`, and reduces. `sent` has read the partial result.
    fn combine(&mut self, shape: &Shape, partner: u32, sent: Id, out: &mut Round) {
        let mine = Place {
            buffer: self.sofar,
            offset: 0,
        };
        let theirs = Place {
            buffer: other(self.sofar),
            offset: 0,
        };
        let received = out.recv(partner, theirs, shape.bytes(), &self.free);
        if partner < shape.rank {
            self.ready = out.reduce(theirs, mine, shape.count, &[received, sent, self.ready]);
            self.free = [self.ready, Id::NONE];
        } else {
            self.ready = out.reduce(mine, theirs, shape.count, &[received, self.ready]);
            self.free = [self.ready, sent];
            self.sofar = other(self.sofar);
        }
    }
}
