//! The one place that turns an [`Error`] into what the program sees: it runs error handlers (MPI
//! 5.0, chapter 9).
//!
//! All of it is off the path of a call that succeeds: the functions are cold, and take what they
//! need by value.

use core::ffi::c_int;
use core::fmt;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use ferrite_engine::errhandler::{Action, Attached, Owner};
use ferrite_engine::{Comm, Engine, Errhandler, Error, ErrorClass, Result, Session};

use crate::convert::{narrow, put_status, widen};
use crate::foreign;
use crate::generated::names::predefined;
use crate::interface::error_out;
use crate::types::{Handle, MPI_Status};

/// A function, for messages.
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: &'static str,
    /// The names of the inputs that a message shows, and how.
    pub(crate) arguments: &'static [(&'static str, Shown)],
}

/// How a message shows an input.
#[derive(Clone, Copy)]
pub(crate) enum Shown {
    /// As a signed number.
    Number,
    /// By name if predefined, otherwise in hexadecimal. The class is that of the error when it
    /// names no object.
    Handle(ErrorClass),
    /// Not at all: a pointer to handles, or null. It is looked behind when an error has this class.
    HandleAt(ErrorClass),
}

/// Whose error handler an error belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// That of a communicator.
    Comm(Handle),
    /// That of the communicator that a request or a matched message belongs to.
    Request,
    /// That of a session.
    Session(Handle),
    /// One that the call was given for what it makes.
    Errhandler(Handle),
    /// That of `MPI_COMM_SELF`, and the initial one while there is none.
    Process,
    /// None: the tool interface returns its codes.
    Tool,
}

/// A call with its arguments, as a message shows it.
struct Written<'a>(&'a Call, &'a [u64]);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.0.name)?;
        let mut comma = "";
        for ((name, shown), &value) in self.0.arguments.iter().zip(self.1) {
            if matches!(shown, Shown::HandleAt(_)) {
                continue;
            }
            write!(f, "{comma}{name}=")?;
            comma = ", ";
            match shown {
                Shown::Number | Shown::HandleAt(_) => write!(f, "{}", value as i64)?,
                Shown::Handle(_) => match predefined(narrow(value as Handle)) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "{value:#x}")?,
                },
            }
        }
        f.write_str(")")
    }
}

/// The handle behind a pointer, for a [`Scope`].
///
/// # Safety
/// The pointer is null or points to a handle.
#[cold]
pub(crate) unsafe fn peek(handle: *const Handle) -> Handle {
    // SAFETY: the caller's promise.
    unsafe { handle.as_ref() }.copied().unwrap_or_default()
}

/// A call failed: runs the error handler, and returns the code if that returns.
#[cold]
#[inline(never)]
pub(crate) fn failed(call: &Call, scope: Scope, error: Error, values: &[u64]) -> c_int {
    let error = foreign::explained(error, call, values);
    raise(scope, &Written(call, values), error)
}

/// As [`failed`], for a call with a status: a message that was truncated, say, still has a source.
#[cold]
#[inline(never)]
pub(crate) fn failed_with_status(
    call: &Call,
    scope: Scope,
    error: Error,
    values: &[u64],
    status: *mut MPI_Status,
) -> c_int {
    if let Some(known) = error.status() {
        // SAFETY: the program's pointer, null or a status, as the call's caller promised.
        unsafe { put_status(status, &known) };
    }
    failed(call, scope, error, values)
}

/// An output's pointer is null.
#[cold]
#[inline(never)]
pub(crate) fn null_argument(call: &Call, scope: Scope, name: &str) -> c_int {
    let sentence = format!("{name} is a null pointer: pass the address of a variable");
    // Nothing is wrong with the communicator: where its handler would end the job, the process's is
    // asked instead.
    let scope = match scope {
        Scope::Comm(comm) if is_fatal(Comm(narrow(comm))) => Scope::Process,
        other => other,
    };
    raise(scope, &call.name, Error::new(ErrorClass::ARG, sentence))
}

/// A function that is not built. Programs that ignore the code go on with a window or a file that
/// they do not have, and die of it: where the error handler returns, standard error tells once why.
#[cold]
#[inline(never)]
pub(crate) fn unbuilt(name: &'static str, scope: Scope) -> c_int {
    static TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let engine = match ferrite_engine::engine() {
        Ok(engine) => engine,
        Err(error) => {
            let arguments = &[];
            return not_running(&Call { name, arguments }, error);
        }
    };
    let sentence = "this version of Ferrite MPI does not have this function yet";
    let error = Error::new(ErrorClass::UNSUPPORTED_OPERATION, sentence);
    let code = raise(scope, &name, error);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.insert(name) {
        let rank = engine.job_rank();
        complain(format_args!("[rank {rank}] {name}: {sentence}"));
    }
    code
}

/// Writes a line to standard error; there is nobody to tell when that fails.
fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "ferrite: {line}");
}

