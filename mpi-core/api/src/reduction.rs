//! Operations of reductions as the engine wants them: predefined ones by their handles, closures as
//! its callbacks. Items that the engine has no type for travel packed, as so many bytes.

use core::any::Any;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::panic::AssertUnwindSafe;
use core::ptr::NonNull;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use ferrite_engine::callback::{Callback, ReduceFunction};
use ferrite_engine::datatype::{self, Form};
use ferrite_engine::{Datatype as Handle, Op as OpHandle, op};

use crate::datatype::engine_items;
use crate::op::Op;
use crate::{Datatype, Result};

/// What a closure panicked with.
pub(crate) type Panic = Box<dyn Any + Send>;

/// A closure as the engine's callback sees it.
struct Closure<'f, T> {
    combine: Box<dyn Fn(T, T) -> T + Sync + 'f>,
    panic: Mutex<Option<Panic>>,
}

/// Calls a closure for a row of items. It must not unwind into the engine, so a panic is kept for
/// later.
///
/// # Safety
/// `closure` is the exposed address of a `Closure<T>`; the buffers are as of [`Callback::call`],
/// with packed items of `T`.
unsafe fn call_closure<T: Datatype>(
    closure: usize,
    input: *const u8,
    inout: *mut u8,
    count: usize,
    _: Handle,
) {
    // SAFETY: the caller's promise.
    let closure = unsafe { &*core::ptr::with_exposed_provenance::<Closure<'_, T>>(closure) };
    let item = |from: *const u8| {
        let mut item = MaybeUninit::uninit();
        // SAFETY: the caller's promise; any bytes of its packed length make a value.
        unsafe {
            T::unpack(from, item.as_mut_ptr());
            item.assume_init()
        }
    };
    let called = catch_unwind(AssertUnwindSafe(|| {
        for at in (0..count).map(|at| at * T::PACKED) {
            let into = inout.wrapping_add(at);
            let combined = (closure.combine)(item(input.wrapping_add(at)), item(into));
            // SAFETY: the caller's promise.
            unsafe { T::pack(&combined, into) };
        }
    }));
    if let Err(panic) = called {
        let mut first = closure.panic.lock().unwrap_or_else(PoisonError::into_inner);
        let more = match &*first {
            None => {
                *first = Some(panic);
                None
            }
            Some(_) => Some(panic),
        };
        drop(first);
        // What the program panicked with is its own: dropping it may do anything, panic included.
        core::mem::forget(more);
    }
}

/// Whether the engine counts items of `T` one by one, so that it can hand them to a closure.
const fn is_one_element<T: Datatype>() -> bool {
    match T::ELEMENT {
        Some((_, size)) => T::PLAIN && size == T::PACKED,
        None => false,
    }
}

/// An operation on some items, for as long as the engine may need it.
pub(crate) struct Operation<'f, T: Datatype> {
    /// How many of what type the items are to the engine.
    pub(crate) of: (i64, Handle),
    pub(crate) handle: OpHandle,
    /// Neither is predefined. The engine has the closure's address, so it is reached by this
    /// pointer alone, which a box that is moved would invalidate.
    closure: Option<NonNull<Closure<'f, T>>>,
    packed: bool,
    of_closure: PhantomData<Closure<'f, T>>,
}

impl<'f, T: Datatype> Operation<'f, T> {
    pub(crate) fn new(op: Op<'f, T>, items: usize) -> Result<Operation<'f, T>> {
        if let (Some(handle), Some(_)) = (op.predefined, T::ELEMENT) {
            return Ok(Operation {
                of: engine_items::<T>(items),
                handle,
                closure: None,
                packed: false,
                of_closure: PhantomData,
            });
        }
        if T::PACKED == 0 {
            // There is nothing to combine, whatever with.
            return Ok(Operation {
                of: (0, Handle::BYTE),
                handle: OpHandle::BAND,
                closure: None,
                packed: false,
                of_closure: PhantomData,
            });
        }
        let closure = NonNull::from(Box::leak(Box::new(Closure {
            combine: op.combine,
            panic: Mutex::new(None),
        })));
        let address = closure.as_ptr().expose_provenance();
        // SAFETY: the closure may be called from any thread, and stays where it is until the
        // operation is dropped.
        let callback = unsafe { Callback::new(address, call_closure::<T> as ReduceFunction) };
        let mut operation = Operation {
            of: engine_items::<T>(items),
            handle: OpHandle::NULL,
            closure: Some(closure),
            packed: false,
            of_closure: PhantomData,
        };
        operation.handle = op::create(callback, op.is_commutative)?;
        if !is_one_element::<T>() {
            let packed = datatype::contiguous(Form::Large, T::PACKED as i64, Handle::BYTE)?;
            operation.of = (items as i64, packed);
            operation.packed = true;
            datatype::commit(packed)?;
        }
        Ok(operation)
    }

    /// What the closure panicked with, once the engine is done with it.
    pub(crate) fn panic(&self) -> Option<Panic> {
        // SAFETY: lives until this is dropped, and nobody has it exclusively.
        let panic = &unsafe { self.closure?.as_ref() }.panic;
        panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: Datatype> Drop for Operation<'_, T> {
    fn drop(&mut self) {
        // Made here, so that freeing them succeeds.
        if self.closure.is_some() && self.handle != OpHandle::NULL {
            let _ = op::free(self.handle);
        }
        if let Some(closure) = self.closure {
            // SAFETY: came from a box, once; the engine calls it no more.
            drop(unsafe { Box::from_raw(closure.as_ptr()) });
        }
        if self.packed {
            let _ = datatype::free(&mut self.of.1);
        }
    }
}

/// Has `run` reduce `items` items to its end: it is told how many of what type they are to the
/// engine, and the operation. A panic of a closure goes on afterwards.
pub(crate) fn with_operation<T: Datatype, R>(
    op: Op<'_, T>,
    items: usize,
    run: impl FnOnce((i64, Handle), OpHandle) -> Result<R>,
) -> Result<R> {
    let operation = Operation::new(op, items)?;
    let answer = run(operation.of, operation.handle);
    if let Some(panic) = operation.panic() {
        drop(operation);
        resume_unwind(panic);
    }
    answer
}
