//! What an algorithm yields: operations that name their predecessors.
//!
//! Operations of one rank are numbered from 1 in the order in which they are generated. An
//! operation may start once all that it names in `after` have finished; nothing else orders
//! operations, save that messages between two ranks are sent and received in the order of their
//! numbers. Executing one operation after the other in that order, a send together with the receive
//! that follows it, is always possible: so a window over the sequence, however small, cannot
//! deadlock.
//!
//! Nothing here knows addresses, communicators or how a message travels.

use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;

/// The number of an operation within its rank's schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(pub u32);

impl Id {
    /// No operation: always finished.
    pub(crate) const NONE: Id = Id(0);

    /// This operation, or `other` when this one was left out because it had nothing to move.
    pub(super) fn or(self, other: Id) -> Id {
        if self == Id::NONE { other } else { self }
    }
}

/// The memory that a collective works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// The send buffer, never written. The same memory as `Output` when the call is in place.
    Input,
    /// The receive buffer, or the only buffer of a broadcast.
    Output,
    /// Memory that the schedule asked for; undefined at the beginning.
    Scratch,
    /// A member's slot of the board.
    Slot {
        /// Whose.
        member: u32,
        /// In which turn, counted from the call's first.
        turn: u32,
        /// The bytes in its line.
        in_line: bool,
    },
}

/// Where an operand begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which memory.
    pub buffer: Buffer,
    /// Bytes from its beginning.
    pub offset: usize,
}

impl Place {
    /// A place in the send buffer.
    pub(crate) const fn input(offset: usize) -> Place {
        Place {
            buffer: Buffer::Input,
            offset,
        }
    }

    /// A place in the receive buffer.
    pub(crate) const fn output(offset: usize) -> Place {
        Place {
            buffer: Buffer::Output,
            offset,
        }
    }

    /// A place in a slot of the board.
    pub(super) const fn slot(member: u32, turn: u32, in_line: bool, offset: usize) -> Place {
        Place {
            buffer: Buffer::Slot {
                member,
                turn,
                in_line,
            },
            offset,
        }
    }

    /// A place in the scratch memory.
    pub(crate) const fn scratch(offset: usize) -> Place {
        Place {
            buffer: Buffer::Scratch,
            offset,
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send to a rank of the communicator.
    Send {
        /// The receiver.
        to: u32,
        /// First byte.
        from: Place,
        /// Length.
        bytes: usize,
    },
    /// Receive a message of exactly this length from a rank of the communicator.
    Recv {
        /// The sender.
        from: u32,
        /// First byte.
        into: Place,
        /// Length.
        bytes: usize,
    },
    /// `into = from OP with`, so `from` is the operand of the lower ranks where the order matters.
    Reduce {
        /// The left operand.
        from: Place,
        /// The right operand. It may be where the result is, otherwise it does not overlap it.
        with: Place,
        /// The result.
        into: Place,
        /// Elements.
        count: usize,
    },
    /// Wait until this member may write its slot of the board: all have finished the turn that had
    /// it before. Then announce the call's bytes.
    Enter {
        /// Counted from the call's first.
        turn: u32,
    },
    /// Tell all members that this one has come to a step of a turn.
    Post {
        /// Counted from the call's first.
        turn: u32,
        /// From 1.
        step: u8,
    },
    /// Wait until members `first..end` have come to a step of a turn.
    Await {
        /// Counted from the call's first.
        turn: u32,
        /// From 1.
        step: u8,
        /// The first member.
        first: u32,
        /// Behind the last.
        end: u32,
    },
    /// Tell all members that this one reads no slot of a turn any more.
    Finish {
        /// Counted from the call's first.
        turn: u32,
    },
    /// Wait until all operations before this one have finished; those behind it start after it.
    Join,
    /// Copy within this process, between ranges that do not overlap.
    Copy {
        /// First byte to read.
        from: Place,
        /// First byte to write.
        into: Place,
        /// Length.
        bytes: usize,
    },
}

/// How many predecessors an operation can name.
const PREDECESSORS: usize = 4;

/// One step of a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Its number.
    pub id: Id,
    /// What to do.
    pub action: Action,
    /// What must have finished before; unused entries are [`Id::NONE`].
    pub after: [Id; PREDECESSORS],
}

/// The most operations that one round of an algorithm can hold.
const ROUND: usize = 6;

/// The operations that an algorithm has generated and nobody has taken yet: one round.
///
/// Invariant: `operations[taken..filled]` are initialised; the rest is not, so that an empty round
/// costs nothing to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    operations: [MaybeUninit<Operation>; ROUND],
    taken: usize,
    filled: usize,
    last: u32,
}

