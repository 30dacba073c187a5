//! `mpicxx`: the C++ compiler with what an MPI program needs.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_wrappers::main(&ferrite_wrappers::CXX)
}
