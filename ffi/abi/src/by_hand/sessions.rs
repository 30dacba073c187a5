//! Sessions, and the communicators that are made of groups (sections 7.4.2, 7.6.2 and 11.3).

use ferrite_engine::{Engine, Errhandler, Error, ErrorClass, Group, Info, PSETS, Result, Session};

use super::processes::discover;
use super::{null, read, set, set_handle};
use crate::convert::{narrow, put_text, text};
use crate::types::{
    Handle, MPI_Comm, MPI_Errhandler, MPI_Group, MPI_Info, MPI_Session, c_char, c_int,
};

pub(crate) unsafe fn session_init(
    info: MPI_Info,
    errhandler: MPI_Errhandler,
    to: *mut MPI_Session,
) -> Result<()> {
    if to.is_null() {
        return Err(null("session"));
    }
    let (info, errhandler) = (Info(narrow(info)), Errhandler(narrow(errhandler)));
    let made = Engine::session_init(info, errhandler, ferrite_transports::NETWORKS, discover)?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "session") }
}

pub(crate) unsafe fn session_finalize(
    engine: &'static Engine,
    session: *mut MPI_Session,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        let mut handle = Session(narrow(read(session, "session")?));
        engine.session_finalize(&mut handle)?;
        set_handle(session, handle.0, "session")
    }
}

pub(crate) unsafe fn session_get_num_psets(
    engine: &Engine,
    session: MPI_Session,
    _info: MPI_Info,
    number: *mut c_int,
) -> Result<()> {
    engine.session(Session(narrow(session)))?;
    // SAFETY: the program's pointer.
    unsafe { set(number, PSETS.len() as c_int, "npset_names") }
}

/// With a length of 0 the length is all that is asked for. It counts the zero byte.
pub(crate) unsafe fn session_get_nth_pset(
    engine: &Engine,
    session: MPI_Session,
    _info: MPI_Info,
    n: c_int,
    length: *mut c_int,
    name: *mut c_char,
) -> Result<()> {
    engine.session(Session(narrow(session)))?;
    let pset = usize::try_from(n).ok().and_then(|n| PSETS.get(n));
    let Some(pset) = pset else {
        return Err(Error::new(
            ErrorClass::ARG,
            format!("there is no process set {n}; there are {}", PSETS.len()),
        ));
    };
    // SAFETY: the program's pointers; the name's buffer has as many bytes as it says.
    unsafe {
        let room = usize::try_from(read(length, "pset_len")?).unwrap_or(0);
        if room > 0 {
            if name.is_null() {
                return Err(null("pset_name"));
            }
            put_text(name, room, pset);
        }
        set(length, pset.len() as c_int + 1, "pset_len")
    }
}

/// Stores the handle of what is made of a session's process set.
///
/// # Safety
/// The pointers are null or the program's string and place.
unsafe fn of_pset(
    pset: *const c_char,
    to: *mut Handle,
    name: &str,
    make: impl FnOnce(&str) -> Result<u32>,
) -> Result<()> {
    if to.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    unsafe {
        let made = make(text(pset, "pset_name")?)?;
        set_handle(to, made, name)
    }
}

pub(crate) unsafe fn session_get_pset_info(
    engine: &Engine,
    session: MPI_Session,
    pset: *const c_char,
    to: *mut MPI_Info,
) -> Result<()> {
    let session = Session(narrow(session));
    let make = |pset: &str| Ok(engine.session_get_pset_info(session, pset)?.0);
    // SAFETY: the program's string and pointer.
    unsafe { of_pset(pset, to, "info", make) }
}

pub(crate) unsafe fn group_from_session_pset(
    engine: &Engine,
    session: MPI_Session,
    pset: *const c_char,
    to: *mut MPI_Group,
) -> Result<()> {
    let session = Session(narrow(session));
    let make = |pset: &str| Ok(engine.group_from_session_pset(session, pset)?.0);
    // SAFETY: the program's string and pointer.
    unsafe { of_pset(pset, to, "newgroup", make) }
}

pub(crate) unsafe fn comm_create_from_group(
    engine: &Engine,
    group: MPI_Group,
    string: *const c_char,
    info: MPI_Info,
    errhandler: MPI_Errhandler,
    to: *mut MPI_Comm,
) -> Result<()> {
    if to.is_null() {
        return Err(null("newcomm"));
    }
    let (group, errhandler) = (Group(narrow(group)), Errhandler(narrow(errhandler)));
    // SAFETY: the program's string.
    let string = unsafe { text(string, "stringtag")? };
    let made = engine.comm_create_from_group(group, string, Info(narrow(info)), errhandler)?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "newcomm") }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn intercomm_create_from_groups(
    engine: &Engine,
    local_group: MPI_Group,
    local_leader: c_int,
    remote_group: MPI_Group,
    remote_leader: c_int,
    string: *const c_char,
    info: MPI_Info,
    errhandler: MPI_Errhandler,
    to: *mut MPI_Comm,
) -> Result<()> {
    if to.is_null() {
        return Err(null("newintercomm"));
    }
    // SAFETY: the program's string.
    let string = unsafe { text(string, "stringtag")? };
    let made = engine.intercomm_create_from_groups(
        (Group(narrow(local_group)), local_leader),
        (Group(narrow(remote_group)), remote_leader),
        string,
        Info(narrow(info)),
        Errhandler(narrow(errhandler)),
    )?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "newintercomm") }
}
