//! From the first initialisation to the last finalisation: joining a job, sessions, taking leave
//! (MPI 5.0, chapter 11).

mod join;
mod lifetime;
mod sessions;

pub(crate) use lifetime::made_engine;
pub use lifetime::{Discovered, engine, is_finalized, is_initialized, loaded_from};
pub use sessions::session_action;

use std::thread::ThreadId;

use crate::engine::communicators::ThreadLevel;
use crate::sync::{Class, ClassLock};

/// Which threads may call.
pub(in crate::engine) struct Threading {
    level: ClassLock<ThreadLevel>,
    main: ThreadId,
}

impl Threading {
    /// For the thread that calls this as the main one.
    fn new(level: ThreadLevel) -> Threading {
        Threading {
            level: ClassLock::new(Class::Leaf, level),
            main: std::thread::current().id(),
        }
    }
}
