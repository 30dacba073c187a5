//! Executes a schedule over point-to-point messages, as far as it can go at the moment and no
//! further.
//!
//! Blocking, nonblocking and persistent collectives are the same [`Running`]: what differs is who
//! calls [`Running::step`]. At most `WINDOW` operations are looked at at a time, so memory depends
//! neither on the number of ranks nor on the length of the message. What a message is, how it is
//! matched and who waits is the [`Carrier`]'s business.

use core::mem::MaybeUninit;
use core::ptr::copy_nonoverlapping;

use ferrite_fabric::{RawBuf, RawBufMut};

use super::operation::{Action, Buffer, Id, Operation, Place};
use super::schedule::{Operations, Schedule};
use crate::collective::boards::{IN_DISAGREEMENT, in_agreement};
use crate::error::{Error, ErrorClass, Result};
use crate::op::Reduction;

/// What a schedule needs of the engine: messages between the ranks of one communicator, apart from
/// the user's, that arrive between two ranks in the order of `send`, and are matched by `peer` and
/// `tag` in the order of `recv`.
pub(crate) trait Carrier {
    /// A message that has not finished yet.
    type Request;

    /// Starts to send. `None` when the buffer may be reused at once.
    ///
    /// # Safety
    /// `buffer` is readable until the request has finished or was withdrawn.
    unsafe fn send(&mut self, peer: i32, tag: i32, buffer: RawBuf)
    -> Result<Option<Self::Request>>;

    /// Starts to receive a message of `buffer.len` bytes; one of another length is an error of
    /// class `MPI_ERR_TRUNCATE`, and has arrived all the same. `None` when it has arrived already.
    ///
    /// # Safety
    /// `buffer` is writable, and nobody else looks at it, until the request has finished or was
    /// withdrawn.
    unsafe fn recv(
        &mut self,
        peer: i32,
        tag: i32,
        buffer: RawBufMut,
    ) -> Result<Option<Self::Request>>;

    /// Whether a message has finished; not asked again after `true` or an error. Need not drive
    /// progress.
    fn poll(&mut self, request: &mut Self::Request) -> Result<bool>;

    /// A member's bytes of the board in a turn: see [`ferrite_shm::Board::bytes`].
    fn slot(&self, member: u32, turn: u64, in_line: bool) -> *mut u8;

    /// Whether this member may write its slot of a turn.
    fn is_free(&self, turn: u64) -> bool;

    /// Says how many bytes the call has that this member will fill its slot for.
    fn announce(&mut self, turn: u64, bytes: u64);

    /// What a member has announced that has posted.
    fn announced(&self, member: u32, turn: u64) -> u64;

    /// Tells all members that this one has come to a step of a turn.
    fn post(&mut self, turn: u64, step: u8);

    /// Whether a member has come to a step of a turn.
    fn has_posted(&self, member: u32, turn: u64, step: u8) -> bool;

    /// Tells all members that this one reads no slot of a turn any more.
    fn finish_turn(&mut self, turn: u64);

    /// Gives a message up after something else failed. When it returns, the buffer is not touched
    /// any more.
    fn withdraw(&mut self, request: Self::Request);
}

/// The memory and the reduction that a schedule is applied to.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// The send buffer. When the call is in place: the receive buffer.
    pub input: RawBuf,
    /// The receive buffer.
    pub output: RawBufMut,
    /// At least [`Schedule::scratch_bytes`], from [`Scratch::reserve`](super::Scratch::reserve).
    pub scratch: RawBufMut,
    /// What to reduce with, where the schedule reduces. The program's function is called by
    /// [`Running::step`].
    pub reduction: Option<Reduction>,
    /// Tells this collective from others of the same communicator that are under way.
    pub tag: i32,
    /// The first turn of the communicator's board that is this collective's; it has as many as
    /// [`Schedule::turns`] says.
    pub turn: u64,
}

