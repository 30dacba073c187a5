//! `osu_mbw_mr`: see `ferrite_bench::rate`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::rate::main()
}
