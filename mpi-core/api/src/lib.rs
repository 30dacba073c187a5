//! MPI for Rust.
//!
//! One dependency: the engine is part of the program. Nothing is needed to build it but Rust, and
//! no MPI library to run it; it runs alone, under Ferrite's `mpiexec`, and under the launchers of
//! others that speak PMI-1.
//!
//! ```
//! fn main() -> mpi_core::Result<()> {
//!     let universe = mpi_core::init()?;
//!     let world = universe.world();
//!     let total = world.all_reduce(&(world.rank() as u64), mpi_core::op::sum())?;
//!     println!("rank {} of {}: the ranks add up to {total}", world.rank(), world.size());
//!     Ok(())
//! }
//! ```
//!
//! * Every call returns a [`Result`], whose [`Error`] says what was wrong and how to mend it. No
//!   error ends the program.
//! * Single values, slices and vectors of any [`Datatype`] are sent; derive it for your structs.
//! * Operations under way borrow their buffers in a [`scope()`], or own them ([`OwnedRequest`]),
//!   and can be awaited.
//! * [`test`](macro@test) runs a test on several ranks, without a launcher.
//!
//! This crate is a composition root, as the C ABI is: it offers transports to the engine and asks
//! the launcher's client for the job. It holds no MPI semantics of its own.

mod buffer;
mod collective;
mod communicator;
mod datatype;
mod error;
mod exchange;
mod nonblocking;
pub mod op;
mod owned;
mod point_to_point;
mod reduction;
mod scope;
mod status;
pub mod testing;
mod universe;
#[cfg(feature = "serde")]
mod value;
mod wake;

pub use buffer::{Buffer, BufferMut};
pub use communicator::Communicator;
pub use datatype::Datatype;
pub use error::{Error, ErrorClass, Result};
pub use mpi_core_derive::{Datatype, test};
pub use owned::{OwnedBuffer, OwnedRequest};
pub use scope::{Request, Scope, scope};
pub use status::{Destination, Source, Status, Tag};
pub use universe::{Builder, Threading, Universe, init, init_with_threading};
pub use wake::block_on;
