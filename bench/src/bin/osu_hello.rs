//! `osu_hello`: see `ferrite_bench::startup`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::startup::hello()
}
