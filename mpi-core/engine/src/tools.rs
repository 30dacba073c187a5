//! The tool interface (MPI 5.0, section 15.3): control variables, performance variables, events,
//! and categories of them.
//!
//! What there is stands in tables: the registry of settings is that of the control variables. State
//! is static, behind mutexes of its own: tools may come before initialisation and stay after
//! finalisation. No engine's lock is taken by whoever holds the lock of events, which are raised
//! deep inside the engine.

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::settings::Setting;
use crate::sync::threaded;
use crate::{Error, ErrorClass, Result, ThreadLevel};

pub mod category;
pub mod control;
pub mod event;
pub mod performance;

pub use event::{Event, Safety};
pub(crate) use event::{deliver, is_wanted, queue};

/// A tool that came before MPI wants to call from any thread. Relaxed: whoever initialises MPI
/// after that, does so in the program's order.
static ANY_THREAD: AtomicBool = AtomicBool::new(false);

static TOOLS: Mutex<Tools> = Mutex::new(Tools {
    users: 0,
    next: 0,
    controls: BTreeMap::new(),
    sessions: BTreeMap::new(),
});

/// What tools hold.
struct Tools {
    /// Initialisations without their finalisation.
    users: u32,
    /// Handles given out so far.
    next: u32,
    /// Which variable a handle is of.
    controls: BTreeMap<u32, &'static Setting>,
    sessions: BTreeMap<u32, performance::Session>,
}

/// Handles of tools begin above the constants that stand for handles.
const FIRST_HANDLE: u32 = 0x1000;

impl Tools {
    /// A handle that was not given out before, as long as there are any.
    fn handle(&mut self) -> Result<u32> {
        let none = || error(ErrorClass::T_OUT_OF_HANDLES, "no more handles");
        let next = self.next.checked_add(1).ok_or_else(none)?;
        self.next = next;
        FIRST_HANDLE.checked_add(next).ok_or_else(none)
    }
}

fn locked() -> MutexGuard<'static, Tools> {
    TOOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tools' state, if the interface is initialised.
fn tools() -> Result<MutexGuard<'static, Tools>> {
    let tools = locked();
    match tools.users {
        0 => Err(error(
            ErrorClass::T_NOT_INITIALIZED,
            "called without MPI_T_init_thread, or after the last MPI_T_finalize",
        )),
        _ => Ok(tools),
    }
}

fn error(class: ErrorClass, sentence: &'static str) -> Error {
    Error::new(class, sentence)
}

/// An entry of a table, by the number that a tool has for it.
fn entry<T>(table: &'static [T], index: i32) -> Result<&'static T> {
    let entry = usize::try_from(index).ok().and_then(|at| table.get(at));
    entry.ok_or_else(|| error(ErrorClass::T_INVALID_INDEX, "no entry has this number"))
}

/// The number of an entry by its name.
fn index_of(mut names: impl Iterator<Item = &'static str>, name: &str) -> Result<i32> {
    let found = names.position(|known| known == name);
    found
        .map(|at| at as i32)
        .ok_or_else(|| error(ErrorClass::T_INVALID_NAME, "no entry has this name"))
}

/// `MPI_T_init_thread`: which threads may call. More than the one that calls MPI only where the
/// library takes locks: if MPI is used by several threads, or comes later. `MPI_T_ERR_CANNOT_INIT`
/// if the environment has a setting that is not understood.
pub fn init(required: ThreadLevel) -> Result<ThreadLevel> {
    if crate::settings::settings().is_err() {
        return Err(error(
            ErrorClass::T_CANNOT_INIT,
            "the environment has a bad setting",
        ));
    }
    let mut tools = locked();
    tools.users += 1;
    if required <= ThreadLevel::Funneled {
        return Ok(required);
    }
    if crate::made_engine().is_none() {
        ANY_THREAD.store(true, Ordering::Relaxed);
        return Ok(required);
    }
    Ok(match threaded() {
        true => required,
        false => ThreadLevel::Funneled,
    })
}

/// Whether tools may call from threads that MPI knows nothing of.
pub(crate) fn any_thread() -> bool {
    ANY_THREAD.load(Ordering::Relaxed)
}

/// `MPI_T_finalize`: the last one frees all that tools hold.
pub fn finalize() -> Result<()> {
    let mut tools = tools()?;
    tools.users -= 1;
    if tools.users == 0 {
        tools.controls.clear();
        tools.sessions.clear();
        drop(tools);
        event::forget_all();
    }
    Ok(())
}

/// Whether the interface is initialised.
pub fn check() -> Result<()> {
    tools().map(|_| ())
}

/// How much a variable, or an event, asks of its reader (MPI 5.0, section 15.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Verbosity {
    /// `MPI_T_VERBOSITY_USER_BASIC`
    UserBasic = 0x09,
    /// `MPI_T_VERBOSITY_TUNER_BASIC`
    TunerBasic = 0x11,
    /// `MPI_T_VERBOSITY_TUNER_DETAIL`
    TunerDetail = 0x12,
}

/// Values with names (MPI 5.0, section 15.3.5).
pub struct Enumeration {
    /// Its name.
    pub name: &'static str,
    /// Values and their names.
    pub items: &'static [(i32, &'static str)],
}

/// All enumerations; a tool's handle of one is its number here, and one more.
pub static ENUMERATIONS: [Enumeration; 1] = [Enumeration {
    name: "ferrite_thread_level",
    items: &[
        (-1, "not initialized"),
        (0, "single"),
        (1, "funneled"),
        (2, "serialized"),
        (3, "multiple"),
    ],
}];

/// The enumeration of a handle.
pub fn enumeration(handle: u32) -> Result<&'static Enumeration> {
    check()?;
    let at = i32::try_from(handle).unwrap_or(0) - 1;
    entry(&ENUMERATIONS, at)
        .map_err(|_| error(ErrorClass::T_INVALID_HANDLE, "this is no enumeration"))
}

/// A value of an enumeration with its name. `MPI_T_ERR_INVALID_ITEM` for a number that none has.
pub fn item(enumeration: &'static Enumeration, index: i32) -> Result<(i32, &'static str)> {
    let item = entry(enumeration.items, index);
    item.copied()
        .map_err(|_| error(ErrorClass::T_INVALID_ITEM, "no item has this number"))
}
