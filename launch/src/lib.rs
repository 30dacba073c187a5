//! mpiexec: starts jobs and serves their processes.
//!
//! One machine per job. [`main`] reads the command line ([`args`]), splits mpiexec in two ([`guard`]), and the launching
//! half runs one event loop ([`launcher`]): it starts the ranks ([`spawn`], [`bind`]), answers them ([`channel`]), merges their output
//! by whole lines ([`output`]) and decides by what happens to them how the job ends ([`job`]). It knows nothing of MPI but that
//! processes say hello, finalize and abort.

#![deny(unsafe_code)]

mod args;
mod bind;
mod channel;
mod environment;
mod guard;
mod help;
mod job;
mod launcher;
mod options;
mod output;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the launcher does not serve it yet")
)]
pub(crate) mod pmi;
mod report;
mod signals;
mod spawn;
mod sys;
mod tree;

use args::{Command, Usage};
use std::process::ExitCode;

/// Exit code of a command line that cannot be carried out.
const USAGE: u8 = 2;

/// The program, under any of its names.
pub fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).collect();
    let job = match args::parse(words, |name| std::env::var_os(name)) {
        Ok(Command::Run(job)) => job,
        Ok(Command::Help) => return print(&help::text()),
        Ok(Command::Version) => return print(&help::version()),
        Err(Usage(sentence)) => {
            report::stderr(&sentence);
            return ExitCode::from(USAGE);
        }
    };
    let plan = match spawn::Plan::new(job) {
        Ok(plan) => plan,
        Err(e) => {
            report::stderr(&e.sentence);
            return ExitCode::from(e.status);
        }
    };
    guard::split(|guarded| launcher::run(plan, guarded)).unwrap_or_else(|e| {
        report::stderr(&format!("cannot start: {e}"));
        ExitCode::FAILURE
    })
}

/// Prints to standard output; a reader that has gone away is no failure.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