/// A collective under way.
///
/// Invariants: the operations numbered `first..next` are in the window, each in slot `number %
/// WINDOW`; those below `first` have finished. Bit `s` of `started` and `finished` is about the
/// operation in slot `s`, and 0 for an empty one. `window` is initialised in the slots of
/// `first..next`, the rest is not, so that little is written for a small collective. A slot has a
/// request while its operation is a message that has started and not finished.
pub(crate) struct Running<R, const WINDOW: usize = 16> {
    operations: Operations,
    operands: Operands,
    window: [MaybeUninit<Operation>; WINDOW],
    requests: [Option<R>; WINDOW],
    first: u32,
    next: u32,
    started: u32,
    finished: u32,
    exhausted: bool,
    /// The last operation is a [`Action::Join`].
    joining: bool,
    /// A message had another length than it should.
    disagreement: Option<Error>,
    failed: bool,
}

impl<R, const WINDOW: usize> Running<R, WINDOW> {
    const FITS: () = assert!(WINDOW >= 2 && WINDOW <= 32 && WINDOW.is_power_of_two());

    /// Gets ready; nothing moves before the first [`Running::step`].
    ///
    /// # Safety
    /// The buffers of `operands` are valid for what the schedule's shape says, do not overlap (but
    /// for `input` in place), and nobody else touches them until [`Running::step`] has said that
    /// the collective is finished or failed. The value is not dropped before then, and all steps
    /// get the same carrier.
    pub(crate) unsafe fn new(schedule: &Schedule, operands: Operands) -> Self {
        let () = Self::FITS;
        assert!(
            operands.scratch.len >= schedule.scratch_bytes(),
            "less scratch memory than the schedule needs"
        );
        Running {
            operations: schedule.operations(),
            operands,
            window: [const { MaybeUninit::uninit() }; WINDOW],
            requests: [const { None }; WINDOW],
            first: 1,
            next: 1,
            started: 0,
            finished: 0,
            exhausted: false,
            joining: false,
            disagreement: None,
            failed: false,
        }
    }

