//! Collective operations in their three forms: blocking, nonblocking and persistent (MPI 5.0,
//! sections 6.3 to 6.13).
//!
//! What is under way without anybody waiting for it in particular is on a list, which progress goes
//! through. Whoever does takes the list with it: so one thread at a time works on an operation, no
//! lock is held while the program's reduction runs, and a step that makes progress itself finds
//! nothing to do.

use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};

use super::calls::Waits;
use super::executor::CommCarrier;
use crate::Result;
use crate::collective::{Call, Operands, Running, Scratch};
use crate::engine::Engine;
use crate::engine::communicators::{Arguments, CommData};
use crate::engine::matching::Envelope;
use crate::engine::requests::{Collective, Kind, RequestRef, SENT, Then, idle_body};
use crate::handle::{Comm, Datatype, Info, Op, Request};
use crate::sync::{Class, ClassLock};

/// Operations that progress drives.
pub(in crate::engine) struct UnderWay {
    list: ClassLock<Vec<RequestRef>>,
    /// Whether the list has any, or had when it was taken. Advice, not synchronisation: relaxed
    /// everywhere.
    any: AtomicBool,
    /// Somebody found the list taken: what moved then may be for an operation that had been looked
    /// at. Relaxed, too: whoever finds it taken looks again before it sleeps.
    missed: AtomicBool,
}

impl UnderWay {
    pub(in crate::engine) const fn new() -> UnderWay {
        UnderWay {
            list: ClassLock::new(Class::Leaf, Vec::new()),
            any: AtomicBool::new(false),
            missed: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(in crate::engine) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }
}

impl Engine {
    /// Runs a call to its end.
    ///
    /// # Safety
    /// The program's buffers are valid for what the call was made of.
    #[inline]
    pub unsafe fn run_to_end(&self, comm: Comm, call: Call) -> Result<()> {
        let comm = self.comm(comm)?;
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(staging) = &call.staging {
                staging.fill();
            }
            self.run_call(comm, &call)?;
            if let Some(staging) = &call.staging {
                staging.empty();
            }
        }
        Ok(())
    }

    /// Starts a call.
    ///
    /// # Safety
    /// As [`Engine::run_to_end`], until the request is done.
    pub unsafe fn start_call(&self, comm: Comm, call: Call) -> Result<Request> {
        // SAFETY: the caller's promise.
        unsafe { self.start_call_then(comm, call, None) }
    }

    /// # Safety
    /// As [`Engine::start_call`].
    unsafe fn start_call_then(
        &self,
        comm: Comm,
        call: Call,
        then: Option<Then>,
    ) -> Result<Request> {
        let request = self.add_collective(self.comm(comm)?, call, then, false)?;
        // SAFETY: made just now; the caller's promise.
        Ok(match unsafe { self.launch(request) } {
            // Nothing went wrong, so there is nothing to tell.
            true if self.is_well(request) => {
                self.remove_request(request);
                SENT
            }
            _ => request.handle(),
        })
    }

    /// Prepares a call to be started later, any number of times.
    pub fn init_call(&self, comm: Comm, call: Call) -> Result<Request> {
        let request = self.add_collective(self.comm(comm)?, call, None, true)?;
        request.finish();
        Ok(request.handle())
    }

    /// Rank 0's number for everybody, who do something with it once they have it.
    pub(in crate::engine) fn start_telling_all(
        &self,
        comm: Comm,
        own: u64,
        then: impl FnOnce(&Engine, u64) + Send + 'static,
    ) -> Result<Request> {
        let (call, place) = self.plan_number(comm, own)?;
        let then = move |engine: &Engine| {
            // SAFETY: the place is the call's own memory, which is dropped after this.
            then(engine, unsafe { place.read() });
        };
        // SAFETY: the call's memory is its own.
        unsafe { self.start_call_then(comm, call, Some(Box::new(then))) }
    }

    fn add_collective(
        &self,
        comm: &CommData,
        call: Call,
        then: Option<Then>,
        persistent: bool,
    ) -> Result<RequestRef> {
        let mut body = idle_body(Kind::Collective, Envelope::NOWHERE);
        body.active = !persistent;
        let tag = match persistent {
            true => comm.next_persistent(),
            false => comm.next_sequence(),
        };
        let shape = call.schedule.shape();
        let arguments = Arguments::new(call.function, shape, comm.is_inter());
        let number = match persistent {
            true => comm.calls().begin_persistent(&arguments),
            false => comm.calls().begin_later(&arguments),
        };
        body.extra().collective = Some(Box::new(Collective {
            then,
            call,
            tag,
            calls: comm.calls().clone(),
            number,
            persistent,
            running: None,
            scratch: Scratch::default(),
        }));
        self.add_request(comm, || body)
    }

    fn is_well(&self, request: RequestRef) -> bool {
        // SAFETY: done, so the body is the caller's.
        unsafe { request.body() }.error.is_none()
    }

