//! Operations under way on borrowed buffers.
//!
//! A buffer is borrowed for `'scope`, which ends only after [`scope`] has completed all operations
//! that were started in it: forgetting a [`Request`] does not free its buffer, as the request is
//! the scope's, and a [`Request`] is only its number there.
//!
//! What the program panics with, and what its closures hold, is dropped while nothing is borrowed
//! and caught if it panics: an operation under way must not lose its buffer to an unwinding stack.

use core::any::Any;
use core::cell::RefCell;
use core::marker::PhantomData;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::panic::{catch_unwind, resume_unwind};
use std::thread;
use std::time::Instant;

use ferrite_engine::{Engine, Mode, Request as Handle, SENT};
use ferrite_fabric::OwnedBuf;

use crate::datatype::{engine_items, packed, room, sent_bytes, unpack_items};
use crate::reduction::Panic;
use crate::universe::{BORROWING, enter};
use crate::{Buffer, BufferMut, Communicator, Datatype, Destination, Result, Source, Status, Tag};

/// How long a scope that ends by a panic waits for operations that cannot be cancelled: the peers
/// may have begun them, too.
const GRACE: Duration = Duration::from_secs(2);

/// Where operations are started that are complete when it ends.
pub struct Scope<'scope, 'env: 'scope> {
    started: List,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// `None`: completed.
type List = RefCell<Vec<Option<Started>>>;

/// An operation under way.
struct Started {
    engine: &'static Engine,
    handle: Handle,
    /// The packed form that the operation works on, if it is not the buffer itself.
    packed: Option<OwnedBuf>,
    /// What is to be done with it: unpack this many bytes into the buffer.
    unpack: Option<Unpack>,
    /// What a collective operation needs until it is complete, and what follows then.
    then: Option<Then>,
}

/// What follows a collective operation. Its answer: what a closure of the program panicked with.
pub(crate) type Then = Box<dyn FnOnce() -> Option<Panic>>;

/// Where a packed form goes, and how.
struct Unpack {
    to: *mut u8,
    how: unsafe fn(from: *const u8, count: usize, to: *mut u8),
    size: usize,
}

impl Unpack {
    fn into<T: Datatype>(to: *mut T) -> Unpack {
        Unpack {
            to: to.cast(),
            // SAFETY: `run`'s promise, for the type that `to` is of.
            how: |from, count, to| unsafe { unpack_items::<T>(from, count, to.cast()) },
            size: T::PACKED,
        }
    }

    /// # Safety
    /// `from` holds that many bytes, and there is room for as many items.
    unsafe fn run(self, from: &OwnedBuf, bytes: usize) {
        let count = bytes.checked_div(self.size).unwrap_or(0);
        // SAFETY: the caller's promise.
        unsafe { (self.how)(from.buf().ptr, count, self.to) }
    }
}

