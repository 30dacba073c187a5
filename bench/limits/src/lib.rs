//! What the machine itself can do, to put beside what a library makes of it.
//!
//! - [`cache_line`]: the time a cache line takes from one core to another, the floor of any latency in shared memory.
//! - [`copy`]: the bandwidth of a copy within one process.
//! - [`Neighbour`]: the bandwidth of a copy out of another process (cross-memory attach), the floor of a single-copy
//!   protocol.
//!
//! Nothing here knows MPI. System calls stand in `sys`.

#![forbid(unsafe_code)]

mod copy;
mod line;
mod neighbour;
mod sys;

pub use copy::copy;
pub use line::cache_line;
pub use neighbour::{Neighbour, serve};
pub use sys::Cores;
