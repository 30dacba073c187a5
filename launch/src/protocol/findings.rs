//! What `mpiexec --doctor` asks of agents and is told.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What was looked at, in a word.
    pub(crate) topic: String,
    /// What was seen and, where it is not well, what to do.
    pub(crate) text: String,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Level {
    Ok,
    /// Jobs run, but less well.
    Warning,
    /// Jobs do not run, or some do not.
    Problem,
}

impl Finding {
    pub(crate) fn new(level: Level, topic: &str, text: impl Into<String>) -> Finding {
        Finding {
            level,
            topic: topic.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        };
        write!(f, "  {level:<8} {:<13} {}", self.topic, self.text)
    }
}

/// Where a host listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) addresses: Vec<SocketAddr>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(SocketAddr::to_string).collect();
        f.write_str(&addresses.join(", "))
    }
}
