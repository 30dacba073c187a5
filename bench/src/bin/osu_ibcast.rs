//! `osu_ibcast`: see `ferrite_bench::overlap`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::overlap::main(ferrite_osu::Program::Ibcast)
}
