//! Allreduce by recursive halving and doubling.

use super::allreduce_members::{Members, Part, other, represented, scratch_of_member};
use super::{Candidate, Generator, MessageThresholds};
use crate::collective::operation::{Buffer, Id, Place, Round};
use crate::collective::scratch::LINE;
use crate::collective::shape::Shape;

/// Rabenseifner's allreduce: in each round members exchange one half of what they still reduce, and
/// keep the other, until each has one piece; then the pieces are collected the same way back. Every
/// byte is reduced once per member that it comes from, so it is good for long vectors. Distances
/// double, unlike in the usual form, which keeps operands in order.
#[derive(Clone, Copy, Debug)]
pub(in crate::collective) struct AllreduceHalving {
    phase: Phase,
    sofar: Buffer,
    ready: Id,
    /// The last send; sends are chained, so it stands for all.
    sent: Id,
    /// `sent` when the collecting began.
    given: Id,
    /// The last receive while collecting.
    received: Id,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Start,
    /// This round is next.
    Exchange(u32),
    /// The rounds below this one are still to be collected.
    Collect(u32),
    End,
    Done,
}

impl Candidate for AllreduceHalving {
    fn suits(shape: &Shape, limits: &MessageThresholds) -> bool {
        shape.bytes() >= limits.allreduce_halving && shape.count >= shape.size as usize
    }

    fn start(_: &Shape, _: &MessageThresholds) -> AllreduceHalving {
        AllreduceHalving {
            phase: Phase::Start,
            sofar: Buffer::Input,
            ready: Id::NONE,
            sent: Id::NONE,
            given: Id::NONE,
            received: Id::NONE,
        }
    }
}

impl Generator for AllreduceHalving {
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
                if shape.in_place {
                    self.sofar = Buffer::Output;
                }
                if for_two {
                    self.combine(shape, shape.rank + 1, (0, shape.count), out);
                }
                self.phase = Phase::Exchange(0);
            }
            Phase::Exchange(round) if round < members.rounds => {
                let partner = members.rank(number ^ 1 << round);
                let (kept, given) = halves(shape.count, number, round);
                let place = Place {
                    buffer: self.sofar,
                    offset: given.0 * shape.width,
                };
                let bytes = (given.1 - given.0) * shape.width;
                self.sent = out
                    .send(partner, place, bytes, &[self.ready, self.sent])
                    .or(self.sent);
                self.combine(shape, partner, kept, out);
                self.phase = Phase::Exchange(round + 1);
            }
            Phase::Exchange(_) => {
                let (first, end) = piece(shape.count, number, members.rounds);
                if self.sofar != Buffer::Output {
                    let offset = first * shape.width;
                    let place = Place {
                        buffer: self.sofar,
                        offset,
                    };
                    let bytes = (end - first) * shape.width;
                    self.ready = out
                        .copy(place, Place::output(offset), bytes, &[self.ready])
                        .or(self.ready);
                }
                self.given = self.sent;
                self.phase = Phase::Collect(members.rounds);
            }
            Phase::Collect(0) => self.phase = Phase::End,
            Phase::Collect(left) => {
                let round = left - 1;
                self.collect(
                    shape,
                    members.rank(number ^ 1 << round),
                    halves(shape.count, number, round),
                    out,
                );
                self.phase = Phase::Collect(round);
            }
            Phase::End => {
                if for_two {
                    let after = [self.ready, self.sent, self.received];
                    out.send(shape.rank + 1, Place::output(0), shape.bytes(), &after);
                }
                self.phase = Phase::Done;
            }
            Phase::Done => return false,
        }
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        scratch_of_member(shape).next_multiple_of(LINE)
    }
}

impl AllreduceHalving {
    /// Receives the elements `range` of `partner`'s partial result, and reduces them.
    fn combine(&mut self, shape: &Shape, partner: u32, range: (usize, usize), out: &mut Round) {
        let offset = range.0 * shape.width;
        let count = range.1 - range.0;
        let bytes = count * shape.width;
        let mine = Place {
            buffer: self.sofar,
            offset,
        };
        let into_theirs = if shape.commutative {
            self.sofar != Buffer::Output
        } else {
            partner > shape.rank
        };
        if into_theirs {
            let theirs = Place {
                buffer: other(self.sofar),
                offset,
            };
            let received = out.recv(partner, theirs, bytes, &[self.ready]);
            self.ready = out
                .reduce(mine, theirs, count, &[received, self.ready])
                .or(self.ready);
            self.sofar = theirs.buffer;
            return;
        }
        // The operand of this rank becomes the result, which the input cannot.
        let (mine, theirs) = match self.sofar {
            Buffer::Input => (Place::output(offset), Place::scratch(offset)),
            sofar => (
                mine,
                Place {
                    buffer: other(sofar),
                    offset,
                },
            ),
        };
        if self.sofar == Buffer::Input {
            self.ready = out
                .copy(Place::input(offset), mine, bytes, &[self.ready])
                .or(self.ready);
            self.sofar = Buffer::Output;
        }
        let received = out.recv(partner, theirs, bytes, &[self.ready]);
        self.ready = out
            .reduce(theirs, mine, count, &[received, self.ready])
            .or(self.ready);
    }

    /// Sends the result's part that this member has, and receives the part that the partner has.
    fn collect(&mut self, shape: &Shape, partner: u32, (kept, given): Halves, out: &mut Round) {
        let bytes = |range: (usize, usize)| (range.1 - range.0) * shape.width;
        let place = Place::output(kept.0 * shape.width);
        let after = [self.ready, self.sent, self.received];
        self.sent = out.send(partner, place, bytes(kept), &after).or(self.sent);
        let place = Place::output(given.0 * shape.width);
        // It replaces what was given away, perhaps from this very place.
        let received = out.recv(partner, place, bytes(given), &[self.given]);
        self.received = received.or(self.received);
    }
}

/// Two neighbouring ranges of elements {first, end}: the one that a member keeps, and the one that
/// it gives away.
type Halves = ((usize, usize), (usize, usize));

/// The elements that a member still reduces before `round`.
fn piece(count: usize, member: u32, round: u32) -> (usize, usize) {
    (0..round).fold((0, count), |range, earlier| split(range, member, earlier).0)
}

fn halves(count: usize, member: u32, round: u32) -> Halves {
    split(piece(count, member, round), member, round)
}

fn split((first, end): (usize, usize), member: u32, round: u32) -> Halves {
    let middle = first + (end - first) / 2;
    if member >> round & 1 == 0 {
        ((first, middle), (middle, end))
    } else {
        ((middle, end), (first, middle))
    }
}
