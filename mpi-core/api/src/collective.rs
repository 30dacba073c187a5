//! Collective operations that the engine has as such (MPI 5.0, sections 6.3 to 6.9). All members of the communicator call them,
//! in the same order, with the same root, the same operation, and equally many items.
//!
//! Results are zeroed before the engine writes them: a member that sends fewer items than the others think must not make
//! them see memory that was never written.

use core::any::Any;
use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use ferrite_engine::callback::Callback;
use ferrite_engine::{Datatype as Predefined, Op as Handle, op};

use crate::buffer::collect_vec;
use crate::datatype::{engine_items, packed, unpack_items};
use crate::op::Op;
use crate::universe::enter;
use crate::{Buffer, BufferMut, Communicator, Datatype, Error, ErrorClass, Result};

/// Items to be sent, as the engine wants them.
struct Out<T: Datatype> {
    items: *const T,
    packed: Option<Box<[u8]>>,
}

impl<T: Datatype> Out<T> {
    fn new(items: &[T]) -> Out<T> {
        Out {
            items: items.as_ptr(),
            packed: (!T::PLAIN).then(|| packed(items)),
        }
    }

    fn start(&self) -> *const u8 {
        match &self.packed {
            Some(bytes) => bytes.as_ptr(),
            None => self.items.cast(),
        }
    }
}

/// Room for items to be received, as the engine wants it.
struct Into<T: Datatype> {
    items: *mut T,
    count: usize,
    packed: Option<Box<[u8]>>,
}

impl<T: Datatype> Into<T> {
    /// # Safety
    /// `items` is writable for `count` items as long as this is used.
    unsafe fn new(items: *mut T, count: usize) -> Into<T> {
        if T::PLAIN {
            // SAFETY: the caller's promise.
            unsafe { items.write_bytes(0, count) };
        }
        Into {
            items,
            count,
            packed: (!T::PLAIN).then(|| vec![0; count * T::PACKED].into()),
        }
    }

    fn start(&mut self) -> *mut u8 {
        match &mut self.packed {
            Some(bytes) => bytes.as_mut_ptr(),
            None => self.items.cast(),
        }
    }

    /// All items have been received.
    fn finish(self) {
        if let Some(bytes) = self.packed {
            // SAFETY: promised to `new`; any bytes can be unpacked.
            unsafe { unpack_items(bytes.as_ptr(), self.count, self.items) };
        }
    }
}

/// A closure as the engine's callback sees it.
struct Closure<'a, T> {
    combine: &'a (dyn Fn(T, T) -> T + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Calls a closure for a row of items. It must not unwind into the engine, so a panic is kept for later.
///
/// # Safety
/// `closure` is the exposed address of a `Closure<T>`; the buffers are as of [`Callback::call`], with items of `T`.
unsafe fn call_closure<T: Datatype>(
    closure: usize,
    input: *const u8,
    inout: *mut u8,
    count: usize,
    _: Predefined,
) {
    // SAFETY: the caller's promise.
    let closure = unsafe { &*core::ptr::with_exposed_provenance::<Closure<'_, T>>(closure) };
    let (input, inout) = (input.cast::<T>(), inout.cast::<T>());
    let called = catch_unwind(AssertUnwindSafe(|| {
        for at in 0..count {
            // SAFETY: the caller's promise. The engine's scratch memory need not be aligned for `T`.
            unsafe {
                let inout = inout.add(at);
                let combined =
                    (closure.combine)(input.add(at).read_unaligned(), inout.read_unaligned());
                inout.write_unaligned(combined);
            }
        }
    }));
    if let Err(panic) = called {
        let mut first = closure.panic.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(panic);
    }
}

/// Has `run` reduce with a closure.
fn with_closure<T: Datatype, R>(
    op: &Op<'_, T>,
    run: impl FnOnce(Handle) -> Result<R>,
) -> Result<R> {
    let closure = Closure {
        combine: &*op.combine,
        panic: Mutex::new(None),
    };
    let address = (&raw const closure).expose_provenance();
    // SAFETY: the closure may be called from any thread, until `free` below; `run` does not unwind, as it calls the engine only.
    let callback = unsafe {
        Callback::new(
            address,
            call_closure::<T> as ferrite_engine::callback::ReduceFunction,
        )
    };
    let handle = op::create(callback, op.is_commutative)?;
    let answer = run(handle);
    let _ = op::free(handle);
    if let Some(panic) = closure
        .panic
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        resume_unwind(panic);
    }
    answer
}

