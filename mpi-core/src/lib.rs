//! Ferrite's MPI library.

pub mod attribute;
pub mod callback;
pub mod datatype;
pub mod errhandler;
pub mod error;
pub mod error_class;
pub mod error_code;
pub mod group;
pub mod handle;
pub mod info;
pub mod settings;
mod slab;
pub mod status;
mod sync;

pub use error::{Error, ErrorClass, Result};
pub use handle::*;
