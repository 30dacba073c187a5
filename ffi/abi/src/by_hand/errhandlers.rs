//! Error handlers: the program's functions, and which object has which (chapter 9).

use core::ffi::c_int;

use ferrite_engine::callback::Callback;
use ferrite_engine::errhandler::{self, Attached, Owner};
use ferrite_engine::{Comm, Engine, Errhandler, Result, Session};

use super::{null, read, set_handle};
use crate::convert::{narrow, widen};
use crate::error::{call_errhandler, call_session_errhandler};
use crate::interface::error_out;
use crate::types::{Handle, MPI_Comm, MPI_Errhandler, MPI_Session, c_void};

/// The C type of an error handler; the same for all kinds of objects.
type ErrorFunction = unsafe extern "C" fn(*mut Handle, *mut c_int, ...);

/// # Safety
/// `function` is the address of an [`ErrorFunction`].
unsafe fn call(function: usize, object: u32, code: i32) {
    // SAFETY: the caller's promise.
    let function: ErrorFunction = unsafe { core::mem::transmute(function) };
    let (mut object, mut code) = (widen(object), error_out(code));
    // SAFETY: an error handler of the program, called as the standard says.
    unsafe { function(&mut object, &mut code) }
}

/// # Safety
/// `function` is null or an [`ErrorFunction`]; `to` is null or points to a handle that may be
/// written.
unsafe fn create(owner: Owner, function: *const c_void, to: *mut MPI_Errhandler) -> Result<()> {
    if function.is_null() {
        return Err(null("the function"));
    }
    // SAFETY: `call` may be called with the program's function.
    let function = unsafe {
        Callback::new(
            function as usize,
            call as ferrite_engine::callback::ErrorFunction,
        )
    };
    let made = errhandler::create(owner, function)?;
    // SAFETY: the caller's promise.
    unsafe { set_handle(to, made.0, "errhandler") }
}

pub(crate) unsafe fn comm_create_errhandler(
    _engine: &Engine,
    function: *const c_void,
    to: *mut MPI_Errhandler,
) -> Result<()> {
    // SAFETY: the program's function and pointer.
    unsafe { create(Owner::Comm, function, to) }
}

pub(crate) unsafe fn win_create_errhandler(
    _engine: &Engine,
    function: *const c_void,
    to: *mut MPI_Errhandler,
) -> Result<()> {
    // SAFETY: the program's function and pointer.
    unsafe { create(Owner::Win, function, to) }
}

pub(crate) unsafe fn file_create_errhandler(
    _engine: &Engine,
    function: *const c_void,
    to: *mut MPI_Errhandler,
) -> Result<()> {
    // SAFETY: the program's function and pointer.
    unsafe { create(Owner::File, function, to) }
}

pub(crate) unsafe fn session_create_errhandler(
    function: *const c_void,
    to: *mut MPI_Errhandler,
) -> Result<()> {
    // SAFETY: the program's function and pointer.
    unsafe { create(Owner::Session, function, to) }
}

pub(crate) unsafe fn errhandler_free(handle: *mut MPI_Errhandler) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        errhandler::free(Errhandler(narrow(read(handle, "errhandler")?)))?;
        set_handle(handle, Errhandler::NULL.0, "errhandler")
    }
}

pub(crate) unsafe fn comm_get_errhandler(
    engine: &Engine,
    comm: MPI_Comm,
    to: *mut MPI_Errhandler,
) -> Result<()> {
    if to.is_null() {
        return Err(null("errhandler"));
    }
    let handle = engine.comm(Comm(narrow(comm)))?.errhandler.get().handle();
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, handle.0, "errhandler") }
}

pub(crate) unsafe fn comm_call_errhandler(
    engine: &Engine,
    comm: MPI_Comm,
    code: c_int,
) -> Result<()> {
    call_errhandler(engine, Comm(narrow(comm)), code)
}

pub(crate) unsafe fn session_set_errhandler(
    engine: &Engine,
    session: MPI_Session,
    handle: MPI_Errhandler,
) -> Result<()> {
    let data = engine.session(Session(narrow(session)))?;
    let attached = Attached::new(Errhandler(narrow(handle)), Owner::Session)?;
    data.errhandler.set(attached);
    Ok(())
}

pub(crate) unsafe fn session_get_errhandler(
    engine: &Engine,
    session: MPI_Session,
    to: *mut MPI_Errhandler,
) -> Result<()> {
    if to.is_null() {
        return Err(null("errhandler"));
    }
    let session = engine.session(Session(narrow(session)))?;
    let handle = session.errhandler.get().handle();
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, handle.0, "errhandler") }
}

pub(crate) unsafe fn session_call_errhandler(
    engine: &Engine,
    session: MPI_Session,
    code: c_int,
) -> Result<()> {
    engine.session(Session(narrow(session)))?;
    call_session_errhandler(session, code);
    Ok(())
}