    /// Starts an operation, and hands it to progress unless it ends at once. Returns whether it
    /// did.
    ///
    /// # Safety
    /// The request is a collective's, not under way, and its body the caller's. The program's
    /// buffers are valid until it is done.
    pub(super) unsafe fn launch(&self, request: RequestRef) -> bool {
        // SAFETY: the caller's promise.
        let body = unsafe { request.body() };
        let collective = body.extra().collective.as_mut();
        let collective = collective.expect("a collective's request");
        let Call {
            ref schedule,
            input,
            output,
            reduction,
            ref staging,
            // Only a call that waits itself has any.
            unequal: _,
            _held: _,
            function: _,
        } = collective.call;
        if let Some(staging) = staging {
            // SAFETY: the caller's promise.
            unsafe { staging.fill() };
        }
        let operands = Operands {
            input,
            output,
            scratch: collective.scratch.reserve(schedule.scratch_bytes()),
            reduction,
            tag: collective.tag,
            turn: 0,
        };
        // SAFETY: the caller's promise; the scratch memory is the collective's own, and it is
        // dropped after it is done only.
        collective.running = Some(unsafe { Running::new(schedule, operands) });
        if self.advance(request) {
            return true;
        }
        let mut list = self.collectives.under_way.list.lock();
        list.push(request);
        self.collectives
            .under_way
            .any
            .store(true, Ordering::Relaxed);
        false
    }

    /// Does what an operation can do now. Returns whether it has ended; then it is complete.
    fn advance(&self, request: RequestRef) -> bool {
        // SAFETY: whoever has taken the list, or has just made or restarted the request, works on
        // it alone.
        let body = unsafe { request.body() };
        let extra = body.extra.as_mut().expect("a collective's request");
        let collective = extra.collective.as_mut().expect("a collective's request");
        let mut carrier = CommCarrier {
            engine: self,
            comm: request.data().comm(),
            some: None,
            board: None,
        };
        let running = collective.running.as_mut().expect("it was launched");
        let (calls, number) = (&collective.calls, collective.number);
        // Before: what came first may have ended the call well.
        let is_refuted = calls.is_refuted(number);
        match running.step(&mut carrier) {
            Ok(false) if is_refuted => {
                running.give_up(&mut carrier);
                body.error = Some(calls.refutation(number));
            }
            Ok(false) => return false,
            Ok(true) => {
                if let Some(staging) = &collective.call.staging {
                    // SAFETY: promised when it was launched.
                    unsafe { staging.empty() };
                }
                if let Some(then) = collective.then.take() {
                    then(self);
                }
            }
            Err(error) => body.error = Some(error),
        }
        collective.running = None;
        match collective.persistent {
            true => collective.calls.restarted(collective.number, true),
            false => collective.calls.end_later(collective.number),
        }
        self.complete(request);
        true
    }

    /// Goes through the operations under way. Returns whether one has ended.
    #[cold]
    pub(in crate::engine) fn advance_all(&self) -> bool {
        let UnderWay { list, any, missed } = &self.collectives.under_way;
        let mut ended = false;
        loop {
            let mut mine = mem::take(&mut *list.lock());
            if mine.is_empty() {
                missed.store(true, Ordering::Relaxed);
                return ended;
            }
            let before = mine.len();
            mine.retain(|request| !self.advance(*request));
            ended |= mine.len() < before;
            let mut list = list.lock();
            if list.is_empty() {
                *list = mine;
            } else {
                list.append(&mut mine);
            }
            any.store(!list.is_empty(), Ordering::Relaxed);
            let is_done = list.is_empty() || !missed.swap(false, Ordering::Relaxed);
            drop(list);
            if is_done {
                return ended;
            }
        }
    }

    /// `MPI_Start` of a persistent collective operation.
    ///
    /// # Safety
    /// As [`Engine::launch`].
    pub(in crate::engine) unsafe fn restart_collective(&self, request: RequestRef) {
        // SAFETY: the caller's promise.
        unsafe {
            let body = request.body();
            body.active = true;
            body.error = None;
            request.restart();
            let collective = body.extra().collective.as_ref();
            let collective = collective.expect("a collective's request");
            collective.calls.restarted(collective.number, false);
            self.launch(request);
        }
    }
}

