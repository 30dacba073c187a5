//! `osu_bibw`: see `ferrite_bench::bidirectional`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrite_bench::bidirectional::main()
}
