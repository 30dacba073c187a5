//! Collective operations (MPI 5.0, chapter 6).
//!
//! Three parts that know nothing of one another's work:
//!
//! - An *algorithm* ([`Schedule`], and a file for each collective) generates, for one rank, [`Operation`]s with dependencies. It is a pure function of the call's [`Shape`]: it knows
//!   no addresses, datatypes, communicators or time, so it can be printed, checked and costed without a job.
//! - [`select`] chooses the algorithm, from values that are equal on all ranks.
//! - [`Running`] executes a schedule as far as it can go now, through a [`Wire`]: the point-to-point messages of a
//!   communicator, and its board in shared memory, which the engine supplies. The shortest blocking calls are straight code
//!   instead ([`fused`]).
//!
//! To add an algorithm: write its generator, name it in [`schedule::Algorithm`], choose it in `select`, and add it to the
//! list in `proofs::case_list`; `check` proves for every size up to 64 that no message is left over, that no order of delivery
//! deadlocks even with the smallest window, that no two unordered operations touch the same bytes, and that the result
//! is right.

mod algorithms;
mod boards;
pub(crate) mod call;
mod function;
mod nodes;
mod operation;
#[cfg(test)]
mod proofs;
mod run;
mod schedule;
mod scratch;
pub(crate) mod select;
mod shape;
mod thresholds;

pub(crate) use algorithms::{Block, Parts};
pub(crate) use boards::{Turn, Unequal, Watch};
pub use call::Call;
pub(crate) use function::Function;
pub(crate) use nodes::Nodes;
pub(crate) use operation::Place;
pub(crate) use run::{Operands, Running, Wire};
pub(crate) use schedule::Schedule;
pub(crate) use scratch::Scratch;
pub(crate) use shape::{Collective, Shape};
pub use thresholds::{BoardLengths, BoardThresholds, MessageThresholds, Thresholds};

/// `MPI_IN_PLACE`: given instead of a send buffer, says that the data are in the receive buffer already.
pub const IN_PLACE: *const u8 = core::ptr::without_provenance(1);
