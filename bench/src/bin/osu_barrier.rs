//! `osu_barrier`: see `ferrite_bench::collective`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::collective::main(ferrite_osu::Program::Barrier)
}