/// The three forms of each collective, from its plan.
macro_rules! forms {
    ($($plan:ident = $name:literal: $now:ident, $later:ident, $init:ident ($($argument:ident: $type:ty),*);)*) => {
        impl Engine {
            $(
                #[doc = concat!("`MPI_", $name, "`: returns when this rank's part is done.")]
                ///
                /// # Safety
                /// Send buffers are readable, receive buffers writable, for what counts and types
                /// say.
                #[allow(clippy::too_many_arguments)] // MPI's own list.
                pub unsafe fn $now(&self, $($argument: $type,)* comm: Comm) -> Result<()> {
                    let call = self.$plan(Waits::Here, $($argument,)* comm)?;
                    // SAFETY: the caller's promise.
                    unsafe { self.run_to_end(comm, call) }
                }

                #[doc = concat!("`MPI_I", $name, "`, its nonblocking form.")]
                ///
                /// # Safety
                /// As of the blocking form, until the request is done.
                #[allow(clippy::too_many_arguments)] // MPI's own list.
                pub unsafe fn $later(&self, $($argument: $type,)* comm: Comm) -> Result<Request> {
                    let call = self.$plan(Waits::Later, $($argument,)* comm)?;
                    // SAFETY: the caller's promise.
                    unsafe { self.start_call(comm, call) }
                }

                #[doc = concat!("`MPI_", $name, "_init`, its persistent form. There are no hints.")]
                ///
                /// # Safety
                /// As of the blocking form, whenever the request is active.
                #[allow(clippy::too_many_arguments)] // MPI's own list.
                pub unsafe fn $init(&self, $($argument: $type,)* comm: Comm, _info: Info) -> Result<Request> {
                    let call = self.$plan(Waits::Later, $($argument,)* comm)?;
                    self.init_call(comm, call)
                }
            )*
        }
    };
}

forms! {
    plan_bcast = "bcast": bcast, ibcast, bcast_init(buf: *mut u8, count: i64, dt: Datatype, root: i32);
    plan_gather = "gather": gather, igather, gather_init(
        sendbuf: *const u8, sendcount: i64, sendtype: Datatype, recvbuf: *mut u8, recvcount: i64, recvtype: Datatype, root: i32
    );
    plan_scatter = "scatter": scatter, iscatter, scatter_init(
        sendbuf: *const u8, sendcount: i64, sendtype: Datatype, recvbuf: *mut u8, recvcount: i64, recvtype: Datatype, root: i32
    );
    plan_allgather = "allgather": allgather, iallgather, allgather_init(
        sendbuf: *const u8, sendcount: i64, sendtype: Datatype, recvbuf: *mut u8, recvcount: i64, recvtype: Datatype
    );
    plan_alltoall = "alltoall": alltoall, ialltoall, alltoall_init(
        sendbuf: *const u8, sendcount: i64, sendtype: Datatype, recvbuf: *mut u8, recvcount: i64, recvtype: Datatype
    );
    plan_neighbor_allgather = "neighbor_allgather": neighbor_allgather, ineighbor_allgather, neighbor_allgather_init(
        sendbuf: *const u8, sendcount: i64, sendtype: Datatype, recvbuf: *mut u8, recvcount: i64, recvtype: Datatype
    );
    plan_neighbor_alltoall = "neighbor_alltoall": neighbor_alltoall, ineighbor_alltoall, neighbor_alltoall_init(
        sendbuf: *const u8, sendcount: i64, sendtype: Datatype, recvbuf: *mut u8, recvcount: i64, recvtype: Datatype
    );
    plan_reduce = "reduce": reduce, ireduce, reduce_init(
        sendbuf: *const u8, recvbuf: *mut u8, count: i64, dt: Datatype, op: Op, root: i32
    );
    plan_allreduce = "allreduce": allreduce, iallreduce, allreduce_init(
        sendbuf: *const u8, recvbuf: *mut u8, count: i64, dt: Datatype, op: Op
    );
    plan_reduce_scatter_block = "reduce_scatter_block": reduce_scatter_block, ireduce_scatter_block, reduce_scatter_block_init(
        sendbuf: *const u8, recvbuf: *mut u8, recvcount: i64, dt: Datatype, op: Op
    );
    plan_scan = "scan": scan, iscan, scan_init(sendbuf: *const u8, recvbuf: *mut u8, count: i64, dt: Datatype, op: Op);
    plan_exscan = "exscan": exscan, iexscan, exscan_init(sendbuf: *const u8, recvbuf: *mut u8, count: i64, dt: Datatype, op: Op);
}

impl Engine {
    /// `MPI_Barrier`: returns when all members have called it.
    pub fn barrier(&self, comm: Comm) -> Result<()> {
        let call = self.plan_barrier(Waits::Here, comm)?;
        // SAFETY: a barrier has no buffers.
        unsafe { self.run_to_end(comm, call) }
    }

    /// `MPI_Ibarrier`: the request is done when all members have called it.
    pub fn ibarrier(&self, comm: Comm) -> Result<Request> {
        let call = self.plan_barrier(Waits::Later, comm)?;
        // SAFETY: a barrier has no buffers.
        unsafe { self.start_call(comm, call) }
    }

    /// `MPI_Barrier_init`, its persistent form. There are no hints.
    pub fn barrier_init(&self, comm: Comm, _info: Info) -> Result<Request> {
        self.init_call(comm, self.plan_barrier(Waits::Later, comm)?)
    }
}
