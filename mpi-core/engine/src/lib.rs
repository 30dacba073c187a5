//! Ferrite's MPI library.

pub mod attribute;
pub mod callback;
pub mod collective;
pub mod datatype;
mod engine;
pub mod errhandler;
pub mod error;
pub mod error_class;
pub mod error_code;
pub mod fuzzing;
pub mod group;
pub mod handle;
pub mod hardware;
pub mod info;
pub mod settings;
mod slab;
pub mod status;
mod sync;
mod sys;
pub mod tools;
pub mod topology;

pub mod op;
pub use engine::*;
pub use error::{Error, ErrorClass, Result};
pub use handle::*;
pub use status::Status;
