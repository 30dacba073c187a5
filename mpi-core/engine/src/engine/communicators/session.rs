//! Sessions as objects, and the process sets that they know (MPI 5.0, sections 7.4.2 and 11.3). How
//! they begin and end stands in [`crate::engine::life`].

use super::bsend_buffers::SharedBuffers;
use crate::engine::Engine;
use crate::errhandler::Slot;
use crate::handle::Session;
use crate::{Error, ErrorClass, Result};

/// How threads of a process may use the library (MPI 5.0, section 11.6). Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThreadLevel {
    /// There is one thread.
    Single,
    /// Only the thread that initialised calls.
    Funneled,
    /// One thread at a time calls.
    Serialized,
    /// Any thread calls at any time.
    Multiple,
}

/// The process sets that every session knows.
pub const PSETS: [&str; 2] = ["mpi://WORLD", "mpi://SELF"];

/// Which of them.
#[derive(Clone, Copy)]
pub(in crate::engine) enum Pset {
    World,
    Own,
}

/// The process set of a name, in letters of any case.
pub(in crate::engine) fn pset_named(name: &str) -> Option<Pset> {
    let known = PSETS
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))?;
    Some([Pset::World, Pset::Own][known])
}

/// A session.
pub struct SessionData {
    pub(in crate::engine) level: ThreadLevel,
    /// The error handler attached to it.
    pub errhandler: Slot,
    pub(in crate::engine) buffers: SharedBuffers,
}

impl Engine {
    /// The session that a handle names.
    pub fn session(&self, session: Session) -> Result<&SessionData> {
        self.comms.sessions.get(session.0).ok_or_else(|| {
            let sentence = match session {
                Session::NULL => String::from("the session is MPI_SESSION_NULL"),
                _ => format!(
                    "{:#x} is not a session, or one that was finalised",
                    session.0
                ),
            };
            Error::new(ErrorClass::SESSION, sentence)
        })
    }
}
