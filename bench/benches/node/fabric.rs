//! What can be between two processes of this machine, and whether a build has it.

use std::path::Path;
use std::process::{Command, Stdio};

/// The variable that chooses a fabric.
pub(crate) const VARIABLE: &str = "FERRITE_TRANSPORT";

/// A way from one process to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fabric {
    /// What a job uses when nobody says anything.
    SharedMemory,
    Tcp,
}

pub(crate) const FABRICS: [Fabric; 2] = [Fabric::SharedMemory, Fabric::Tcp];

impl Fabric {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SharedMemory => "shared memory",
            Self::Tcp => "TCP (loopback)",
        }
    }

    /// Its name in [`VARIABLE`] and in what `ferrite-info` prints.
    fn transport(self) -> &'static str {
        match self {
            Self::SharedMemory => "shm",
            Self::Tcp => "tcp",
        }
    }

    /// Makes a job use it, whatever the caller's environment says.
    pub(crate) fn choose(self, job: &mut Command) {
        match self {
            Self::SharedMemory => job.env_remove(VARIABLE),
            Self::Tcp => job.env(VARIABLE, self.transport()),
        };
    }

    /// Whether the build in `prefix` has it here; why not, otherwise. A build that does not know
    /// the variable would use another fabric without a word, so the build is asked.
    pub(crate) fn available(self, prefix: &Path) -> Result<(), String> {
        let program = prefix.join("bin/ferrite-info");
        let told = Command::new(&program)
            .env_remove("LD_LIBRARY_PATH")
            .env_remove(VARIABLE)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        match state(&String::from_utf8_lossy(&told.stdout), self.transport()) {
            Some("available") => Ok(()),
            Some(state) => Err(state.to_owned()),
            None => Err(format!(
                "this build has no {} (says {})",
                self.transport(),
                program.display()
            )),
        }
    }
}

/// What the lines under `Transports` say of a transport.
fn state<'a>(info: &'a str, transport: &str) -> Option<&'a str> {
    let section = info.lines().skip_while(|line| *line != "Transports");
    section
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .find_map(|line| {
            let (name, state) = line.trim().split_once(' ')?;
            (name == transport).then_some(state.trim())
        })
}