impl Round {
    pub(super) const EMPTY: Round = Round {
        operations: [MaybeUninit::uninit(); ROUND],
        taken: 0,
        filled: 0,
        last: 0,
    };

    /// The oldest operation that was not taken.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Operation> {
        if self.taken == self.filled {
            self.taken = 0;
            self.filled = 0;
            return None;
        }
        let operation = self.operations[self.taken];
        self.taken += 1;
        // SAFETY: it stood between `taken` and `filled`, see the invariant.
        Some(unsafe { operation.assume_init() })
    }

    #[inline]
    fn push(&mut self, action: Action, after: &[Id]) -> Id {
        self.last += 1;
        let id = Id(self.last);
        let mut operation = Operation {
            id,
            action,
            after: [Id::NONE; PREDECESSORS],
        };
        operation.after[..after.len()].copy_from_slice(after);
        self.operations[self.filled].write(operation);
        self.filled += 1;
        id
    }

    /// Generates a send; nothing when there are no bytes, as the receiver knows too.
    #[inline]
    pub(super) fn send(&mut self, to: u32, from: Place, bytes: usize, after: &[Id]) -> Id {
        if bytes == 0 {
            return Id::NONE;
        }
        self.push(Action::Send { to, from, bytes }, after)
    }

    /// Generates a receive; nothing when there are no bytes.
    #[inline]
    pub(super) fn recv(&mut self, from: u32, into: Place, bytes: usize, after: &[Id]) -> Id {
        if bytes == 0 {
            return Id::NONE;
        }
        self.push(Action::Recv { from, into, bytes }, after)
    }

    /// Generates a reduction; nothing when there are no elements.
    #[inline]
    pub(super) fn reduce(&mut self, from: Place, into: Place, count: usize, after: &[Id]) -> Id {
        self.combine((from, into), into, count, after)
    }

    /// Generates a reduction whose result is elsewhere than its operands {left, right}; nothing
    /// when there are no elements.
    #[inline]
    pub(super) fn combine(
        &mut self,
        (from, with): (Place, Place),
        into: Place,
        count: usize,
        after: &[Id],
    ) -> Id {
        if count == 0 {
            return Id::NONE;
        }
        let action = Action::Reduce {
            from,
            with,
            into,
            count,
        };
        self.push(action, after)
    }

    /// Generates a copy; nothing when there are no bytes.
    #[inline]
    pub(super) fn copy(&mut self, from: Place, into: Place, bytes: usize, after: &[Id]) -> Id {
        if bytes == 0 {
            return Id::NONE;
        }
        self.push(Action::Copy { from, into, bytes }, after)
    }

    /// Generates an empty message, which the receiver waits for with [`Round::wait`].
    #[inline]
    pub(super) fn signal(&mut self, to: u32, after: &[Id]) -> Id {
        self.push(
            Action::Send {
                to,
                from: Place::input(0),
                bytes: 0,
            },
            after,
        )
    }

    /// Generates the wait for the own slot of the board.
    #[inline]
    pub(super) fn enter(&mut self, turn: u32) -> Id {
        self.push(Action::Enter { turn }, &[])
    }

    /// Generates the announcement of a step.
    #[inline]
    pub(super) fn post(&mut self, turn: u32, step: u8, after: &[Id]) -> Id {
        self.push(Action::Post { turn, step }, after)
    }

    /// Generates the wait for the step of some members.
    #[inline]
    pub(super) fn wait_for(
        &mut self,
        turn: u32,
        step: u8,
        members: Range<u32>,
        after: &[Id],
    ) -> Id {
        let action = Action::Await {
            turn,
            step,
            first: members.start,
            end: members.end,
        };
        self.push(action, after)
    }

    /// Generates the end of a turn.
    #[inline]
    pub(super) fn finish(&mut self, turn: u32, after: &[Id]) -> Id {
        self.push(Action::Finish { turn }, after)
    }

    /// Generates the wait for everything so far.
    #[inline]
    pub(super) fn join(&mut self) -> Id {
        self.push(Action::Join, &[])
    }

    /// Gives the operations of an algorithm that runs among some ranks, on other buffers and later
    /// turns, the call's own numbers: of the ranks, the beginning of each buffer, and the first
    /// turn.
    pub(super) fn relocate(
        &mut self,
        rank: impl Fn(u32) -> u32,
        begin: impl Fn(Buffer) -> Option<Place>,
        first: u32,
    ) {
        let moved = |place: &mut Place| match (begin(place.buffer), &mut place.buffer) {
            (Some(base), _) => {
                *place = Place {
                    offset: base.offset + place.offset,
                    ..base
                }
            }
            (None, Buffer::Slot { turn, .. }) => *turn += first,
            (None, _) => {}
        };
        for operation in &mut self.operations[self.taken..self.filled] {
            // SAFETY: between `taken` and `filled`, see the invariant.
            let operation = unsafe { operation.assume_init_mut() };
            match &mut operation.action {
                Action::Send { to, from, .. } => {
                    *to = rank(*to);
                    moved(from);
                }
                Action::Recv { from, into, .. } => {
                    *from = rank(*from);
                    moved(into);
                }
                Action::Reduce {
                    from, with, into, ..
                } => {
                    moved(from);
                    moved(with);
                    moved(into);
                }
                Action::Copy { from, into, .. } => {
                    moved(from);
                    moved(into);
                }
                Action::Enter { turn }
                | Action::Post { turn, .. }
                | Action::Await { turn, .. }
                | Action::Finish { turn } => *turn += first,
                Action::Join => {}
            }
        }
    }

    /// Generates the receive of an empty message.
    #[inline]
    pub(super) fn wait(&mut self, from: u32, after: &[Id]) -> Id {
        self.push(
            Action::Recv {
                from,
                into: Place::output(0),
                bytes: 0,
            },
            after,
        )
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.buffer {
            Buffer::Input => write!(f, "input+{}", self.offset),
            Buffer::Output => write!(f, "output+{}", self.offset),
            Buffer::Scratch => write!(f, "scratch+{}", self.offset),
            Buffer::Slot { member, turn, .. } => {
                write!(f, "slot {turn} of {member}+{}", self.offset)
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ", self.id.0)?;
        match self.action {
            Action::Send { to, from, bytes } => write!(f, "send {from}, {bytes} B, to {to}")?,
            Action::Recv { from, into, bytes } => write!(f, "recv {into}, {bytes} B, from {from}")?,
            Action::Reduce {
                from,
                with,
                into,
                count,
            } => {
                write!(f, "reduce {from}")?;
                if with != into {
                    write!(f, " and {with}")?;
                }
                write!(f, " into {into}, {count} elements")?
            }
            Action::Copy { from, into, bytes } => write!(f, "copy {from} to {into}, {bytes} B")?,
            Action::Enter { turn } => write!(f, "enter turn {turn}")?,
            Action::Post { turn, step } => write!(f, "post step {step} of turn {turn}")?,
            Action::Await {
                turn,
                step,
                first,
                end,
            } => write!(f, "await step {step} of turn {turn} of {first}..{end}")?,
            Action::Finish { turn } => write!(f, "finish turn {turn}")?,
            Action::Join => write!(f, "join")?,
        }
        for (i, id) in self.after.iter().filter(|id| **id != Id::NONE).enumerate() {
            write!(f, "{}#{}", if i == 0 { " after " } else { ", " }, id.0)?;
        }
        Ok(())
    }
}
