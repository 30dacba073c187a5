//! Allreduce, for operations that commute and for those that do not.
//!
//! Both algorithms need a power of two of ranks. Of the first `2 * (size - power)` ranks each even one therefore takes on
//! the contribution of the odd rank above it and takes part for both, and passes the result on at the end. The ranks that
//! take part, counted in their order, are called *members*; each stands for a range of ranks, and members whose numbers
//! differ in bit i only exchange in round i. So what a member has before round i covers an aligned range of 2^i members,
//! its partner's the neighbouring one, and the order of the operands is the canonical one.

use crate::collective::operation::{Buffer, Id, Place, Round};
use crate::collective::scratch::LINE;
use crate::collective::shape::Shape;

/// The ranks that take part.
#[derive(Clone, Copy, Debug)]
struct Members {
    /// Of the ranks below this the even ones stand for two ranks.
    folded: u32,
    /// How many rounds.
    rounds: u32,
}

/// What a rank does.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Takes part with this number; `for_two` when it stands for the rank above too.
    Member { number: u32, for_two: bool },
    /// Leaves it to the rank below.
    Represented,
}

impl Members {
    fn of(size: u32) -> Members {
        let rounds = size.ilog2();
        Members {
            folded: 2 * (size - (1 << rounds)),
            rounds,
        }
    }

    fn part(self, rank: u32) -> Part {
        if rank >= self.folded {
            Part::Member {
                number: rank - self.folded / 2,
                for_two: false,
            }
        } else if rank.is_multiple_of(2) {
            Part::Member {
                number: rank / 2,
                for_two: true,
            }
        } else {
            Part::Represented
        }
    }

    fn rank(self, member: u32) -> u32 {
        if member < self.folded / 2 {
            2 * member
        } else {
            member + self.folded / 2
        }
    }
}

/// What a represented rank does: all of it.
fn represented(shape: &Shape, out: &mut Round) {
    let below = shape.rank - 1;
    let sent = out.send(below, Place::input(0), shape.bytes(), &[]);
    let free = if shape.in_place { sent } else { Id::NONE };
    out.recv(below, Place::output(0), shape.bytes(), &[free]);
}

/// Where a member's partial result is while it moves between `Output` and `Scratch`.
fn other(buffer: Buffer) -> Buffer {
    if buffer == Buffer::Output {
        Buffer::Scratch
    } else {
        Buffer::Output
    }
}

/// Members exchange their whole partial results, at distance 1, 2, 4... Good for short vectors.
///
/// The operand of the higher ranks becomes the result: a member whose partner is higher goes on with what it received.
/// It starts in the buffer from which that ends in `Output`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecursiveDoubling {
    stage: Stage,
    /// Where the partial result is, and what it waits for.
    sofar: Buffer,
    ready: Id,
    /// What must be finished before the other buffer is written.
    free: [Id; 2],
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    /// This round is next.
    Exchange(u32),
    /// Halving only: the rounds below this one are still to be collected.
    Collect(u32),
    End,
    Done,
}

impl RecursiveDoubling {
    pub(in crate::collective) const START: RecursiveDoubling = RecursiveDoubling {
        stage: Stage::Start,
        sofar: Buffer::Output,
        ready: Id::NONE,
        free: [Id::NONE; 2],
    };

    pub(in crate::collective) fn scratch_bytes(&self, shape: &Shape) -> usize {
        match Members::of(shape.size).part(shape.rank) {
            Part::Member { .. } if shape.size > 1 => shape.bytes(),
            _ => 0,
        }
    }

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let members = Members::of(shape.size);
        let Part::Member { number, for_two } = members.part(shape.rank) else {
            if let Stage::Start = self.stage {
                represented(shape, out);
                self.stage = Stage::Done;
                return true;
            }
            return false;
        };
        match self.stage {
            Stage::Start => {
                self.start(shape, members, number, for_two, out);
                self.stage = Stage::Exchange(0);
            }
            Stage::Exchange(round) if round < members.rounds => {
                let partner = members.rank(number ^ 1 << round);
                let mine = Place {
                    buffer: self.sofar,
                    offset: 0,
                };
                let sent = out.send(partner, mine, shape.bytes(), &[self.ready]);
                self.combine(shape, partner, sent, out);
                self.stage = Stage::Exchange(round + 1);
            }
            Stage::Exchange(_) => {
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
                self.stage = Stage::Done;
            }
            Stage::Collect(_) | Stage::End | Stage::Done => return false,
        }
        true
    }

    fn start(
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

/// Rabenseifner's allreduce: in each round members exchange one half of what they still reduce, and keep the other, until
/// each has one piece; then the pieces are collected the same way back. Every byte is reduced once per member that it
/// comes from, so it is good for long vectors. Distances double, unlike in the usual form, which keeps operands in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Halving {
    stage: Stage,
    sofar: Buffer,
    ready: Id,
    /// The last send; sends are chained, so it stands for all.
    sent: Id,
    /// `sent` when the collecting began.
    given: Id,
    /// The last receive while collecting.
    received: Id,
}

impl Halving {
    pub(in crate::collective) const START: Halving = Halving {
        stage: Stage::Start,
        sofar: Buffer::Input,
        ready: Id::NONE,
        sent: Id::NONE,
        given: Id::NONE,
        received: Id::NONE,
    };

    pub(in crate::collective) fn scratch_bytes(&self, shape: &Shape) -> usize {
        RecursiveDoubling::START
            .scratch_bytes(shape)
            .next_multiple_of(LINE)
    }

    pub(in crate::collective) fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let members = Members::of(shape.size);
        let Part::Member { number, for_two } = members.part(shape.rank) else {
            if let Stage::Start = self.stage {
                represented(shape, out);
                self.stage = Stage::Done;
                return true;
            }
            return false;
        };
        match self.stage {
            Stage::Start => {
                if shape.in_place {
                    self.sofar = Buffer::Output;
                }
                if for_two {
                    self.combine(shape, shape.rank + 1, (0, shape.count), out);
                }
                self.stage = Stage::Exchange(0);
            }
            Stage::Exchange(round) if round < members.rounds => {
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
                self.stage = Stage::Exchange(round + 1);
            }
            Stage::Exchange(_) => {
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
                self.stage = Stage::Collect(members.rounds);
            }
            Stage::Collect(0) => self.stage = Stage::End,
            Stage::Collect(left) => {
                let round = left - 1;
                self.collect(
                    shape,
                    members.rank(number ^ 1 << round),
                    halves(shape.count, number, round),
                    out,
                );
                self.stage = Stage::Collect(round);
            }
            Stage::End => {
                if for_two {
                    let after = [self.ready, self.sent, self.received];
                    out.send(shape.rank + 1, Place::output(0), shape.bytes(), &after);
                }
                self.stage = Stage::Done;
            }
            Stage::Done => return false,
        }
        true
    }

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

/// Two neighbouring ranges of elements {first, end}: the one that a member keeps, and the one that it gives away.
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
