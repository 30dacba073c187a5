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
//! list in `case_list`; `check` proves for every size up to 64 that no message is left over, that no order of delivery
//! deadlocks even with the smallest window, that no two unordered operations touch the same bytes, and that the result
//! is right.

pub mod across;
pub mod allgather;
pub mod allreduce;
pub mod alltoall;
mod api;
mod api_across;
mod api_reduce;
mod api_v;
mod arguments;
pub mod barrier;
pub mod bcast;
pub mod board;
mod call;
#[cfg(test)]
mod case;
#[cfg(test)]
mod case_list;
#[cfg(test)]
mod check;
pub mod exchange;
mod function;
pub mod fused;
pub mod gather;
mod laid;
mod neighbours;
pub mod nodes;
pub mod operation;
pub mod reduce;
pub mod reduce_scatter;
mod run;
pub mod scan;
pub mod scatter;
pub mod schedule;
mod scratch;
pub mod select;
mod shape;
#[cfg(test)]
mod simulate;
mod unequal;

pub use api::Waits;
pub use api_reduce::check_reduce_local;
pub use board::What;
pub use call::Call;
pub(crate) use exchange::Block;
pub use function::Function;
pub use laid::{Types, Vectors};
pub use operation::{Action, Buffer, Id, Operation, Place};
pub use run::{Operands, Running, Wire};
pub use schedule::{Operations, Schedule};
pub use scratch::Scratch;
pub use select::Thresholds;
pub use shape::Shape;
pub(crate) use unequal::Unequal;

/// `MPI_IN_PLACE`: given instead of a send buffer, says that the data are in the receive buffer already.
pub const IN_PLACE: *const u8 = core::ptr::without_provenance(1);