/// Starts operations whose buffers are borrowed, and completes them all at the end of `run`. The
/// first error of `run`, or else of an operation that nobody waited for, is returned.
///
/// When `run` panics, its operations are cancelled. Those that cannot be, as collective ones and
/// messages that are being moved, are waited for, since they use buffers that the panic is about to
/// free. If they are not complete within 2 seconds, because the peers wait for something that this
/// panic has prevented, the whole job ends, as by [`Communicator::abort`], with a sentence that
/// names the rank and has the panic's message.
///
/// ```
/// # let universe = mpi_core::init()?;
/// let world = universe.world();
/// let (rank, size) = (world.rank(), world.size());
/// let (sent, mut received) = ([rank; 4], [0; 4]);
/// mpi_core::scope(|s| {
///     world.irecv(s, &mut received, (rank + size - 1) % size, 0)?;
///     world.isend(s, &sent, (rank + 1) % size, 0)?;
///     // Computation that needs neither.
///     Ok(())
/// })?;
/// assert_eq!(received, [(rank + size - 1) % size; 4]);
/// # mpi_core::Result::Ok(())
/// ```
///
/// A buffer that is being received into cannot be touched:
///
/// ```compile_fail,E0503
/// # let universe = mpi_core::init()?;
/// # let world = universe.world();
/// let mut received = 0;
/// mpi_core::scope(|s| {
///     world.irecv(s, &mut received, 0, 0)?;
///     if received == 1 {}
///     Ok(())
/// })?;
/// # mpi_core::Result::Ok(())
/// ```
///
/// nor can it be dropped before the scope's end:
///
/// ```compile_fail,E0597
/// # let universe = mpi_core::init()?;
/// # let world = universe.world();
/// mpi_core::scope(|s| {
///     let sent = vec![1, 2, 3];
///     world.isend(s, &sent, 0, 0)?;
///     Ok(())
/// })?;
/// # mpi_core::Result::Ok(())
/// ```
///
/// and a request does not leave the scope:
///
/// ```compile_fail
/// # let universe = mpi_core::init()?;
/// # let world = universe.world();
/// let sent = 1;
/// let request = mpi_core::scope(|s| world.isend(s, &sent, 0, 0))?;
/// # mpi_core::Result::Ok(())
/// ```
///
/// # Errors
/// Those of `run` and of its operations.
pub fn scope<'env, R>(
    run: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> Result<R>,
) -> Result<R> {
    let scope = Scope {
        started: RefCell::new(Vec::new()),
        scope: PhantomData,
        env: PhantomData,
    };
    let answer = match catch_unwind(AssertUnwindSafe(|| run(&scope))) {
        Ok(answer) => answer,
        Err(panic) => {
            take_back(&scope.started, &*panic);
            resume_unwind(panic)
        }
    };
    let completed = complete_all(&scope.started);
    let answer = answer?;
    completed?;
    Ok(answer)
}

/// Completes all operations. A panic of a closure goes on once none is under way.
fn complete_all(list: &List) -> Result<()> {
    let (mut all, mut panic) = (Ok(()), None);
    let count = list.borrow().len();
    for number in 0..count {
        let (done, panicked) = complete(list, number);
        if all.is_ok() {
            all = done.map(drop);
        }
        keep_first(&mut panic, panicked);
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    all
}

/// What the program panics with is its own, and may panic again when it is dropped: the second one
/// is forgotten.
fn keep_first(first: &mut Option<Panic>, second: Option<Panic>) {
    match first {
        None => *first = second,
        Some(_) => core::mem::forget(second),
    }
}

/// Ends the operations of a scope that panics: cancels them, waits a while for those that cannot
/// be, then ends the job.
#[cold]
fn take_back(list: &List, panic: &(dyn Any + Send)) {
    let handles = || {
        let list = list.borrow();
        let handles = list.iter().enumerate().filter_map(|(number, started)| {
            let started = started.as_ref()?;
            Some((number, started.engine, started.handle))
        });
        handles.collect::<Vec<_>>()
    };
    for (_, engine, handle) in handles() {
        // What cannot be cancelled says so.
        let _ = engine.cancel(handle);
    }
    let until = Instant::now() + GRACE;
    loop {
        let mut left = 0;
        let mut busy = None;
        for (number, engine, handle) in handles() {
            engine.progress();
            if !engine.is_done(handle) {
                left += 1;
                busy = Some(engine);
                continue;
            }
            // Nobody asks for errors and further panics any more.
            let (_, panicked) = complete(list, number);
            core::mem::forget(panicked);
        }
        let Some(engine) = busy else { return };
        if Instant::now() > until {
            engine.abort(101, &why_ended(left, panic));
        }
        thread::sleep(Duration::from_micros(100));
    }
}

fn why_ended(left: usize, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(|text| &**text));
    format!(
        "a scope ends by a panic with {left} operations under way that cannot be cancelled and do \
         not complete, such as a collective that \
         others have not started; the panic: {}",
        text.unwrap_or("(no text)")
    )
}

/// Completes the operation of this number, and says what a closure of the program panicked with.
fn complete(list: &List, number: usize) -> (Result<Status>, Option<Panic>) {
    let under_way = |started: &Started| (started.engine, started.handle);
    let Some((engine, mut handle)) = list.borrow()[number].as_ref().map(under_way) else {
        return (Ok(Status(ferrite_engine::Status::EMPTY)), None);
    };
    let done = engine.wait(&mut handle);
    finish(list, number, done)
}

