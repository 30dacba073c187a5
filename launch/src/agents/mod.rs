//! Agents on other hosts: the tree of them, what each does, and what it has in common with mpiexec
//! itself.

mod agent;
mod fleet;
mod station;

pub(crate) use agent::run;
pub(crate) use fleet::Fleet;
pub(crate) use station::{Station, Turn};
