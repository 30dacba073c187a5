//! `ferrite-info`: version, build, what this machine offers to the transports, every setting with
//! its origin.
//!
//! It asks the registry of settings and the system; it starts no job and talks to no launcher.

mod facts;
mod report;
mod sys;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use facts::Facts;

/// Tells what this installation of Ferrite MPI is, what it found on this machine, and how it is
/// set.
///
/// Every setting is an environment variable. The exit status is 1 when one of them has a value that
/// is not understood.
#[derive(Parser)]
#[command(name = "ferrite-info", version)]
struct Arguments {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let facts = Facts::collect();
    let text = if arguments.json {
        report::json(&facts)
    } else {
        report::text(&facts)
    };
    // Whoever reads through a pipe may stop early.
    let _ = io::stdout().write_all(text.as_bytes());
    for complaint in facts.warnings.iter().chain(&facts.error) {
        eprintln!("ferrite-info: {complaint}");
    }
    match facts.error {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}
