//! What mpiexec says of itself, how processes have ended, and mpiexec's own exit codes.

use crate::sys::signals;
use rustix::process::WaitStatus;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A message of mpiexec's as it is printed.
pub(crate) fn line(sentence: &str) -> String {
    format!("mpiexec: {sentence}\n")
}

/// Prints a message at once; for when there is no job whose output it could break.
pub(crate) fn stderr(sentence: &str) {
    // With standard error closed there is no one to tell.
    let _ = rustix::io::write(rustix::stdio::stderr(), line(sentence).as_bytes());
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// It exited with a code.
    Code(u8),
    /// A signal killed it.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether the kernel wrote a core file.
        core: bool,
    },
}

impl End {
    /// What `wait` reported of a process that is no more.
    pub(crate) fn of(status: WaitStatus) -> End {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => End::Code(code as u8),
            (None, signal) => End::Signal {
                signal: signal.unwrap_or(0),
                core: status.as_raw() & 0x80 != 0,
            },
        }
    }

    /// As a shell reports it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            End::Code(code) => code,
            End::Signal { signal, .. } => 128 | signal as u8,
        }
    }
}

impl fmt::Display for End {
    /// What the process did: `exited with code 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            End::Code(code) => write!(f, "exited with code {code}"),
            End::Signal { signal, core } => {
                write!(
                    f,
                    "was killed by signal {signal} ({}",
                    signals::name(signal)
                )?;
                match signals::meaning(signal) {
                    "" => write!(f, ")")?,
                    meaning => write!(f, ": {meaning})")?,
                }
                if core {
                    write!(f, ", core dumped")
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// A job that cannot be started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unstartable {
    pub(crate) sentence: String,
    /// mpiexec's exit code.
    pub(crate) status: u8,
}

/// Exit codes that a shell uses for the same.
pub(crate) const NOT_FOUND: u8 = 127;
pub(crate) const NOT_EXECUTABLE: u8 = 126;
pub(crate) const CANNOT_START: u8 = 1;
/// Exit code of a command line that cannot be carried out.
pub(crate) const USAGE: u8 = 2;

/// How many processes the kernel has killed since boot for lack of memory; `None` where it does not
/// tell.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/vmstat").ok()?;
    counters
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?
        .parse()
        .ok()
}
