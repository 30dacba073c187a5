//! mpiexec's own standard input, output and error, as the job's.

mod input;
mod output;

pub(crate) use input::Input;
pub(crate) use output::{FULL, Output};
