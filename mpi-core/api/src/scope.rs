//! Operations under way on borrowed buffers.
//!
//! A buffer is borrowed for `'scope`, which ends only after [`scope`] has completed all operations that were started in it:
//! forgetting a [`Request`] does not free its buffer, as the request is the scope's, and a [`Request`] is only its number there.

use core::cell::RefCell;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;
use std::panic::resume_unwind;

use ferrite_engine::{Datatype as Predefined, Engine, Mode, Request as Handle, SENT};

use crate::datatype::{engine_items, packed, unpack_items};
use crate::reduction::Panic;
use crate::universe::{BORROWING, enter};
use crate::{Buffer, BufferMut, Communicator, Datatype, Destination, Result, Source, Status, Tag};

/// Where operations are started that are complete when it ends.
pub struct Scope<'scope, 'env: 'scope> {
    started: RefCell<Vec<Started>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// An operation under way.
struct Started {
    engine: &'static Engine,
    /// Null: completed.
    handle: Handle,
    /// The packed form that the operation works on, if it is not the buffer itself.
    packed: Option<Box<[u8]>>,
    /// What is to be done with it: unpack this many bytes into the buffer.
    unpack: Option<Unpack>,
    /// What a collective operation needs until it is complete, and what follows then.
    then: Option<Then>,
    /// What a closure panicked with.
    panic: Option<Panic>,
}

/// What follows a collective operation. Its answer: what a closure of the program panicked with.
pub(crate) type Then = Box<dyn FnOnce() -> Option<Panic>>;

/// Where a packed form goes, and how.
pub(crate) struct Unpack {
    to: *mut u8,
    how: unsafe fn(from: *const u8, count: usize, to: *mut u8),
    size: usize,
}

impl Unpack {
    pub(crate) fn into<T: Datatype>(to: *mut T) -> Unpack {
        Unpack {
            to: to.cast(),
            // SAFETY: `run`'s promise, for the type that `to` is of.
            how: |from, count, to| unsafe { unpack_items::<T>(from, count, to.cast()) },
            size: T::PACKED,
        }
    }

    /// # Safety
    /// `from` holds that many bytes, and there is room for as many items.
    pub(crate) unsafe fn run(self, from: &[u8], bytes: usize) {
        let count = bytes.checked_div(self.size).unwrap_or(0);
        // SAFETY: the caller's promise.
        unsafe { (self.how)(from.as_ptr(), count, self.to) }
    }
}

/// Starts operations whose buffers are borrowed, and completes them all: at the end of `run`, also when it panics (then
/// they are cancelled where that is possible). The first error of `run`, or else of an operation that nobody waited for, is returned.
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
    /// Completes on unwinding.
    struct Unwinding<'a>(&'a RefCell<Vec<Started>>);
    impl Drop for Unwinding<'_> {
        fn drop(&mut self) {
            for started in self.0.borrow().iter() {
                // What cannot be cancelled is waited for.
                if started.handle != Handle::NULL {
                    let _ = started.engine.cancel(started.handle);
                }
            }
            let _ = complete_all(self.0);
        }
    }
    let unwinding = Unwinding(&scope.started);
    let answer = run(&scope);
    core::mem::forget(unwinding);
    let completed = complete_all(&scope.started);
    let answer = answer?;
    completed?;
    Ok(answer)
}

