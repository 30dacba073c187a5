//! Collective operations (MPI 5.0, chapter 6).
//!
//! Three parts that know nothing of one another's work:
//!
//! - An *algorithm* ([`Schedule`], and the files `barrier`, `bcast`, `reduce`, `allreduce`, `gather`, `allgather`)
//!   generates, for one rank, [`Operation`]s with dependencies. It is a pure function of the call's [`Shape`]: it knows
//!   no addresses, datatypes, communicators or time, so it can be printed, checked and costed without a job.
//! - [`select`] chooses the algorithm, from values that are equal on all ranks.
//! - [`Running`] executes a schedule as far as it can go now, through a [`Wire`]: the point-to-point messages of a
//!   communicator, and its board in shared memory, which the engine supplies. The shortest blocking calls are straight code
//!   instead ([`fused`]).
//!
//! To add an algorithm: write its generator, name it in [`schedule::Algorithm`], choose it in `select`, and add it to the
//! list in `check`, which proves for every size up to 64 that no message is left over, that no order of delivery
//! deadlocks even with the smallest window, that no two unordered operations touch the same bytes, and that the result
//! is right.

pub mod allgather;
pub mod allreduce;
mod api;
pub mod barrier;
pub mod bcast;
pub mod board;
#[cfg(test)]
mod check;
pub mod fused;
pub mod gather;
pub mod operation;
pub mod reduce;
mod run;
pub mod schedule;
mod scratch;
pub mod select;
mod shape;
#[cfg(test)]
mod simulate;

pub use api::IN_PLACE;
pub use board::What;
pub use operation::{Action, Buffer, Id, Operation, Place};
pub use run::{Operands, Running, Wire};
pub use schedule::{Operations, Schedule};
pub use scratch::Scratch;
pub use select::Thresholds;
pub use shape::Shape;