/// What follows when the operation of this number is complete.
fn finish(
    list: &List,
    number: usize,
    done: ferrite_engine::Result<ferrite_engine::Status>,
) -> (Result<Status>, Option<Panic>) {
    let started = list.borrow_mut()[number].take();
    let Some(Started {
        packed,
        unpack,
        then,
        ..
    }) = started
    else {
        return (Ok(Status(ferrite_engine::Status::EMPTY)), None);
    };
    // Release: the engine is done with the buffer before `end` sees it.
    BORROWING.fetch_sub(1, Ordering::Release);
    let is_well = done.is_ok();
    // What the closure holds may panic when it is dropped.
    let then = then.and_then(|then| {
        let follow = move || match is_well {
            true => then(),
            false => {
                drop(then);
                None
            }
        };
        catch_unwind(AssertUnwindSafe(follow)).unwrap_or_else(Some)
    });
    let status = match done {
        Ok(status) => Status(status),
        Err(error) => return (Err(error.into()), then),
    };
    if let (Some(unpack), Some(packed)) = (unpack, packed) {
        // SAFETY: the bytes were received into `packed`, which has room for as many items as the
        // buffer.
        unsafe { unpack.run(&packed, status.bytes()) };
    }
    (Ok(status), then)
}

impl Scope<'_, '_> {
    fn add(&self, started: Started) -> usize {
        BORROWING.fetch_add(1, Ordering::Relaxed);
        let mut all = self.started.borrow_mut();
        all.push(Some(started));
        all.len() - 1
    }

    /// Completes all operations that were started in the scope so far.
    ///
    /// # Errors
    /// That of the first operation that failed.
    pub fn wait_all(&self) -> Result<()> {
        complete_all(&self.started)
    }
}

/// An operation under way in a scope. Dropping it leaves it to the scope, which completes it.
pub struct Request<'scope> {
    /// Number in the scope's list.
    number: usize,
    /// `None`: the operation was complete when it was started.
    started: Option<&'scope List>,
}

impl Request<'_> {
    /// Of an operation that is.
    #[inline]
    pub(crate) fn complete() -> Self {
        Request {
            number: 0,
            started: None,
        }
    }

    /// Waits until the operation is complete.
    ///
    /// # Errors
    /// That of the operation.
    pub fn wait(self) -> Result<Status> {
        match self.started {
            Some(list) => go_on_panicking(complete(list, self.number)),
            None => Ok(Status(ferrite_engine::Status::EMPTY)),
        }
    }

    /// Whether the operation is complete: its status, or the request again.
    ///
    /// # Errors
    /// That of the operation.
    pub fn test(self) -> Result<core::result::Result<Status, Self>> {
        let under_way = |list: &List| {
            let list = list.borrow();
            let started = list[self.number].as_ref()?;
            Some((started.engine, started.handle))
        };
        let Some((list, (engine, mut handle))) = self
            .started
            .and_then(|list| under_way(list).map(|found| (list, found)))
        else {
            return Ok(Ok(Status(ferrite_engine::Status::EMPTY)));
        };
        let done = match engine.test(&mut handle) {
            Ok(None) => return Ok(Err(self)),
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(error),
        };
        go_on_panicking(finish(list, self.number, done)).map(Ok)
    }
}

/// Where a closure of the operation has panicked.
fn go_on_panicking((done, panic): (Result<Status>, Option<Panic>)) -> Result<Status> {
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    done
}

