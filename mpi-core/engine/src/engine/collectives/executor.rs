//! A [`Schedule`] over a communicator's collective context, and the engine's own collective
//! operations.

use std::sync::Arc;

use ferrite_fabric::{RawBuf, RawBufMut};
use ferrite_shm::Board;

use crate::collective::{
    Call, Carrier, Collective, Function, Operands, Running, Schedule, Shape, Thresholds, Turn,
    Unequal, Watch, select,
};
use crate::engine::Engine;
use crate::engine::communicators::{Arguments, Calls, CommData};
use crate::engine::matching::Envelope;
use crate::engine::requests::{Kind, RequestRef, idle_body};
use crate::group::Members;
use crate::op::Reduction;
use crate::status::Status;
use crate::{Error, ErrorClass, Result};

/// A blocking collective call under way.
pub(in crate::engine) struct InCall<'a> {
    engine: &'a Engine,
    calls: &'a Calls,
    number: u32,
}

impl<'a> InCall<'a> {
    /// Takes note of a call.
    #[inline]
    fn begin(engine: &'a Engine, data: &'a CommData, function: Function, shape: &Shape) -> Self {
        let arguments = Arguments::new(function, shape, data.is_inter());
        let calls = &**data.calls();
        let number = calls.begin(&arguments);
        InCall {
            engine,
            calls,
            number,
        }
    }

    #[inline]
    fn is_refuted(&self) -> bool {
        self.calls.is_refuted(self.number)
    }
}

impl Drop for InCall<'_> {
    #[inline]
    fn drop(&mut self) {
        self.calls.end(self.number);
    }
}

impl Watch for InCall<'_> {
    #[inline]
    fn watch(&self, mut done: impl FnMut() -> bool) -> Result<()> {
        if done() {
            return Ok(());
        }
        let mut is_done = false;
        self.engine.watch(|| {
            // Before: what came first may have ended the call well.
            let is_refuted = self.is_refuted();
            is_done = done();
            is_done || is_refuted
        });
        match is_done {
            true => Ok(()),
            false => Err(self.calls.refutation(self.number)),
        }
    }
}

impl Engine {
    /// Runs a call to its end.
    ///
    /// # Safety
    /// As of [`Engine::run_collective`].
    #[inline]
    pub(super) unsafe fn run_call(&self, data: &CommData, call: &Call) -> Result<()> {
        let Call {
            function,
            ref schedule,
            input,
            output,
            reduction,
            ref unequal,
            staging: _,
            _held: _,
        } = *call;
        let call = InCall::begin(self, data, function, schedule.shape());
        // SAFETY: the caller's promise.
        unsafe {
            match unequal {
                Some(unequal) => self.run_unequal(&call, data, unequal, schedule, (input, output)),
                None => self.run_schedule(&call, data, schedule, (input, output), reduction),
            }
        }
    }

    /// Runs a schedule of the engine's own to its end.
    ///
    /// # Safety
    /// The buffers are valid for what the schedule's shape says and do not overlap, but for `input`
    /// in place.
    pub(crate) unsafe fn run_collective(
        &self,
        data: &CommData,
        function: Function,
        schedule: &Schedule,
        buffers: (RawBuf, RawBufMut),
    ) -> Result<()> {
        let call = InCall::begin(self, data, function, schedule.shape());
        // SAFETY: the caller's promise.
        unsafe { self.run_schedule(&call, data, schedule, buffers, None) }
    }

    /// Runs a schedule to its end. The tag is taken from the communicator's sequence, so all
    /// members must come here in the same order.
    ///
    /// # Safety
    /// The buffers are valid for what the schedule's shape says and do not overlap, but for `input`
    /// in place.
    unsafe fn run_schedule(
        &self,
        call: &InCall<'_>,
        data: &CommData,
        schedule: &Schedule,
        (input, output): (RawBuf, RawBufMut),
        reduction: Option<Reduction>,
    ) -> Result<()> {
        let had_root = data.replace_rooted(schedule.on_board().is_some_and(Collective::has_root));
        if let Some(collective) = schedule.in_one_turn() {
            let turn = Turn {
                board: data.expect_board(),
                number: data.next_turns(1),
                shape: schedule.shape(),
                watch: call,
            };
            // Whoever comes last to a barrier has waited most for the call before it, and would for
            // the next one of its kind.
            let gives_way = had_root && collective == Collective::Barrier && turn.is_last();
            // SAFETY: the caller's promise.
            let done = unsafe { turn.play(collective, (input, output), reduction.as_ref()) };
            if gives_way {
                self.give_way();
            }
            return done;
        }
        let carrier = CommCarrier {
            engine: self,
            comm: data,
            some: None,
            board: data.any_board(),
        };
        let tag = data.next_sequence();
        let turns = schedule.turns();
        let turn = data.next_turns(turns);
        // SAFETY: the caller's promise.
        let outcome = unsafe {
            self.run_on(
                Some(call),
                carrier,
                schedule,
                (input, output),
                reduction,
                (tag, turn),
            )
        };
        if outcome.is_err() {
            // The others must not wait for slots that this member was to free.
            (turn..turn + turns).for_each(|turn| data.expect_board().finish(turn));
        }
        outcome
    }

