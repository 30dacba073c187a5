//! `cargo bench`: how fast messages and collective operations are between two processes of this
//! machine, over each fabric that it has, beside what the machine can do.
//!
//! Lays out a prefix under `target/`, runs its `osu_*` programs with its `mpiexec`, in fresh jobs
//! for every trial, and measures the machine's limits in between. This program links no MPI.

#![forbid(unsafe_code)]

mod arguments;
mod fabric;
mod job;
mod limits;
mod machine;
mod report;
mod trial;

use std::process::ExitCode;

use arguments::{Arguments, HELP};
use fabric::FABRICS;
use ferrite_bench_limits::{Cores, serve};
use trial::{Measured, Trouble};

fn main() -> ExitCode {
    if serve() {
        return ExitCode::SUCCESS;
    }
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("cargo bench: {message}");
            return ExitCode::from(2);
        }
    };
    match arguments {
        Arguments::Help => print!("{HELP}"),
        Arguments::Nothing => {}
        Arguments::Run(plan) => {
            if let Err(message) = run(&plan) {
                eprintln!("cargo bench: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn run(plan: &arguments::Plan) -> Result<(), String> {
    let prefix = match &plan.prefix {
        Some(prefix) => prefix.clone(),
        None => {
            let folder = xtask::default_prefix()?;
            eprintln!("cargo bench: laying out {}", folder.display());
            xtask::install(&folder, xtask::Profile::Release)?.prefix
        }
    };
    let cores = Cores::find();
    let mut fabrics = FABRICS.map(|fabric| Measured::new(fabric, &prefix));
    let mut limits = Vec::new();
    for number in 1..=plan.trials {
        eprintln!("cargo bench: trial {number} of {}", plan.trials);
        for measured in &mut fabrics {
            measured.run(&prefix);
        }
        limits.push(limits::measure(cores));
    }
    let report = report::text(&machine::describe(), cores, &fabrics, &limits);
    print!("{report}");
    let failed = |measured: &&Measured| matches!(measured.trouble, Some(Trouble::Failed(_)));
    match fabrics.iter().find(failed) {
        Some(measured) => Err(format!("{} failed, see above", measured.fabric.name())),
        None => Ok(()),
    }
}
