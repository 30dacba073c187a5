//! Chores of the workspace that cargo itself does not do: laying out a prefix, regenerating
//! checked-in files.
//!
//! A library, so that the whole-program tests and the benches lay out the prefix they run by the
//! same code as a person does.
#![forbid(unsafe_code)]

mod build;
mod check;
mod generate;
mod install;
mod pkgconfig;
mod place;

pub use build::{Profile, default_prefix, target_directory, workspace_root};
pub use check::check;
pub use generate::generate;
pub use install::{Installed, install};

/// What every chore returns; the error is a sentence for the person who ran it.
pub type Result<T> = std::result::Result<T, String>;
