//! Communicators: how they are made and compare, names and attributes (chapters 7, 11 and 16).

use ferrite_engine::attribute::Keyval;
use ferrite_engine::{
    Comm, Engine, Error, ErrorClass, Info, RESOURCE_KEY, Result, SplitType, info,
};

use super::{MAX_OBJECT_NAME, null, read, set, set_handle, set_text};
use crate::convert::{UNDEFINED, narrow};
use crate::interface::attribute_out;
use crate::types::{MPI_Comm, MPI_Info, MPI_Request, c_char, c_int, c_void};

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

/// The duplicate gets what the copy functions of the attributes say; when one fails, there is no
/// duplicate.
pub(crate) unsafe fn comm_dup(engine: &Engine, comm: MPI_Comm, to: *mut MPI_Comm) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { comm_dup_with_info(engine, comm, crate::convert::widen(Info::NULL.0), to) }
}

pub(crate) unsafe fn comm_dup_with_info(
    engine: &Engine,
    comm: MPI_Comm,
    info: MPI_Info,
    to: *mut MPI_Comm,
) -> Result<()> {
    if to.is_null() {
        return Err(null("newcomm"));
    }
    let comm = Comm(narrow(comm));
    let mut made = engine.comm_dup_with_info(comm, Info(narrow(info)))?;
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

pub(crate) unsafe fn comm_idup(
    engine: &Engine,
    comm: MPI_Comm,
    to: *mut MPI_Comm,
    request: *mut MPI_Request,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        comm_idup_with_info(
            engine,
            comm,
            crate::convert::widen(Info::NULL.0),
            to,
            request,
        )
    }
}

pub(crate) unsafe fn comm_idup_with_info(
    engine: &Engine,
    comm: MPI_Comm,
    info: MPI_Info,
    to: *mut MPI_Comm,
    request: *mut MPI_Request,
) -> Result<()> {
    if to.is_null() || request.is_null() {
        return Err(null(if to.is_null() { "newcomm" } else { "request" }));
    }
    let (made, started) = engine.comm_idup(Comm(narrow(comm)), Info(narrow(info)))?;
    // SAFETY: the program's pointers.
    unsafe {
        set_handle(to, made.0, "newcomm")?;
        set_handle(request, started.0, "request")
    }
}

/// `MPI_COMM_TYPE_SHARED` and its siblings
const SHARED: c_int = 221;
const HW_UNGUIDED: c_int = 222;
const HW_GUIDED: c_int = 223;
const RESOURCE_GUIDED: c_int = 224;

pub(crate) unsafe fn comm_split_type(
    engine: &Engine,
    comm: MPI_Comm,
    kind: c_int,
    key: c_int,
    info: MPI_Info,
    to: *mut MPI_Comm,
) -> Result<()> {
    // First, as in every call: what is wrong with the rest may follow from a program that was built
    // with another header.
    engine.comm(Comm(narrow(comm)))?;
    let kind = match kind {
        SHARED => SplitType::Node,
        HW_UNGUIDED => SplitType::Part(Info(narrow(info))),
        UNDEFINED => SplitType::Nothing,
        HW_GUIDED | RESOURCE_GUIDED => {
            let value = |key| match Info(narrow(info)) {
                Info::NULL => Ok(None),
                info => info::get(info, key),
            };
            let name = value(RESOURCE_KEY)?;
            let pset = value(b"mpi_pset_name")?.filter(|_| kind == RESOURCE_GUIDED);
            SplitType::guided(name.as_deref(), pset.as_deref())
        }
        other => {
            return Err(Error::new(
                ErrorClass::ARG,
                format!("{other} is no way to split a communicator: use one of MPI_COMM_TYPE_*"),
            ));
        }
    };
    let made = engine.comm_split_type(Comm(narrow(comm)), kind, key)?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "newcomm") }
}

/// Waits for pending communication by the program's duty to complete it first, and frees.
pub(crate) unsafe fn comm_disconnect(engine: &Engine, handle: *mut MPI_Comm) -> Result<()> {
    // SAFETY: as this function's.
    unsafe {
        let comm = Comm(narrow(read(handle, "comm")?));
        // All members' messages have been completed when all have come here.
        engine.barrier(comm)?;
        comm_free(engine, handle)
    }
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
    let found = engine.comm_get_attr(Comm(narrow(comm)), Keyval(keyval))?;
    // SAFETY: the program's pointers; the value's is declared `void *`, but is the address of a
    // pointer.
    unsafe {
        if let Some(found) = found {
            let found = attribute_out(Keyval(keyval), found);
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
