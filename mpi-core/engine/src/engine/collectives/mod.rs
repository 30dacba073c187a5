//! Execution of collective operations over the engine's messages and boards (MPI 5.0, chapter 6).
//! What is executed, the algorithms, stands in [`crate::collective`].

mod executor;
mod forms;

pub(in crate::engine) use executor::CollectiveWire;
pub(in crate::engine) use forms::{Collective, UnderWay, cannot_cancel};
