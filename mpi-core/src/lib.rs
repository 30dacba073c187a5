//! Ferrite's MPI library.

pub mod error;
pub mod error_class;
pub mod error_code;
pub mod handle;
mod slab;
mod sync;

pub use error::{Error, ErrorClass, Result};
pub use handle::*;
