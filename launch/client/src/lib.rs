//! How a process learns its job.
//!
//! [`discover`] asks, in this order: Ferrite's own mpiexec, through the socket that
//! `FERRITE_CHANNEL` names; then a launcher that speaks PMI-1 ([`pmi`]), through `PMI_FD` or
//! `PMI_PORT`; then the variables of other launchers, which can only say "you are alone" or make
//! discovery fail; then the process is a job of one. It never makes a singleton of a process that
//! some launcher counts as one of several.
//!
//! This crate knows nothing of the engine. Its [`wire`] module is also mpiexec's: both ends of the
//! dialogue read and write the same messages.

#![deny(unsafe_code)]

mod alone;
mod channel;
mod foreign;
pub mod pmi;
mod sys;
pub mod wire;

use core::fmt;
use ferrite_fabric as fabric;
use std::sync::Arc;

pub use ferrite_fabric::{Bootstrap, Job, Left, Secret, Wait};
pub use sys::{memory_file, random};

/// A process's job, and the way back to who started it.
pub struct Discovered {
    /// The job.
    pub job: fabric::Job,
    /// The way back. Harmless in forked children of this process: it does nothing there but end
    /// them on abort.
    pub bootstrap: Arc<dyn fabric::Bootstrap>,
}

/// Why the job cannot be learnt: a sentence that names the cause and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverError(String);

impl DiscoverError {
    fn new(sentence: impl Into<String>) -> DiscoverError {
        DiscoverError(sentence.into())
    }

    /// The cause and the remedy.
    pub fn sentence(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DiscoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DiscoverError {}

/// What a process says that ends its job with this code. The message may be empty.
fn aborted(code: i32, message: &str) -> String {
    match message {
        "" => format!("MPI_Abort({code})"),
        _ => format!("MPI_Abort({code}): {message}"),
    }
}

/// Learns the job of this process. To be called once in a process: the answer holds the only way
/// back to the launcher.
///
/// Takes well under a millisecond with Ferrite's mpiexec; with one that does not answer, fails
/// after 30 seconds. Under a PMI-1 launcher it waits for the other processes of the job.
pub fn discover() -> Result<Discovered, DiscoverError> {
    if let Some(descriptor) = std::env::var_os(wire::CHANNEL_VARIABLE) {
        return channel::discover(&descriptor);
    }
    let environment =
        |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if let Some(joined) = pmi::discover(environment) {
        return joined;
    }
    foreign::check(environment)?;
    alone::discover()
}
