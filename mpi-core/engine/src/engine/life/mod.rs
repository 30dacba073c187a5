//! From the first initialisation to the last finalisation: joining a job, sessions, taking leave
//! (MPI 5.0, chapter 11).

mod cards;
mod join;
mod lifetime;
mod sessions;

pub use join::ThreadLevel;
pub(crate) use lifetime::made_engine;
pub use lifetime::{Discovered, engine, is_finalized, is_initialized, loaded_from};
pub use sessions::{PSETS, SessionData, session_action};
pub(in crate::engine) use sessions::{Pset, pset_named};
