//! Safe bindings of the part of the MPI standard ABI that the benchmark programs use.
//!
//! The programs are linked to the soname `libmpi_abi.so.1` and run on whichever library of that
//! name the loader finds: Ferrite's, or another vendor's. This crate knows the standard's ABI and
//! nothing of Ferrite. It is the only crate of the programs that contains `unsafe`.
//!
//! What makes the interface safe:
//! - MPI is initialised exactly while a [`World`] lives, on the thread that made it; a [`Comm`]
//!   borrows the world.
//! - A message's memory is a [`Buffer`], named in calls by a [`Payload`] that was bounds-checked
//!   when it was made. No reference to the bytes is ever handed out.
//! - A nonblocking operation is started in [`Requests::scope`], which returns only when all of them
//!   are complete, and which borrows the buffers for longer than that. Filling or checking a buffer
//!   needs it exclusively.

mod buffer;
mod comm;
mod error;
mod raw;
mod requests;
mod world;

pub use buffer::{Buffer, Datatype, Payload};
pub use comm::{Comm, Op, Scalar};
pub use error::{Error, Result};
pub use requests::{InFlight, Requests};
pub use world::World;