fn complete_all(started: &RefCell<Vec<Started>>) -> Result<()> {
    let (mut all, mut panic) = (Ok(()), None);
    for started in started.borrow_mut().iter_mut() {
        let done = started.complete();
        if all.is_ok() {
            all = done.map(drop);
        }
        panic = panic.or(started.panic.take());
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    all
}

impl Started {
    fn complete(&mut self) -> Result<Status> {
        if self.handle == Handle::NULL {
            return Ok(Status(ferrite_engine::Status::EMPTY));
        }
        let done = self.engine.wait(&mut self.handle);
        self.finish(done)
    }

    /// What follows on completion.
    fn finish(&mut self, done: ferrite_engine::Result<ferrite_engine::Status>) -> Result<Status> {
        self.handle = Handle::NULL;
        // Release: the engine is done with the buffer before `end` sees it.
        BORROWING.fetch_sub(1, Ordering::Release);
        let (packed, then) = (self.packed.take(), self.then.take());
        let status = Status(done?);
        self.panic = then.and_then(|then| then());
        if let (Some(unpack), Some(packed)) = (self.unpack.take(), packed) {
            // SAFETY: the bytes were received into `packed`, which has room for as many items as the buffer.
            unsafe { unpack.run(&packed, status.bytes()) };
        }
        Ok(status)
    }
}

impl Scope<'_, '_> {
    fn add(&self, started: Started) -> usize {
        BORROWING.fetch_add(1, Ordering::Relaxed);
        let mut all = self.started.borrow_mut();
        all.push(started);
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
    /// Number in the scope's list; `DONE`: completed when it was started.
    number: usize,
    started: Option<&'scope RefCell<Vec<Started>>>,
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
        let Some(all) = self.started else {
            return Ok(Status(ferrite_engine::Status::EMPTY));
        };
        let done = all.borrow_mut()[self.number].complete();
        go_on_panicking(all, self.number);
        done
    }

    /// Whether the operation is complete: its status, or the request again.
    ///
    /// # Errors
    /// That of the operation.
    pub fn test(self) -> Result<core::result::Result<Status, Self>> {
        let Some(list) = self.started else {
            return Ok(Ok(Status(ferrite_engine::Status::EMPTY)));
        };
        let mut all = list.borrow_mut();
        let started = &mut all[self.number];
        if started.handle == Handle::NULL {
            return Ok(Ok(Status(ferrite_engine::Status::EMPTY)));
        }
        let done = match started.engine.test(&mut started.handle) {
            Ok(None) => {
                drop(all);
                return Ok(Err(self));
            }
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(error),
        };
        let done = started.finish(done);
        drop(all);
        go_on_panicking(list, self.number);
        done.map(Ok)
    }
}

/// Where a closure of the operation of this number has panicked.
fn go_on_panicking(started: &RefCell<Vec<Started>>, number: usize) {
    let panic = started.borrow_mut()[number].panic.take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
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
        // SAFETY: the packed form is the scope's until the operation is complete.
        let handle = unsafe {
            engine.isend(
                bytes.as_ptr(),
                bytes.len() as i64,
                Predefined::BYTE,
                dest,
                tag,
                self.comm(),
            )?
        };
        Ok(keep(scope, engine, handle, Some(bytes), None))
    }

    /// Starts to send, synchronously: the operation is complete when the receiver has begun to receive.
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
            let place = (bytes.as_ptr(), (bytes.len() as i64, Predefined::BYTE));
            (Some(bytes), place)
        };
        // SAFETY: the items are borrowed until the scope ends, which completes the operation; so is the packed form kept.
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
        let mut bytes = vec![0u8; items.len() * B::Item::PACKED].into_boxed_slice();
        let (start, room) = (bytes.as_mut_ptr(), bytes.len() as i64);
        // SAFETY: the packed form is the scope's until the operation is complete.
        let handle =
            unsafe { engine.irecv(start, room, Predefined::BYTE, source, tag, self.comm())? };
        let unpack = Unpack::into(items.as_mut_ptr());
        Ok(keep(scope, engine, handle, Some(bytes), Some(unpack)))
    }
}

/// A collective operation that was started, with what is the operation's until it is complete and what follows then.
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
        panic: None,
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
    packed: Option<Box<[u8]>>,
    unpack: Option<Unpack>,
) -> Request<'scope> {
    let number = scope.add(Started {
        engine,
        handle,
        packed,
        unpack,
        then: None,
        panic: None,
    });
    Request {
        number,
        started: Some(&scope.started),
    }
}
