//! Generalized requests: the program's functions (section 13.2).

use ferrite_engine::callback::{Callback, CancelFunction, FreeFunction, QueryFunction};
use ferrite_engine::{Engine, Generalized, Request, Result, Status};

use super::{null, set_handle};
use crate::convert::{narrow, put_status};
use crate::interface::error_in;
use crate::types::{MPI_Request, MPI_Status, c_int, c_void};

type Query = unsafe extern "C" fn(*mut c_void, *mut MPI_Status) -> c_int;
type Free = unsafe extern "C" fn(*mut c_void) -> c_int;
type Cancel = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;

/// # Safety
/// `function` is the address of a [`Query`].
unsafe fn query(function: usize, extra_state: usize, status: &mut Status) -> c_int {
    // SAFETY: the caller's promise.
    let function: Query = unsafe { core::mem::transmute(function) };
    let mut shown = MPI_Status::default();
    // SAFETY: a local status; the program's function gets what it gave.
    let code = unsafe {
        put_status(&mut shown, status);
        function(extra_state as *mut c_void, &mut shown)
    };
    *status = shown.read();
    error_in(code)
}

/// # Safety
/// `function` is the address of a [`Free`].
unsafe fn free(function: usize, extra_state: usize) -> c_int {
    // SAFETY: the caller's promise.
    let function: Free = unsafe { core::mem::transmute(function) };
    // SAFETY: the program's function gets what it gave.
    error_in(unsafe { function(extra_state as *mut c_void) })
}

/// # Safety
/// `function` is the address of a [`Cancel`].
unsafe fn cancel(function: usize, extra_state: usize, is_complete: bool) -> c_int {
    // SAFETY: the caller's promise.
    let function: Cancel = unsafe { core::mem::transmute(function) };
    // SAFETY: the program's function gets what it gave.
    error_in(unsafe { function(extra_state as *mut c_void, is_complete.into()) })
}

pub(crate) unsafe fn grequest_start(
    engine: &Engine,
    query_fn: *const c_void,
    free_fn: *const c_void,
    cancel_fn: *const c_void,
    extra_state: *mut c_void,
    to: *mut MPI_Request,
) -> Result<()> {
    for (function, name) in [
        (query_fn, "query_fn"),
        (free_fn, "free_fn"),
        (cancel_fn, "cancel_fn"),
    ] {
        if function.is_null() {
            return Err(null(name));
        }
    }
    if to.is_null() {
        return Err(null("request"));
    }
    // SAFETY: the trampolines may be called with the program's functions.
    let generalized = unsafe {
        Generalized {
            query: Callback::new(query_fn as usize, query as QueryFunction),
            free: Callback::new(free_fn as usize, free as FreeFunction),
            cancel: Callback::new(cancel_fn as usize, cancel as CancelFunction),
            extra_state: extra_state as usize,
        }
    };
    let made = engine.grequest_start(generalized)?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "request") }
}

pub(crate) unsafe fn grequest_complete(engine: &Engine, request: MPI_Request) -> Result<()> {
    engine.grequest_complete(Request(narrow(request)))
}
