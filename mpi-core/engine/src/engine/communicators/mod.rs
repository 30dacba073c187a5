//! Communicators and groups as objects: members, contexts, boards, names, and the log of their
//! collective calls (MPI 5.0, chapter 7). How they are made and freed stands in [`super::constructors`].

mod call_log;
mod communicator;
mod groups;

pub(in crate::engine) use call_log::{Arguments, Calls, Stage};
pub use communicator::{CommData, Comparison, MAX_NAME};
pub(in crate::engine) use communicator::{Contexts, Inter};
