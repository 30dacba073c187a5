//! Ferrite's MPI library.

pub mod error;
pub mod handle;
mod slab;
mod sync;

pub use error::{Error, ErrorClass, Result};
pub use handle::*;
