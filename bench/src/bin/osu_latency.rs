//! `osu_latency`: see `ferrite_bench::latency`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::latency::main()
}