    /// Does all that can be done without waiting. Returns whether the collective has finished.
    /// After an error nothing of it is under way any more, and it cannot be continued.
    pub(crate) fn step<W: Carrier<Request = R>>(&mut self, carrier: &mut W) -> Result<bool> {
        if self.failed {
            return Err(Error::new(
                ErrorClass::OTHER,
                "the collective operation has failed before",
            ));
        }
        loop {
            self.fill();
            if self.first == self.next {
                return match self.disagreement.take() {
                    None => Ok(true),
                    Some(error) => {
                        self.failed = true;
                        Err(error)
                    }
                };
            }
            match self.pass(carrier) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => {
                    self.withdraw(carrier);
                    return Err(error);
                }
            }
        }
    }

    #[inline]
    fn fill(&mut self) {
        while !self.exhausted && (self.next - self.first) < WINDOW as u32 && !self.joining {
            match self.operations.next() {
                Some(operation) => {
                    debug_assert_eq!(operation.id, Id(self.next));
                    self.joining = operation.action == Action::Join;
                    self.window[self.next as usize % WINDOW].write(operation);
                    self.next += 1;
                }
                None => self.exhausted = true,
            }
        }
    }

    /// Looks at every operation of the window once. Returns whether the window has moved on.
    #[inline]
    fn pass<W: Carrier<Request = R>>(&mut self, carrier: &mut W) -> Result<bool> {
        for number in self.first..self.next {
            let slot = number as usize % WINDOW;
            let bit = 1 << slot;
            if self.finished & bit != 0 {
                continue;
            }
            let done = if self.started & bit != 0 {
                let request = &mut self.requests[slot];
                let done = match request {
                    Some(request) => carrier.poll(request),
                    None => Ok(true),
                };
                if !matches!(done, Ok(false)) {
                    *request = None;
                }
                self.go_on(done, true)?
            } else {
                let operation = *self.operation(number);
                if !self.may_start(number, &operation) {
                    continue;
                }
                if !self.is_ready(carrier, &operation.action)? {
                    continue;
                }
                self.started |= bit;
                let request = match self.disagreement {
                    None => self.start(carrier, &operation.action),
                    Some(_) => self.start_anyway(carrier, &operation.action),
                };
                let request = self.go_on(request, None)?;
                let done = request.is_none();
                self.requests[slot] = request;
                done
            };
            if done {
                self.finished |= bit;
            }
        }
        let before = self.first;
        while self.first != self.next && self.finished & 1 << (self.first as usize % WINDOW) != 0 {
            let bit = 1 << (self.first as usize % WINDOW);
            // It is the last one as long as it has not finished.
            self.joining &= self.first + 1 != self.next;
            self.finished &= !bit;
            self.started &= !bit;
            self.first += 1;
        }
        Ok(self.first != before)
    }

    /// After a message of another length the messages that others wait for still go, or they would
    /// wait forever: those without anything in them, by which the others learn of it.
    #[inline]
    fn go_on<T>(&mut self, outcome: Result<T>, done: T) -> Result<T> {
        match outcome {
            Err(error) if error.class() == ErrorClass::TRUNCATE => {
                self.disagreement.get_or_insert(error);
                Ok(done)
            }
            outcome => outcome,
        }
    }

    /// As [`Running::start`], where the data are not what they should be.
    #[cold]
    fn start_anyway<W: Carrier<Request = R>>(
        &self,
        carrier: &mut W,
        action: &Action,
    ) -> Result<Option<R>> {
        match action {
            // SAFETY: nothing is read.
            Action::Send { to, .. } => unsafe {
                carrier.send(*to as i32, self.operands.tag, RawBuf::EMPTY)
            },
            Action::Reduce { .. } | Action::Copy { .. } => Ok(None),
            Action::Post { turn, .. } => {
                carrier.announce(self.turn(*turn), IN_DISAGREEMENT);
                self.start(carrier, action)
            }
            _ => self.start(carrier, action),
        }
    }

    /// An operation of the window.
    #[inline]
    fn operation(&self, number: u32) -> &Operation {
        debug_assert!((self.first..self.next).contains(&number));
        // SAFETY: the window is initialised from `first` to `next`.
        unsafe { self.window[number as usize % WINDOW].assume_init_ref() }
    }

    #[inline]
    fn may_start(&self, number: u32, operation: &Operation) -> bool {
        operation
            .after
            .iter()
            .all(|id| id.0 < self.first || self.finished & 1 << (id.0 as usize % WINDOW) != 0)
            && self.keeps_order(number, &operation.action)
    }

    /// Whether no earlier message of the same direction and peer is still to be started.
    #[inline]
    fn keeps_order(&self, number: u32, action: &Action) -> bool {
        match action {
            Action::Send { .. } | Action::Recv { .. } => {}
            Action::Join => return number == self.first,
            _ => return true,
        }
        (self.first..number).all(|earlier| {
            let slot = earlier as usize % WINDOW;
            if self.started & 1 << slot != 0 {
                return true;
            }
            match (self.operation(earlier).action, action) {
                (Action::Send { to: a, .. }, Action::Send { to: b, .. }) => a != *b,
                (Action::Recv { from: a, .. }, Action::Recv { from: b, .. }) => a != *b,
                _ => true,
            }
        })
    }

    /// Whether the other members have done what an operation waits for. An error if they mean
    /// another call than this one.
    #[inline]
    fn is_ready<W: Carrier<Request = R>>(&self, carrier: &W, action: &Action) -> Result<bool> {
        match *action {
            Action::Enter { turn } => Ok(carrier.is_free(self.turn(turn))),
            Action::Await {
                turn,
                step,
                first,
                end,
            } => {
                let turn = self.turn(turn);
                if !(first..end).all(|member| carrier.has_posted(member, turn, step)) {
                    return Ok(false);
                }
                let shape = self.operations.shape();
                (first..end)
                    .try_for_each(|member| {
                        in_agreement(shape, member, carrier.announced(member, turn))
                    })
                    .map(|()| true)
            }
            _ => Ok(true),
        }
    }

    #[inline]
    fn turn(&self, turn: u32) -> u64 {
        self.operands.turn + u64::from(turn)
    }

    #[inline]
    fn start<W: Carrier<Request = R>>(
        &self,
        carrier: &mut W,
        action: &Action,
    ) -> Result<Option<R>> {
        let Operands {
            ref reduction, tag, ..
        } = self.operands;
        // SAFETY: the places of a schedule lie within the buffers that `new` was promised, which
        // stay until the end; the dependencies of the operation have finished, so nothing under way
        // writes what it reads or touches what it writes (proven for every algorithm by the tests
        // of this module).
        unsafe {
            match *action {
                Action::Send { to, from, bytes } => carrier.send(
                    to as i32,
                    tag,
                    RawBuf {
                        ptr: self.source(carrier, from),
                        len: bytes,
                    },
                ),
                Action::Recv { from, into, bytes } => carrier.recv(
                    from as i32,
                    tag,
                    RawBufMut {
                        ptr: self.target(carrier, into),
                        len: bytes,
                    },
                ),
                Action::Reduce {
                    from,
                    with,
                    into,
                    count,
                } => {
                    let reduction = reduction
                        .as_ref()
                        .expect("a schedule that reduces has an operation");
                    let (left, result) = (self.source(carrier, from), self.target(carrier, into));
                    if with == into {
                        reduction.apply(left, result, count);
                    } else {
                        let items = (count, self.operations.shape().width);
                        reduction.combine(left, self.source(carrier, with), result, items);
                    }
                    Ok(None)
                }
                Action::Copy { from, into, bytes } => {
                    copy_nonoverlapping(
                        self.source(carrier, from),
                        self.target(carrier, into),
                        bytes,
                    );
                    Ok(None)
                }
                Action::Post { turn, step } => {
                    carrier.post(self.turn(turn), step);
                    Ok(None)
                }
                Action::Finish { turn } => {
                    carrier.finish_turn(self.turn(turn));
                    Ok(None)
                }
                // What they wait for has happened: see `is_ready`.
                Action::Enter { turn } => {
                    let bytes = self.operations.shape().bytes();
                    carrier.announce(self.turn(turn), bytes as u64);
                    Ok(None)
                }
                Action::Await { .. } | Action::Join => Ok(None),
            }
        }
    }

    #[inline]
    fn source<W: Carrier<Request = R>>(&self, carrier: &W, place: Place) -> *const u8 {
        match place.buffer {
            Buffer::Input => self.operands.input.ptr.wrapping_add(place.offset),
            _ => self.target(carrier, place),
        }
    }

    #[inline]
    fn target<W: Carrier<Request = R>>(&self, carrier: &W, place: Place) -> *mut u8 {
        let buffer = match place.buffer {
            Buffer::Output => self.operands.output.ptr,
            Buffer::Scratch => self.operands.scratch.ptr,
            Buffer::Slot {
                member,
                turn,
                in_line,
            } => carrier.slot(member, self.turn(turn), in_line),
            Buffer::Input => unreachable!("a schedule never writes its input"),
        };
        buffer.wrapping_add(place.offset)
    }

    /// Ends a collective that is under way: see [`Running::step`] after an error.
    #[cold]
    pub(crate) fn give_up<W: Carrier<Request = R>>(&mut self, carrier: &mut W) {
        self.withdraw(carrier);
    }

    #[cold]
    fn withdraw<W: Carrier<Request = R>>(&mut self, carrier: &mut W) {
        self.failed = true;
        for request in &mut self.requests {
            if let Some(request) = request.take() {
                carrier.withdraw(request);
            }
        }
    }
}
