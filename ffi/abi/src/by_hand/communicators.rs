//! Communicators: how they compare, names and attributes (chapters 7 and 16).

use ferrite_engine::attribute::Keyval;
use ferrite_engine::{Comm, Engine, Result};

use super::{MAX_OBJECT_NAME, null, read, set, set_handle, set_text};
use crate::convert::narrow;
use crate::types::{MPI_Comm, c_char, c_int, c_void};

pub(crate) unsafe fn comm_compare(
    engine: &Engine,
    one: MPI_Comm,
    two: MPI_Comm,
    result: *mut c_int,
) -> Result<()> {
    let comparison = engine.comm_compare(Comm(narrow(one)), Comm(narrow(two)))?;
    // SAFETY: the program's pointer.
    unsafe { set(result, comparison as c_int, "result") }
}

pub(crate) unsafe fn comm_get_name(
    engine: &Engine,
    comm: MPI_Comm,
    name: *mut c_char,
    length: *mut c_int,
) -> Result<()> {
    let text = match Comm(narrow(comm)) {
        Comm::NULL => String::from("MPI_COMM_NULL"),
        comm => engine.comm_get_name(comm)?,
    };
    // SAFETY: the program's pointers; the standard gives the room.
    unsafe { set_text(name, MAX_OBJECT_NAME, &text, length, "comm_name") }
}

/// The duplicate gets what the copy functions of the attributes say; when one fails, there is no duplicate.
pub(crate) unsafe fn comm_dup(engine: &Engine, comm: MPI_Comm, to: *mut MPI_Comm) -> Result<()> {
    if to.is_null() {
        return Err(null("newcomm"));
    }
    let comm = Comm(narrow(comm));
    let mut made = engine.comm_dup(comm)?;
    let into = &engine.comm(made)?.attributes;
    if let Err(error) = engine.comm(comm)?.attributes.copy_to(comm.0, into) {
        // The first error is the one to tell.
        let _ = into.delete_all(made.0);
        let _ = engine.comm_free(&mut made);
        return Err(error);
    }
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "newcomm") }
}

/// When a delete function of an attribute fails, the communicator stays.
pub(crate) unsafe fn comm_free(engine: &Engine, handle: *mut MPI_Comm) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        let mut comm = Comm(narrow(read(handle, "comm")?));
        if comm != Comm::WORLD && comm != Comm::SELF {
            engine.comm(comm)?.attributes.delete_all(comm.0)?;
        }
        engine.comm_free(&mut comm)?;
        set_handle(handle, comm.0, "comm")
    }
}

/// No process was spawned yet: every one was started by a launcher.
pub(crate) unsafe fn comm_get_parent(_engine: &Engine, parent: *mut MPI_Comm) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { set_handle(parent, Comm::NULL.0, "parent") }
}

pub(crate) unsafe fn comm_set_attr(
    engine: &Engine,
    comm: MPI_Comm,
    keyval: c_int,
    value: *mut c_void,
) -> Result<()> {
    let comm = Comm(narrow(comm));
    let attributes = &engine.comm(comm)?.attributes;
    attributes.set(comm.0, Keyval(keyval), value as usize)
}

pub(crate) unsafe fn comm_get_attr(
    engine: &Engine,
    comm: MPI_Comm,
    keyval: c_int,
    value: *mut c_void,
    flag: *mut c_int,
) -> Result<()> {
    let found = engine
        .comm(Comm(narrow(comm)))?
        .attributes
        .get(Keyval(keyval))?;
    // SAFETY: the program's pointers; the value's is declared `void *`, but is the address of a pointer.
    unsafe {
        if let Some(found) = found {
            set(value.cast::<usize>(), found, "attribute_val")?;
        }
        set(flag, c_int::from(found.is_some()), "flag")
    }
}

pub(crate) unsafe fn comm_delete_attr(
    engine: &Engine,
    comm: MPI_Comm,
    keyval: c_int,
) -> Result<()> {
    let comm = Comm(narrow(comm));
    engine.comm(comm)?.attributes.delete(comm.0, Keyval(keyval))
}

pub(crate) unsafe fn attr_put(
    engine: &Engine,
    comm: MPI_Comm,
    keyval: c_int,
    value: *mut c_void,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { comm_set_attr(engine, comm, keyval, value) }
}

pub(crate) unsafe fn attr_get(
    engine: &Engine,
    comm: MPI_Comm,
    keyval: c_int,
    value: *mut c_void,
    flag: *mut c_int,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { comm_get_attr(engine, comm, keyval, value, flag) }
}

pub(crate) unsafe fn attr_delete(engine: &Engine, comm: MPI_Comm, keyval: c_int) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { comm_delete_attr(engine, comm, keyval) }
}
