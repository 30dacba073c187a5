//! `cargo xtask`: see `cargo xtask --help`.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use xtask::Profile;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds the prefix, regenerates files")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Builds everything and lays out bin, include, lib and share in a folder
    Install {
        /// The folder; it may be moved afterwards
        #[arg(long, value_name = "DIR")]
        prefix: PathBuf,
        /// Build without optimisation and with the debug assertions
        #[arg(long)]
        debug: bool,
        /// Then build a program with the new mpicc and run it with the new mpiexec
        #[arg(long)]
        check: bool,
    },
    /// Writes the files that are generated from the table of the MPI interface
    Generate {
        /// Change nothing; fail if a file differs from what would be written
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("xtask: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> xtask::Result<()> {
    match chore {
        Chore::Install {
            prefix,
            debug,
            check,
        } => {
            let profile = if debug {
                Profile::Dev
            } else {
                Profile::Release
            };
            let installed = xtask::install(&prefix, profile)?;
            if check {
                xtask::check(&installed.prefix)?;
            }
            println!(
                "{}: {} files, {} of them new or changed{}",
                installed.prefix.display(),
                installed.files,
                installed.changed,
                if check {
                    "; a program was built and run"
                } else {
                    ""
                }
            );
            Ok(())
        }
        Chore::Generate { check } => xtask::generate(check),
    }
}