/// Whether the engine counts items of `T` one by one, so that it can hand them to a closure.
const fn is_one_element<T: Datatype>() -> bool {
    match T::ELEMENT {
        Some((_, size)) => T::PLAIN && size == T::PACKED,
        None => false,
    }
}

/// Combines rows of items, one row a rank, into the first.
fn fold<T: Datatype>(rows: &[T], width: usize, op: &Op<'_, T>, out: *mut T) {
    for column in 0..width {
        let mut items = rows.iter().skip(column).step_by(width).copied();
        let first = items.next().expect("a communicator has members");
        let combined = items.fold(first, &op.combine);
        // SAFETY: `out` has room for `width` items, as all callers say.
        unsafe { out.add(column).write(combined) };
    }
}

impl Communicator {
    /// Returns when all members have called it.
    ///
    /// # Errors
    /// When a member is lost.
    pub fn barrier(&self) -> Result<()> {
        Ok(enter()?.barrier(self.comm())?)
    }

    /// The root's items for all.
    ///
    /// # Errors
    /// When the root is no rank of this communicator, or a member is lost.
    pub fn broadcast<B: BufferMut + ?Sized>(&self, buffer: &mut B, root: usize) -> Result<()> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items_mut();
        let (count, of) = engine_items::<B::Item>(items.len());
        if B::Item::PLAIN {
            // SAFETY: the items are borrowed until the call returns.
            return unsafe {
                engine.bcast(items.as_mut_ptr().cast(), count, of, root_rank, self.comm())
            }
            .map_err(Error::from);
        }
        let mut bytes = packed(items);
        // SAFETY: the bytes are here until the call returns.
        unsafe {
            engine.bcast(bytes.as_mut_ptr(), count, of, root_rank, self.comm())?;
            unpack_items(bytes.as_ptr(), items.len(), items.as_mut_ptr());
        }
        Ok(())
    }

    /// The root's vector for all, whatever its length.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn broadcast_vec<T: Datatype>(&self, items: &mut Vec<T>, root: usize) -> Result<()> {
        let mut length = items.len();
        self.broadcast(&mut length, root)?;
        if self.rank() == root {
            return self.broadcast(&mut items[..], root);
        }
        // A value for every place: what is zero in packed form.
        let zeros = vec![0u8; T::PACKED];
        let zero = {
            let mut zero = core::mem::MaybeUninit::<T>::uninit();
            // SAFETY: any bytes of its packed length make a value.
            unsafe {
                T::unpack(zeros.as_ptr(), zero.as_mut_ptr());
                zero.assume_init()
            }
        };
        items.clear();
        items.resize(length, zero);
        self.broadcast(&mut items[..], root)
    }

    /// All members' items for the root, in the order of rank. `None` elsewhere.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn gather<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        root: usize,
    ) -> Result<Option<Vec<B::Item>>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items();
        let out = Out::new(items);
        let (count, of) = engine_items::<B::Item>(items.len());
        // SAFETY: the items are borrowed until the call returns; at the root there is room for all that is received.
        let gather = |into: *mut u8| unsafe {
            engine.gather(
                out.start(),
                count,
                of,
                into,
                count,
                of,
                root_rank,
                self.comm(),
            )
        };
        if self.rank() != root {
            gather(core::ptr::null_mut())?;
            return Ok(None);
        }
        let all = items.len() * self.size();
        let fill = |start: *mut B::Item| {
            // SAFETY: `collect_vec` makes room.
            let mut into = unsafe { Into::new(start, all) };
            gather(into.start())?;
            into.finish();
            Ok(())
        };
        // SAFETY: all items were zeroed, or unpacked.
        unsafe { collect_vec(all, fill) }.map(Some)
    }

    /// All members' items for all, in the order of rank.
    ///
    /// ```
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// assert_eq!(world.all_gather(&world.rank())?, (0..world.size()).collect::<Vec<_>>());
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When a member is lost.
    pub fn all_gather<B: Buffer + ?Sized>(&self, buffer: &B) -> Result<Vec<B::Item>> {
        let engine = enter()?;
        let items = buffer.items();
        let out = Out::new(items);
        let (count, of) = engine_items::<B::Item>(items.len());
        let all = items.len() * self.size();
        let fill = |start: *mut B::Item| {
            // SAFETY: `collect_vec` makes room; the items are borrowed until the call returns.
            unsafe {
                let mut into = Into::new(start, all);
                engine.allgather(out.start(), count, of, into.start(), count, of, self.comm())?;
                into.finish();
            }
            Ok(())
        };
        // SAFETY: all items were zeroed, or unpacked.
        unsafe { collect_vec(all, fill) }
    }

    /// All members' items, combined item by item, for all: a value for a value, a vector for a slice.
    ///
    /// ```
    /// use mpi_core::op;
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// let size = world.size();
    /// assert_eq!(world.all_reduce(&1, op::sum())?, size as i32);
    /// assert_eq!(world.all_reduce(&[1.0, 2.0], op::sum())?, [size as f64, 2.0 * size as f64]);
    /// let offset = 1;
    /// assert_eq!(world.all_reduce(&vec![2u64, 3], op::function(|a: u64, b| a.max(b) + offset - 1))?, [2, 3]);
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When a member is lost.
    pub fn all_reduce<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
    ) -> Result<B::Owned> {
        let engine = enter()?;
        let items = buffer.items();
        let (count, of) = engine_items::<B::Item>(items.len());
        let reduce = |start: *mut B::Item, handle: Handle| {
            let out = Out::new(items);
            // SAFETY: `collect` makes room; the items are borrowed until the call returns.
            unsafe {
                let mut into = Into::new(start, items.len());
                engine.allreduce(out.start(), into.start(), count, of, handle, self.comm())?;
                into.finish();
            }
            Ok(())
        };
        let fill = |start: *mut B::Item| match op.predefined {
            Some(handle) if B::Item::ELEMENT.is_some() => reduce(start, handle),
            _ if is_one_element::<B::Item>() => with_closure(&op, |handle| reduce(start, handle)),
            _ => {
                // The engine knows no type like it: everybody combines everybody's items.
                let rows = self.all_gather(items)?;
                fold(&rows, items.len(), &op, start);
                Ok(())
            }
        };
        // SAFETY: all items were zeroed, or unpacked, or written one by one.
        unsafe { buffer.collect(fill) }
    }

    /// All members' items, combined item by item, for the root. `None` elsewhere.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn reduce<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
        root: usize,
    ) -> Result<Option<B::Owned>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items();
        let (count, of) = engine_items::<B::Item>(items.len());
        // SAFETY: the items are borrowed until the call returns; at the root there is room for the result.
        let reduce = |into: *mut u8, handle: Handle| unsafe {
            let out = Out::new(items);
            engine.reduce(out.start(), into, count, of, handle, root_rank, self.comm())
        };
        let any_way = |into: *mut u8| match op.predefined {
            Some(handle) if B::Item::ELEMENT.is_some() => Ok(reduce(into, handle)?),
            _ => with_closure(&op, |handle| Ok(reduce(into, handle)?)),
        };
        let by_engine =
            is_one_element::<B::Item>() || op.predefined.is_some() && B::Item::ELEMENT.is_some();
        if !by_engine {
            // The engine knows no type like it: the root combines everybody's items.
            let Some(rows) = self.gather(items, root)? else {
                return Ok(None);
            };
            let fill = |start| {
                fold(&rows, items.len(), &op, start);
                Ok(())
            };
            // SAFETY: all items are written.
            return unsafe { buffer.collect(fill) }.map(Some);
        }
        if self.rank() != root {
            any_way(core::ptr::null_mut())?;
            return Ok(None);
        }
        let fill = |start: *mut B::Item| {
            // SAFETY: `collect` makes room.
            let mut into = unsafe { Into::new(start, items.len()) };
            any_way(into.start())?;
            into.finish();
            Ok(())
        };
        // SAFETY: all items were zeroed, or unpacked.
        unsafe { buffer.collect(fill) }.map(Some)
    }

    pub(crate) fn checked_root(&self, root: usize) -> Result<i32> {
        if root >= self.size() {
            let sentence = format!(
                "root {root} is no rank of a communicator of {} processes",
                self.size()
            );
            return Err(Error::new(ErrorClass::ROOT, sentence));
        }
        Ok(root as i32)
    }
}
