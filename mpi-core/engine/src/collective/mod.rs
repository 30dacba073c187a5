//! Collective operations (MPI 5.0, chapter 6), apart from any engine.
//!
//! Nothing here knows an engine, a communicator or a peer: what a call needs of them comes as
//! values.
//!
//! - An *algorithm* (`algorithms`) generates, for one rank, operations with dependencies
//!   (`operation`). It is a pure function of the call's `Shape`: it knows no addresses,
//!   datatypes or time, so it can be printed, checked and costed without a job. A `Schedule` is
//!   an algorithm for one call.
//! - `select` chooses the algorithm, from values that are equal on all ranks.
//! - `Running` executes a schedule as far as it can go now, through a `Carrier`: the
//!   point-to-point messages of a communicator, and its board in shared memory, which the engine
//!   supplies.
//! - `boards` has what goes over memory that all ranks of a node reach. The shortest blocking
//!   calls are straight code there instead of a schedule.
//! - `proofs` checks every algorithm for every size up to 64: that no message is left over, that no
//!   order of delivery deadlocks even with the smallest window, that no two unordered operations
//!   touch the same bytes, and that the result is right.
//!
//! The engine makes a `Call` of MPI's arguments (`engine/collectives/calls`), and runs it in one
//! of three forms: blocking, nonblocking or persistent. How to add an algorithm:
//! `docs/how-to/add-a-collective-algorithm.md`.

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
pub(crate) use run::{Carrier, Operands, Running};
pub(crate) use schedule::Schedule;
pub(crate) use scratch::Scratch;
pub(crate) use shape::{Collective, Shape};
pub use thresholds::{BoardLengths, BoardThresholds, MessageThresholds, Thresholds};

/// `MPI_IN_PLACE`: given instead of a send buffer, says that the data are in the receive buffer
/// already.
pub const IN_PLACE: *const u8 = core::ptr::without_provenance(1);