impl Communicator {
    /// Starts to send. The buffer must not change until the scope ends.
    ///
    /// # Errors
    /// As [`Communicator::send`].
    #[inline]
    pub fn isend<'scope, B: Buffer + ?Sized>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope B,
        dest: impl Into<Destination>,
        tag: i32,
    ) -> Result<Request<'scope>> {
        let engine = enter()?;
        let (items, dest) = (buffer.items(), self.destination(dest)?);
        if B::Item::PLAIN {
            let (count, of) = engine_items::<B::Item>(items.len());
            let start = items.as_ptr().cast();
            // SAFETY: the items are borrowed until the scope ends, which completes the operation.
            let handle = unsafe { engine.isend(start, count, of, dest, tag, self.comm())? };
            if handle == SENT {
                return Ok(Request::complete());
            }
            return Ok(keep(scope, engine, handle, None, None));
        }
        let bytes = packed(items);
        let (start, (count, of)) = sent_bytes(&bytes);
        // SAFETY: the packed form is the scope's until the operation is complete.
        let handle = unsafe { engine.isend(start, count, of, dest, tag, self.comm())? };
        Ok(keep(scope, engine, handle, Some(bytes), None))
    }

    /// Starts to send, synchronously: the operation is complete when the receiver has begun to
    /// receive.
    ///
    /// # Errors
    /// As [`Communicator::send`].
    pub fn issend<'scope, B: Buffer + ?Sized>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope B,
        dest: impl Into<Destination>,
        tag: i32,
    ) -> Result<Request<'scope>> {
        let engine = enter()?;
        let (items, dest, mode) = (buffer.items(), self.destination(dest)?, Mode::Synchronous);
        let (bytes, (start, (count, of))) = if B::Item::PLAIN {
            (
                None,
                (items.as_ptr().cast(), engine_items::<B::Item>(items.len())),
            )
        } else {
            let bytes = packed(items);
            let place = sent_bytes(&bytes);
            (Some(bytes), place)
        };
        // SAFETY: the items are borrowed until the scope ends, which completes the operation; so is
        // the packed form kept.
        let handle = unsafe { engine.isend_mode(mode, start, count, of, dest, tag, self.comm())? };
        Ok(keep(scope, engine, handle, bytes, None))
    }

    /// Starts to receive. The buffer is not to be touched until the scope ends.
    ///
    /// # Errors
    /// As [`Communicator::recv_into`].
    #[inline]
    pub fn irecv<'scope, B: BufferMut + ?Sized>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope mut B,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<Request<'scope>> {
        let engine = enter()?;
        let (source, tag) = (source.into().raw()?, tag.into().raw()?);
        let items = buffer.items_mut();
        if B::Item::PLAIN {
            let (count, of) = engine_items::<B::Item>(items.len());
            let start = items.as_mut_ptr().cast();
            // SAFETY: the items are borrowed until the scope ends, which completes the operation.
            let handle = unsafe { engine.irecv(start, count, of, source, tag, self.comm())? };
            return Ok(keep(scope, engine, handle, None, None));
        }
        let bytes = OwnedBuf::zeroed(items.len() * B::Item::PACKED);
        let (start, (count, of)) = room(&bytes);
        // SAFETY: the packed form is the scope's until the operation is complete.
        let handle = unsafe { engine.irecv(start, count, of, source, tag, self.comm())? };
        let unpack = Unpack::into(items.as_mut_ptr());
        Ok(keep(scope, engine, handle, Some(bytes), Some(unpack)))
    }
}

/// A collective operation that was started, with what is the operation's until it is complete and
/// what follows then.
///
/// # Safety
/// `then` may borrow what lives as long as `'scope`.
pub(crate) unsafe fn keep_collective<'scope>(
    scope: &'scope Scope<'scope, '_>,
    engine: &'static Engine,
    handle: Handle,
    then: Box<dyn FnOnce() -> Option<Panic> + 'scope>,
) -> Request<'scope> {
    // SAFETY: the scope completes all its operations before it ends, which takes `then` away.
    let then =
        unsafe { core::mem::transmute::<Box<dyn FnOnce() -> Option<Panic> + 'scope>, Then>(then) };
    let number = scope.add(Started {
        engine,
        handle,
        packed: None,
        unpack: None,
        then: Some(then),
    });
    Request {
        number,
        started: Some(&scope.started),
    }
}

/// Out of line: a short message is complete when its send returns.
#[inline(never)]
fn keep<'scope>(
    scope: &'scope Scope<'scope, '_>,
    engine: &'static Engine,
    handle: Handle,
    packed: Option<OwnedBuf>,
    unpack: Option<Unpack>,
) -> Request<'scope> {
    let number = scope.add(Started {
        engine,
        handle,
        packed,
        unpack,
        then: None,
    });
    Request {
        number,
        started: Some(&scope.started),
    }
}