    /// Runs a call with blocks of unequal lengths: turns of the board, and, unless those are for
    /// all blocks, the schedule of the long ones.
    ///
    /// # Safety
    /// As of [`Engine::run_collective`].
    unsafe fn run_unequal(
        &self,
        call: &InCall<'_>,
        data: &CommData,
        unequal: &Unequal,
        schedule: &Schedule,
        buffers: (RawBuf, RawBufMut),
    ) -> Result<()> {
        data.replace_rooted(unequal.has_root());
        let shape = schedule.shape();
        let play = |number: usize| {
            let turn = Turn {
                board: data.expect_board(),
                number: data.next_turns(1),
                shape,
                watch: call,
            };
            // SAFETY: the caller's promise.
            unsafe { turn.deal(unequal, number, buffers) }
        };
        let (longest, mut done) = play(0);
        let turns = unequal.turns(longest, shape, self.limits());
        for number in 1..turns {
            // Also after an error, as the others wait for this member.
            let (_, further) = play(number as usize);
            done = done.and(further);
        }
        if turns > 1 {
            return done;
        }
        if done.is_ok() && unequal.has_long() {
            // SAFETY: the caller's promise.
            return unsafe { self.run_schedule(call, data, schedule, buffers, None) };
        }
        // Others may have long blocks, whose messages have this call's tag.
        data.next_sequence();
        done
    }

    /// Runs a schedule over a carrier, with the tag and the first turn of its board that it has.
    ///
    /// # Safety
    /// As of [`Engine::run_collective`].
    pub(in crate::engine) unsafe fn run_on(
        &self,
        call: Option<&InCall<'_>>,
        mut carrier: CommCarrier<'_>,
        schedule: &Schedule,
        (input, output): (RawBuf, RawBufMut),
        reduction: Option<Reduction>,
        (tag, turn): (i32, u64),
    ) -> Result<()> {
        let mut memory = core::mem::take(&mut *self.collectives.scratch.lock());
        let scratch = memory.reserve(schedule.scratch_bytes());
        let operands = Operands {
            input,
            output,
            scratch,
            reduction,
            tag,
            turn,
        };
        // SAFETY: the caller's promise; the scratch memory is ours until the end, and the loop
        // below ends only when the collective has finished or failed.
        let mut running: Running<RequestRef> = unsafe { Running::new(schedule, operands) };
        let mut outcome = Ok(false);
        let mut step = || {
            // Before: what came first may have ended the call well.
            let is_refuted = call.is_some_and(InCall::is_refuted);
            outcome = running.step(&mut carrier);
            // `MPI_Finalize` ends with a barrier to which not all need come.
            is_refuted || !matches!(outcome, Ok(false)) || self.progress.departed().all_are_there()
        };
        self.progress.departed().awaits_collective();
        if schedule.turns() > 0 {
            // What others do on the board is no event of a transport.
            self.watch(step);
        } else {
            self.wait_until(&mut step);
        }
        self.progress.departed().awaits_nothing();
        if let (Ok(false), Some(call)) = (&outcome, call)
            && call.is_refuted()
        {
            running.give_up(&mut carrier);
            outcome = Err(call.calls.refutation(call.number));
        }
        memory.trim(SCRATCH_KEPT);
        *self.collectives.scratch.lock() = memory;
        outcome.map(|_| ())
    }

    /// The bytes of the first of some members of a communicator, for those alone and nobody else.
    /// They are told apart by `tag` from what else happens in the communicator.
    pub(in crate::engine) fn tell_some(
        &self,
        comm: &CommData,
        members: Arc<Members>,
        tag: i32,
        bytes: &mut [u8],
    ) -> Result<()> {
        let shape = self.shape_of_some(&members, bytes.len());
        let schedule = select::flat(Collective::Bcast, shape, self.limits());
        let buffers = (RawBuf::EMPTY, RawBufMut::of(bytes));
        // SAFETY: the buffer is as long as the shape says.
        unsafe { self.run_among(comm, &members, &schedule, buffers, tag) }
    }

