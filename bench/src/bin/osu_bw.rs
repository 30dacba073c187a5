//! `osu_bw`: see `ferrite_bench::bandwidth`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::bandwidth::main()
}
