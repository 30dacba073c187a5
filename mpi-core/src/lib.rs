//! Ferrite's MPI library.

pub mod datatype;
pub mod error;
pub mod error_class;
pub mod error_code;
pub mod group;
pub mod handle;
pub mod settings;
mod slab;
mod sync;

pub use error::{Error, ErrorClass, Result};
pub use handle::*;
