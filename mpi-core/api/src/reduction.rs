//! Operations of reductions as the engine wants them: predefined ones by their handles, closures as its callbacks. Items that the engine has
//! no type for travel packed, as so many bytes.

use core::any::Any;
use core::mem::MaybeUninit;
use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use ferrite_engine::callback::{Callback, ReduceFunction};
use ferrite_engine::datatype::{self, Form};
use ferrite_engine::{Datatype as Handle, Op as OpHandle, op};

use crate::datatype::engine_items;
use crate::op::Op;
use crate::{Datatype, Result};

/// A closure as the engine's callback sees it.
struct Closure<'a, T> {
    combine: &'a (dyn Fn(T, T) -> T + Sync),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Calls a closure for a row of items. It must not unwind into the engine, so a panic is kept for later.
///
/// # Safety
/// `closure` is the exposed address of a `Closure<T>`; the buffers are as of [`Callback::call`], with packed items of `T`.
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
        first.get_or_insert(panic);
    }
}

/// Has `run` reduce with a closure.
fn with_closure<T: Datatype, R>(
    op: &Op<'_, T>,
    run: impl FnOnce(OpHandle) -> Result<R>,
) -> Result<R> {
    let closure = Closure {
        combine: &*op.combine,
        panic: Mutex::new(None),
    };
    let address = (&raw const closure).expose_provenance();
    // SAFETY: the closure may be called from any thread, until `free` below; `run` does not unwind, as it calls the engine only.
    let callback = unsafe { Callback::new(address, call_closure::<T> as ReduceFunction) };
    let handle = op::create(callback, op.is_commutative)?;
    let answer = run(handle);
    let _ = op::free(handle);
    let panic = closure.panic.into_inner();
    if let Some(panic) = panic.unwrap_or_else(PoisonError::into_inner) {
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

/// Has `run` reduce `items` items: it is told how many of what type they are to the engine, and the operation.
pub(crate) fn with_operation<T: Datatype, R>(
    op: &Op<'_, T>,
    items: usize,
    run: impl FnOnce((i64, Handle), OpHandle) -> Result<R>,
) -> Result<R> {
    if let (Some(handle), Some(_)) = (op.predefined, T::ELEMENT) {
        return run(engine_items::<T>(items), handle);
    }
    with_closure(op, |handle| {
        if is_one_element::<T>() {
            return run(engine_items::<T>(items), handle);
        }
        let mut packed = datatype::contiguous(Form::Large, T::PACKED as i64, Handle::BYTE)?;
        datatype::commit(packed)?;
        let answer = run((items as i64, packed), handle);
        let _ = datatype::free(&mut packed);
        answer
    })
}
