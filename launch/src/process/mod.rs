//! Processes of this machine: mpiexec's own two, those below them, and what it says of itself.

pub(crate) mod descendants;
mod guard;
mod poller;
pub(crate) mod report;

pub(crate) use guard::{Guarded, Leash, Outcome, split};
pub(crate) use poller::{Poller, Source};
pub(crate) use report::{CANNOT_START, End, NOT_EXECUTABLE, NOT_FOUND, USAGE, Unstartable};
