//! Performance variables (MPI 5.0, section 15.3.7): what the engine counts anyway.
//!
//! Counters are the engine's from its beginning; a handle shows what was added while it was
//! started. Levels and states are those of the moment. All are 0 until MPI is initialised, but for
//! the thread level, and stay after it is finalised.

use std::collections::BTreeMap;

use super::{Tools, Verbosity, entry, error, index_of, tools};
use crate::{Engine, Error, ErrorClass, Result};

/// How a variable behaves. The values are those of `MPI_T_PVAR_CLASS_...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// One of the values of an enumeration.
    State = 1,
    /// Goes up and down.
    Level = 2,
    /// Counts occurrences.
    Counter = 7,
    /// Sums up something.
    Aggregate = 8,
}

impl Kind {
    /// Whether it is started and stopped, and can be set: otherwise it is what it is.
    pub fn is_counted(self) -> bool {
        matches!(self, Kind::Counter | Kind::Aggregate)
    }
}

/// A performance variable. All are numbers (`MPI_UNSIGNED_LONG_LONG`) but the states (`MPI_INT`).
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it tells, in a sentence.
    pub description: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Who should read it.
    pub verbosity: Verbosity,
    read: fn(&Engine) -> u64,
}

/// All performance variables.
pub static VARIABLES: [Variable; 12] = [
    Variable {
        name: "ferrite_thread_level",
        description: "How threads of this process may use the library.",
        kind: Kind::State,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.thread_level() as u64,
    },
    Variable {
        name: "ferrite_messages_sent",
        description: "Messages sent, those of collective operations among them.",
        kind: Kind::Counter,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.sends().messages,
    },
    Variable {
        name: "ferrite_bytes_sent",
        description: "Bytes in the messages sent.",
        kind: Kind::Aggregate,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.sends().bytes,
    },
    Variable {
        name: "ferrite_rendezvous_sent",
        description: "Messages sent whose data waited for their receiver.",
        kind: Kind::Counter,
        verbosity: Verbosity::TunerBasic,
        read: |engine| engine.sends().rendezvous,
    },
    Variable {
        name: "ferrite_messages_expected",
        description: "Messages that arrived after their receive was posted.",
        kind: Kind::Counter,
        verbosity: Verbosity::TunerBasic,
        read: |engine| engine.arrivals().expected,
    },
    Variable {
        name: "ferrite_messages_unexpected",
        description: "Messages that arrived before their receive was posted, and were kept.",
        kind: Kind::Counter,
        verbosity: Verbosity::TunerBasic,
        read: |engine| engine.arrivals().unexpected,
    },
    Variable {
        name: "ferrite_unexpected_queue",
        description: "Messages kept now until their receive is posted.",
        kind: Kind::Level,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.queue_lengths().1,
    },
    Variable {
        name: "ferrite_unexpected_bytes",
        description: "Memory that messages of other processes take now until their receive is \
            posted, in bytes.",
        kind: Kind::Level,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.unexpected_bytes(),
    },
    Variable {
        name: "ferrite_posted_queue",
        description: "Receives posted now whose message has not arrived.",
        kind: Kind::Level,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.queue_lengths().0,
    },
    Variable {
        name: "ferrite_requests",
        description: "Requests alive now, those of the library's own among them.",
        kind: Kind::Level,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.request_count(),
    },
    Variable {
        name: "ferrite_communicators",
        description: "Communicators alive now.",
        kind: Kind::Level,
        verbosity: Verbosity::UserBasic,
        read: |engine| engine.comm_count(),
    },
    Variable {
        name: "ferrite_pauses",
        description: "How often a waiting thread has yielded its processor or slept.",
        kind: Kind::Counter,
        verbosity: Verbosity::TunerBasic,
        read: |engine| {
            let (yields, sleeps) = engine.pauses();
            yields + sleeps
        },
    },
];

impl Variable {
    fn now(&self) -> u64 {
        match crate::made_engine() {
            Some(engine) => (self.read)(engine),
            None if self.kind == Kind::State => u64::MAX,
            None => 0,
        }
    }
}

/// A tool's session, with its handles.
#[derive(Default)]
pub(super) struct Session(BTreeMap<u32, Handle>);

struct Handle {
    variable: &'static Variable,
    is_started: bool,
    /// What was counted until it was stopped, or set.
    counted: u64,
    /// What the variable was when it was started, or set.
    since: u64,
}

impl Handle {
    fn value(&self) -> u64 {
        let now = self.variable.now();
        match self.variable.kind.is_counted() {
            false => now,
            true if self.is_started => self.counted.wrapping_add(now.saturating_sub(self.since)),
            true => self.counted,
        }
    }

    fn set(&mut self, value: u64) {
        self.counted = value;
        self.since = self.variable.now();
    }

    fn start(&mut self) {
        if !self.is_started {
            self.since = self.variable.now();
            self.is_started = true;
        }
    }

    fn stop(&mut self) {
        self.counted = self.value();
        self.is_started = false;
    }
}

/// `MPI_T_pvar_get_num`
pub fn count() -> Result<i32> {
    let _tools = tools()?;
    Ok(VARIABLES.len() as i32)
}

