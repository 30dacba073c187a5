//! Beginning and end: this library is where engine, transports and launcher's client meet (chapter
//! 11).

use ferrite_engine::{Comm, Discovered, Engine, Result, ThreadLevel};
use ferrite_transports::NETWORKS;

use super::{null, set};
use crate::convert::narrow;
use crate::error::exit_code;
use crate::types::{MPI_Comm, c_char, c_int};

/// Values of the thread levels, in ascending order.
const THREAD_LEVELS: [(c_int, ThreadLevel); 4] = [
    (0, ThreadLevel::Single),
    (1024, ThreadLevel::Funneled),
    (2048, ThreadLevel::Serialized),
    (4096, ThreadLevel::Multiple),
];

pub(super) fn value_of(level: ThreadLevel) -> c_int {
    let found = THREAD_LEVELS.iter().find(|entry| entry.1 == level);
    found.map_or(0, |entry| entry.0)
}

/// The lowest level that offers what was asked for, otherwise the highest there is.
pub(super) fn level_for(required: c_int) -> ThreadLevel {
    let found = THREAD_LEVELS.iter().find(|entry| entry.0 >= required);
    found.map_or(ThreadLevel::Multiple, |entry| entry.1)
}

pub(super) fn discover() -> Discovered {
    match ferrite_client::discover() {
        Ok(found) => Ok((found.job, found.bootstrap)),
        Err(error) => Err(error.to_string()),
    }
}

fn begin(level: ThreadLevel) -> Result<ThreadLevel> {
    let engine = Engine::init(level, NETWORKS, discover)?;
    Ok(engine.thread_level())
}

pub(crate) unsafe fn init(_argc: *mut c_int, _argv: *mut *mut *mut c_char) -> Result<()> {
    begin(ThreadLevel::Single).map(drop)
}

pub(crate) unsafe fn init_thread(
    _argc: *mut c_int,
    _argv: *mut *mut *mut c_char,
    required: c_int,
    provided: *mut c_int,
) -> Result<()> {
    if provided.is_null() {
        return Err(null("provided"));
    }
    let level = begin(level_for(required))?;
    // SAFETY: the program's pointer.
    unsafe { set(provided, value_of(level), "provided") }
}

/// The attributes of `MPI_COMM_SELF` go first, while their delete functions may still call MPI (MPI
/// 5.0, section 11.4.2).
pub(crate) unsafe fn finalize(engine: &'static Engine) -> Result<()> {
    engine
        .comm(Comm::SELF)?
        .attributes
        .delete_all(Comm::SELF.0)?;
    engine.finalize()
}

pub(crate) unsafe fn initialized(flag: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { set(flag, c_int::from(ferrite_engine::is_initialized()), "flag") }
}

pub(crate) unsafe fn finalized(flag: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { set(flag, c_int::from(ferrite_engine::is_finalized()), "flag") }
}

pub(crate) unsafe fn query_thread(engine: &Engine, provided: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { set(provided, value_of(engine.thread_level()), "provided") }
}

pub(crate) unsafe fn is_thread_main(engine: &Engine, flag: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { set(flag, c_int::from(engine.is_thread_main()), "flag") }
}

/// Ends the whole job, whatever the communicator: its other processes could not go on without
/// these.
pub(crate) unsafe fn abort(engine: &Engine, comm: MPI_Comm, code: c_int) -> Result<()> {
    let name = match (Comm(narrow(comm)), engine.comm_get_name(Comm(narrow(comm)))) {
        (_, Ok(name)) if !name.is_empty() => name,
        (_, Ok(_)) => String::from("a communicator without a name"),
        (Comm::NULL, _) => String::from("MPI_COMM_NULL"),
        (_, Err(_)) => String::from("an invalid communicator"),
    };
    // Whoever prints this names the call, its code and the rank.
    engine.abort(exit_code(code), &format!("on {name}"))
}