/// MPI is not initialized yet, or finalized already: there is no error handler to ask.
#[cold]
#[inline(never)]
pub(crate) fn not_running(call: &Call, error: Error) -> c_int {
    end_without_job(&call.name, &error)
}

/// Runs the error handler that `scope` has, and returns the code if that returns.
fn raise(scope: Scope, what: &dyn fmt::Display, error: Error) -> c_int {
    if matches!(scope, Scope::Tool) {
        return error_out(error.code());
    }
    if let Scope::Errhandler(handle) = scope
        && let Some(action) = given_action(handle)
    {
        let nothing = widen(Session::NULL.0);
        return act(action, nothing, what, error);
    }
    if let Scope::Session(session) = scope
        && let Some(action) = ferrite_engine::session_action(Session(narrow(session)))
    {
        return act(action, session, what, error);
    }
    let Ok(engine) = ferrite_engine::engine() else {
        // The initial error handler ends the process (MPI 5.0, section 9.3).
        end_without_job(what, &error);
    };
    let comm = match scope {
        Scope::Comm(comm) => Some(Comm(narrow(comm))),
        Scope::Request => {
            if let Some(comm) = error.comm().cloned() {
                let action = comm.errhandler.get().action();
                return engine.with_handle(&comm, |comm| act(action, widen(comm.0), what, error));
            }
            // A stale request names no communicator.
            Some(Comm::SELF)
        }
        Scope::Session(_) | Scope::Errhandler(_) | Scope::Process | Scope::Tool => None,
    };
    // An error that belongs to no object is raised on MPI_COMM_SELF (MPI 5.0, section 9.3).
    let comm = comm.filter(|&comm| engine.comm(comm).is_ok());
    let comm = comm.unwrap_or_else(owner_of_the_rest);
    run(engine, comm, what, error)
}

/// Whose handler an error has that belongs to no object: that of `MPI_COMM_SELF`, unless the
/// program has left that as it was and set the world's, which the standard had in that place before
/// its version 4.
fn owner_of_the_rest() -> Comm {
    match is_fatal(Comm::SELF) && !is_fatal(Comm::WORLD) {
        true => Comm::WORLD,
        false => Comm::SELF,
    }
}

/// Whether a communicator's error handler ends the job.
fn is_fatal(comm: Comm) -> bool {
    let engine = ferrite_engine::engine();
    let action = engine.and_then(|engine| Ok(engine.comm(comm)?.errhandler.get().action()));
    matches!(action, Ok(Action::Fatal))
}

/// Runs a communicator's error handler, and returns the code if that returns.
fn run(engine: &Engine, comm: Comm, what: &dyn fmt::Display, error: Error) -> c_int {
    let action = match engine.comm(comm) {
        Ok(data) => data.errhandler.get().action(),
        Err(_) => Action::Fatal,
    };
    act(action, widen(comm.0), what, error)
}

/// Does what an error handler says about an error of this object, and returns the code if that
/// returns.
fn act(action: Action, object: Handle, what: &dyn fmt::Display, error: Error) -> c_int {
    match action {
        Action::Fatal | Action::Abort => {
            let Ok(engine) = ferrite_engine::engine() else {
                end_without_job(what, &error);
            };
            let message = format!("[rank {}] {what}: {error}", engine.job_rank());
            engine.abort(exit_code(error.code()), &message)
        }
        Action::Return => error_out(error.with_context(what).raise()),
        Action::Call(function) => {
            let code = error.with_context(what).raise();
            function.call(narrow(object), code);
            error_out(code)
        }
    }
}

/// What an error handler says that is for sessions, or for communicators.
fn given_action(handle: Handle) -> Option<Action> {
    let attached = |owner| Attached::new(Errhandler(narrow(handle)), owner);
    let attached = attached(Owner::Session).or_else(|_| attached(Owner::Comm));
    attached.ok().map(|attached| attached.action())
}

/// `MPI_Session_call_errhandler`: the same for a session.
pub(crate) fn call_session_errhandler(session: Handle, code: c_int) {
    let error = Error::with_code(code, "the program called the error handler");
    raise(
        Scope::Session(session),
        &"MPI_Session_call_errhandler",
        error,
    );
}

/// `MPI_Comm_call_errhandler`: the handler of a communicator gets a code that the program chose.
pub(crate) fn call_errhandler(engine: &Engine, comm: Comm, code: c_int) -> Result<()> {
    engine.comm(comm)?;
    let error = Error::with_code(code, "the program called the error handler");
    run(engine, comm, &"MPI_Comm_call_errhandler", error);
    Ok(())
}

/// An exit code that says failure: of a code's low byte, the system keeps no more.
pub(crate) fn exit_code(code: c_int) -> c_int {
    if code & 0xff == 0 { 1 } else { code }
}

/// Prints why, and ends this process, which belongs to no job yet or no more.
fn end_without_job(what: &dyn fmt::Display, error: &Error) -> ! {
    complain(format_args!("{what}: {error}"));
    std::process::exit(exit_code(error.code()));
}
