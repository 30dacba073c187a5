//! Performance variables (section 15.3.7).

use ferrite_engine::Result;
use ferrite_engine::tools::performance::{self, Kind, Variable};

use super::{NO_ENUM, NO_OBJECT, NUMBER, SMALL, demand, given, name, shown, wish, wish_text};
use crate::convert::{narrow_pointer, widen};
use crate::types::{
    MPI_Datatype, MPI_T_enum, MPI_T_pvar_handle, MPI_T_pvar_session, c_char, c_int, c_void,
};

/// `MPI_T_PVAR_ALL_HANDLES`
const ALL_HANDLES: MPI_T_pvar_handle = 1;

/// The enumeration of states: there is one.
const STATES: MPI_T_enum = 1;

fn one_or_all(handle: MPI_T_pvar_handle) -> Option<u32> {
    (handle != ALL_HANDLES).then(|| narrow_pointer(handle))
}

pub(crate) unsafe fn t_pvar_get_num(number: *mut c_int) -> Result<()> {
    let count = performance::count()?;
    // SAFETY: the tool's pointer.
    unsafe { demand(number, count, "num_pvar") }
}

pub(crate) unsafe fn t_pvar_get_index(
    wanted: *const c_char,
    class: c_int,
    index: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's pointers.
    unsafe {
        let found = performance::index(name(wanted)?, class)?;
        demand(index, found, "pvar_index")
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn t_pvar_get_info(
    index: c_int,
    name: *mut c_char,
    name_len: *mut c_int,
    verbosity: *mut c_int,
    class: *mut c_int,
    datatype: *mut MPI_Datatype,
    enumtype: *mut MPI_T_enum,
    desc: *mut c_char,
    desc_len: *mut c_int,
    bind: *mut c_int,
    readonly: *mut c_int,
    continuous: *mut c_int,
    atomic: *mut c_int,
) -> Result<()> {
    let variable = performance::info(index)?;
    let is_state = variable.kind == Kind::State;
    let is_counted = c_int::from(variable.kind.is_counted());
    // SAFETY: the tool's pointers.
    unsafe {
        wish_text(name, name_len, variable.name);
        wish(verbosity, variable.verbosity as c_int);
        wish(class, variable.kind as c_int);
        let of = if is_state { SMALL } else { NUMBER };
        wish(datatype, widen(of.0));
        wish(enumtype, if is_state { STATES } else { NO_ENUM });
        wish_text(desc, desc_len, variable.description);
        wish(bind, NO_OBJECT);
        wish(readonly, 1 - is_counted);
        wish(continuous, 1 - is_counted);
        wish(atomic, is_counted);
    }
    Ok(())
}

pub(crate) unsafe fn t_pvar_session_create(session: *mut MPI_T_pvar_session) -> Result<()> {
    // SAFETY: the tool's pointer.
    unsafe {
        given(session, "session")?;
        demand(session, shown(performance::create_session()?), "session")
    }
}

pub(crate) unsafe fn t_pvar_session_free(session: *mut MPI_T_pvar_session) -> Result<()> {
    // SAFETY: the tool's pointer.
    unsafe {
        performance::free_session(narrow_pointer(given(session, "session")?))?;
        demand(session, 0, "session")
    }
}

pub(crate) unsafe fn t_pvar_handle_alloc(
    session: MPI_T_pvar_session,
    index: c_int,
    _object: *mut c_void,
    handle: *mut MPI_T_pvar_handle,
    count: *mut c_int,
) -> Result<()> {
    // SAFETY: the tool's pointers.
    unsafe {
        given(handle, "handle")?;
        let opened = performance::open(narrow_pointer(session), index)?;
        wish(count, 1);
        demand(handle, shown(opened), "handle")
    }
}

pub(crate) unsafe fn t_pvar_handle_free(
    session: MPI_T_pvar_session,
    handle: *mut MPI_T_pvar_handle,
) -> Result<()> {
    // SAFETY: the tool's pointer.
    unsafe {
        performance::close(
            narrow_pointer(session),
            narrow_pointer(given(handle, "handle")?),
        )?;
        demand(handle, 0, "handle")
    }
}

pub(crate) unsafe fn t_pvar_start(
    session: MPI_T_pvar_session,
    handle: MPI_T_pvar_handle,
) -> Result<()> {
    performance::start(narrow_pointer(session), one_or_all(handle))
}

pub(crate) unsafe fn t_pvar_stop(
    session: MPI_T_pvar_session,
    handle: MPI_T_pvar_handle,
) -> Result<()> {
    performance::stop(narrow_pointer(session), one_or_all(handle))
}

pub(crate) unsafe fn t_pvar_reset(
    session: MPI_T_pvar_session,
    handle: MPI_T_pvar_handle,
) -> Result<()> {
    performance::reset(narrow_pointer(session), one_or_all(handle))
}

/// Stores a value as its variable's type says.
///
/// # Safety
/// `buf` is null or has room for it.
unsafe fn put(buf: *mut c_void, value: u64, variable: &Variable) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        match variable.kind {
            Kind::State => demand(buf.cast::<c_int>(), value as c_int, "buf"),
            _ => demand(buf.cast::<u64>(), value, "buf"),
        }
    }
}

pub(crate) unsafe fn t_pvar_read(
    session: MPI_T_pvar_session,
    handle: MPI_T_pvar_handle,
    buf: *mut c_void,
) -> Result<()> {
    let (value, variable) = performance::read(narrow_pointer(session), narrow_pointer(handle))?;
    // SAFETY: the tool's buffer.
    unsafe { put(buf, value, variable) }
}

pub(crate) unsafe fn t_pvar_readreset(
    session: MPI_T_pvar_session,
    handle: MPI_T_pvar_handle,
    buf: *mut c_void,
) -> Result<()> {
    // SAFETY: the tool's buffer, of a variable that is a number: others cannot be reset.
    unsafe {
        given(buf.cast::<u8>(), "buf")?;
        let value = performance::read_and_reset(narrow_pointer(session), narrow_pointer(handle))?;
        demand(buf.cast::<u64>(), value, "buf")
    }
}

pub(crate) unsafe fn t_pvar_write(
    session: MPI_T_pvar_session,
    handle: MPI_T_pvar_handle,
    buf: *const c_void,
) -> Result<()> {
    let (_, variable) = performance::read(narrow_pointer(session), narrow_pointer(handle))?;
    // SAFETY: the tool's buffer holds what the variable's type says.
    let value = unsafe {
        match variable.kind {
            Kind::State => given(buf.cast::<c_int>(), "buf")? as u64,
            _ => given(buf.cast::<u64>(), "buf")?,
        }
    };
    performance::write(narrow_pointer(session), narrow_pointer(handle), value)
}