    /// The bytes of each of some members of a communicator for all of them, in their order,
    /// otherwise as [`Engine::tell_some`]. `all` has a place for each.
    pub(in crate::engine) fn tell_each_of_some<const N: usize>(
        &self,
        comm: &CommData,
        members: Arc<Members>,
        tag: i32,
        mine: [u8; N],
        all: &mut [[u8; N]],
    ) -> Result<()> {
        assert_eq!(all.len(), members.size() as usize);
        let shape = self.shape_of_some(&members, N);
        let schedule = select::flat(Collective::Allgather, shape, self.limits());
        let buffers = (RawBuf::of(&mine), RawBufMut::of(all.as_flattened_mut()));
        // SAFETY: the buffers are as long as the shape says.
        unsafe { self.run_among(comm, &members, &schedule, buffers, tag) }
    }

    fn shape_of_some(&self, members: &Members, bytes: usize) -> Shape {
        let own = members.rank_of(self.job.rank);
        shape_of_bytes(own.expect("one of them"), members.size(), bytes)
    }

    /// Runs a schedule of some members of a communicator.
    ///
    /// # Safety
    /// As of [`Engine::run_collective`].
    unsafe fn run_among(
        &self,
        comm: &CommData,
        members: &Members,
        schedule: &Schedule,
        buffers: (RawBuf, RawBufMut),
        tag: i32,
    ) -> Result<()> {
        let carrier = CommCarrier {
            engine: self,
            comm,
            some: Some(members),
            board: None,
        };
        // SAFETY: the caller's promise.
        unsafe { self.run_on(None, carrier, schedule, buffers, None, (tag, 0)) }
    }

    /// Where one algorithm gives way to another.
    #[inline]
    pub(crate) fn limits(&self) -> &Thresholds {
        &self.settings.collectives
    }

    /// Waits until all members of a communicator have come here.
    pub(crate) fn meet(&self, comm: &CommData) -> Result<()> {
        let schedule = select::flat(Collective::Barrier, shape(comm, 0), self.limits());
        let buffers = (RawBuf::EMPTY, RawBufMut::EMPTY);
        // SAFETY: a barrier has no buffers.
        unsafe { self.run_collective(comm, Function::Finalize, &schedule, buffers) }
    }

    /// Rank 0's bytes for everybody.
    pub(crate) fn tell_all(&self, comm: &CommData, bytes: &mut [u8]) -> Result<()> {
        self.tell_all_from(comm, 0, bytes)
    }

    /// The bytes of a rank, which is known to be one, for everybody.
    pub(in crate::engine) fn tell_all_from(
        &self,
        comm: &CommData,
        root: i32,
        bytes: &mut [u8],
    ) -> Result<()> {
        let shape = Shape {
            root: root as u32,
            ..shape(comm, bytes.len())
        };
        let schedule = select::flat(Collective::Bcast, shape, self.limits());
        let buffers = (RawBuf::EMPTY, RawBufMut::of(bytes));
        // SAFETY: the buffer is as long as the shape says.
        unsafe { self.run_collective(comm, Function::Making, &schedule, buffers) }
    }

    /// Everybody's bytes for everybody, in the order of rank. `all` has room for as many as there
    /// are members.
    pub(crate) fn tell_each_other(
        &self,
        comm: &CommData,
        mine: &[u8],
        all: &mut [u8],
    ) -> Result<()> {
        let shape = shape(comm, mine.len());
        assert_eq!(all.len(), mine.len() * shape.size as usize);
        let schedule = select::flat(Collective::Allgather, shape, self.limits());
        let buffers = (RawBuf::of(mine), RawBufMut::of(all));
        // SAFETY: the buffers are as long as the shape says.
        unsafe { self.run_collective(comm, Function::Making, &schedule, buffers) }
    }
}

fn shape(comm: &CommData, bytes: usize) -> Shape {
    shape_of_bytes(comm.rank() as u32, comm.size() as u32, bytes)
}

/// Rank 0 is the root of what has one.
fn shape_of_bytes(rank: u32, size: u32, bytes: usize) -> Shape {
    Shape {
        rank,
        size,
        root: 0,
        count: bytes,
        width: 1,
        commutative: true,
        in_place: false,
        board: None,
    }
}

/// Scratch memory kept from one collective to the next, in bytes.
const SCRATCH_KEPT: usize = 1 << 20;

/// Carries one communicator's collective messages.
pub(in crate::engine) struct CommCarrier<'a> {
    pub(in crate::engine) engine: &'a Engine,
    pub(in crate::engine) comm: &'a CommData,
    /// Those that the schedule's ranks are among, when they are not all. Messages go by the ranks
    /// of the communicator all the same: two sets of members that meet in one process must not be
    /// taken for each other.
    pub(in crate::engine) some: Option<&'a Members>,
    pub(in crate::engine) board: Option<&'a Board>,
}