/// `MPI_T_pvar_get_index`: by name and class.
pub fn index(name: &str, class: i32) -> Result<i32> {
    let _tools = tools()?;
    let index = index_of(VARIABLES.iter().map(|variable| variable.name), name)?;
    match VARIABLES[index as usize].kind as i32 == class {
        true => Ok(index),
        false => Err(error(
            ErrorClass::T_INVALID_NAME,
            "no variable of this class has this name",
        )),
    }
}

/// `MPI_T_pvar_get_info`
pub fn info(index: i32) -> Result<&'static Variable> {
    let _tools = tools()?;
    entry(&VARIABLES, index)
}

/// `MPI_T_pvar_session_create`
pub fn create_session() -> Result<u32> {
    let mut tools = tools()?;
    let handle = tools.handle()?;
    tools.sessions.insert(handle, Session::default());
    Ok(handle)
}

/// `MPI_T_pvar_session_free`, with all handles of the session.
pub fn free_session(session: u32) -> Result<()> {
    let removed = tools()?.sessions.remove(&session);
    removed.map(|_| ()).ok_or_else(no_session)
}

fn no_session() -> Error {
    error(ErrorClass::T_INVALID_SESSION, "this is no session")
}

fn no_handle() -> Error {
    error(
        ErrorClass::T_INVALID_HANDLE,
        "this is no handle of a performance variable of this session",
    )
}

impl Tools {
    fn session(&mut self, session: u32) -> Result<&mut Session> {
        self.sessions.get_mut(&session).ok_or_else(no_session)
    }

    fn performance(&mut self, session: u32, handle: u32) -> Result<&mut Handle> {
        let handles = &mut self.session(session)?.0;
        handles.get_mut(&handle).ok_or_else(no_handle)
    }
}

/// `MPI_T_pvar_handle_alloc`: a handle in a session.
pub fn open(session: u32, index: i32) -> Result<u32> {
    let mut tools = tools()?;
    tools.session(session)?;
    let variable = entry(&VARIABLES, index)?;
    let handle = tools.handle()?;
    let opened = Handle {
        variable,
        is_started: false,
        counted: 0,
        since: 0,
    };
    tools.session(session)?.0.insert(handle, opened);
    Ok(handle)
}

/// `MPI_T_pvar_handle_free`
pub fn close(session: u32, handle: u32) -> Result<()> {
    let removed = tools()?.session(session)?.0.remove(&handle);
    removed.map(|_| ()).ok_or_else(no_handle)
}

/// Does something to one counted variable of a session, or to all of them. `refusal`: what others
/// answer if they are meant alone.
fn change(
    session: u32,
    handle: Option<u32>,
    refusal: ErrorClass,
    change: impl Fn(&mut Handle),
) -> Result<()> {
    let mut tools = tools()?;
    let Some(handle) = handle else {
        let handles = tools.session(session)?.0.values_mut();
        handles
            .filter(|handle| handle.variable.kind.is_counted())
            .for_each(change);
        return Ok(());
    };
    let handle = tools.performance(session, handle)?;
    match handle.variable.kind.is_counted() {
        true => change(handle),
        false => return Err(error(refusal, "the variable is what it is at any moment")),
    }
    Ok(())
}

/// `MPI_T_pvar_start`, of all handles of the session if none is named.
pub fn start(session: u32, handle: Option<u32>) -> Result<()> {
    change(
        session,
        handle,
        ErrorClass::T_PVAR_NO_STARTSTOP,
        Handle::start,
    )
}

/// `MPI_T_pvar_stop`, of all handles of the session if none is named.
pub fn stop(session: u32, handle: Option<u32>) -> Result<()> {
    change(
        session,
        handle,
        ErrorClass::T_PVAR_NO_STARTSTOP,
        Handle::stop,
    )
}

/// `MPI_T_pvar_reset`, of all handles of the session if none is named.
pub fn reset(session: u32, handle: Option<u32>) -> Result<()> {
    change(session, handle, ErrorClass::T_PVAR_NO_WRITE, |handle| {
        handle.set(0)
    })
}

/// `MPI_T_pvar_write`
pub fn write(session: u32, handle: u32, value: u64) -> Result<()> {
    change(
        session,
        Some(handle),
        ErrorClass::T_PVAR_NO_WRITE,
        |handle| handle.set(value),
    )
}

/// `MPI_T_pvar_read`: the value, and what it is a value of.
pub fn read(session: u32, handle: u32) -> Result<(u64, &'static Variable)> {
    let mut tools = tools()?;
    let handle = tools.performance(session, handle)?;
    Ok((handle.value(), handle.variable))
}

/// `MPI_T_pvar_readreset`
pub fn read_and_reset(session: u32, handle: u32) -> Result<u64> {
    let mut tools = tools()?;
    let handle = tools.performance(session, handle)?;
    if !handle.variable.kind.is_counted() {
        return Err(error(
            ErrorClass::T_PVAR_NO_ATOMIC,
            "the variable cannot be reset",
        ));
    }
    let value = handle.value();
    handle.set(0);
    Ok(value)
}