impl Carrier for CommCarrier<'_> {
    type Request = RequestRef;

    unsafe fn send(&mut self, peer: i32, tag: i32, buffer: RawBuf) -> Result<Option<RequestRef>> {
        let route = self.comm.route();
        let envelope = Envelope {
            context: route.collective_context(),
            source: route.rank(),
            tag,
        };
        let mut body = idle_body(Kind::Send, envelope);
        body.buf = buffer.ptr.cast_mut();
        body.len = buffer.len;
        body.process = route.process(self.peer(peer));
        if self.engine.send_at_once(&mut body) {
            return Ok(None);
        }
        let request = self.engine.add_request(self.comm, || body)?;
        self.engine.dispatch(request, false);
        self.unless_done(request)
    }

    unsafe fn recv(
        &mut self,
        peer: i32,
        tag: i32,
        buffer: RawBufMut,
    ) -> Result<Option<RequestRef>> {
        let envelope = Envelope {
            context: self.comm.route().collective_context(),
            source: self.peer(peer),
            tag,
        };
        let mut body = idle_body(Kind::Recv, envelope);
        body.buf = buffer.ptr;
        body.len = buffer.len;
        let request = self.engine.add_request(self.comm, || body)?;
        self.engine.post(request);
        self.unless_done(request)
    }

    fn poll(&mut self, request: &mut RequestRef) -> Result<bool> {
        if !request.data().is_done() {
            return Ok(false);
        }
        self.finished(*request).map(|()| true)
    }

    #[inline]
    fn slot(&self, member: u32, turn: u64, in_line: bool) -> *mut u8 {
        self.board().bytes(member as usize, turn, in_line)
    }

    #[inline]
    fn is_free(&self, turn: u64) -> bool {
        self.board().is_free(turn)
    }

    #[inline]
    fn announce(&mut self, turn: u64, bytes: u64) {
        self.board().announce(turn, bytes);
    }

    #[inline]
    fn announced(&self, member: u32, turn: u64) -> u64 {
        self.board().announced(member as usize, turn)
    }

    #[inline]
    fn post(&mut self, turn: u64, step: u8) {
        self.board().post(turn, step);
    }

    #[inline]
    fn has_posted(&self, member: u32, turn: u64, step: u8) -> bool {
        self.board().has_posted(member as usize, turn, step)
    }

    #[inline]
    fn finish_turn(&mut self, turn: u64) {
        self.board().finish(turn);
    }

    fn withdraw(&mut self, request: RequestRef) {
        let mut request = request.handle();
        // A message that is past cancelling arrives; either way its buffer is free after the wait.
        // What it ended with does not matter, as the operation has failed already.
        if self.engine.cancel(request).is_ok() {
            let _ = self.engine.wait(&mut request);
        }
    }
}

impl CommCarrier<'_> {
    #[inline]
    fn board(&self) -> &Board {
        let board = self.board;
        board.expect("a schedule takes turns of a board only where the shape has one")
    }

    /// The rank in the communicator of one of the schedule's ranks.
    #[inline]
    fn peer(&self, peer: i32) -> i32 {
        match self.some {
            None => peer,
            Some(some) => self.comm.route().rank_of(some.process(peer as u32)),
        }
    }

    /// Lets go of a request that is done. `MPI_ERR_TRUNCATE` if its message was shorter than it
    /// should be, too.
    #[inline]
    fn finished(&self, request: RequestRef) -> Result<()> {
        // SAFETY: done, so the body is the caller's.
        let body = unsafe { request.body() };
        let wanted = match body.kind {
            Kind::Recv => body.len as i64,
            _ => 0,
        };
        let status = self.engine.finish(&mut request.handle(), request.data())?;
        match status.bytes < wanted {
            false => Ok(()),
            true => Err(too_short(&status, wanted)),
        }
    }

    /// Lets go of a request that is done already.
    fn unless_done(&self, request: RequestRef) -> Result<Option<RequestRef>> {
        if !request.data().is_done() {
            return Ok(Some(request));
        }
        self.finished(request).map(|()| None)
    }
}

#[cold]
fn too_short(status: &Status, wanted: i64) -> Error {
    Error::new(
        ErrorClass::TRUNCATE,
        format!(
            "rank {} has sent {} bytes where {wanted} were to come: the ranks' counts do not \
             agree, or one has failed",
            status.source, status.bytes
        ),
    )
}
