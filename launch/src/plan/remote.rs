//! How an agent is started on another host: the command of the remote shell, and what its failures
//! mean.
//!
//! The command line holds nothing of the job: what an agent needs comes to it by standard input.

use crate::command::RemoteChoice;
use crate::process::{CANNOT_START, End, NOT_FOUND};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first argument of an agent.
pub(crate) const AGENT: &str = "--ferrite-agent";

/// The program that has a remote shell's place unless another is named.
const SHELL: &str = "ssh";

/// Hosts that mpiexec, and each agent, starts agents on before it leaves that to those.
const WIDTH: u32 = 16;

/// How long a host may take to be reached.
const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds that one attempt to connect may take.
const CONNECT: &str = "ConnectTimeout=10";

/// How agents are started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remote {
    /// The remote shell and the arguments that come first.
    shell: Vec<OsString>,
    /// mpiexec on the other hosts.
    program: OsString,
    /// Agents that one process starts itself.
    pub(crate) width: u32,
    /// How long a host may take to be reached.
    pub(crate) patience: Duration,
}

impl Remote {
    /// From the command line, and after that from the environment. The error is a sentence.
    pub(crate) fn new(
        choice: &RemoteChoice,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Remote, String> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let mut shell = match (&choice.launcher, variable("FERRITE_SSH")) {
            (Some(program), _) => vec![program.clone()],
            (None, Some(words)) => split(&words)?,
            (None, None) => vec![SHELL.into()],
        };
        shell.extend_from_slice(&choice.arguments);
        let prefix = choice.prefix.clone();
        let program = match prefix.or(variable("FERRITE_PREFIX").map(PathBuf::from)) {
            Some(prefix) if prefix.is_relative() => {
                return Err(format!(
                    "the prefix {} has to be a path from the root, for it is one on other hosts",
                    prefix.display()
                ));
            }
            Some(prefix) => prefix.join("bin/mpiexec"),
            None => std::env::current_exe().map_err(|e| {
                format!("mpiexec cannot find its own path ({e}); give it with -prefix")
            })?,
        };
        let patience = match variable("FERRITE_START_TIMEOUT") {
            Some(value) => patience(&value)?,
            None => PATIENCE,
        };
        Ok(Remote {
            shell,
            program: program.into_os_string(),
            width: choice.width.unwrap_or(WIDTH),
            patience,
        })
    }

    /// The command that starts an agent on a host.
    pub(crate) fn command(&self, host: &str) -> std::process::Command {
        let mut command = std::process::Command::new(&self.shell[0]);
        command.args(&self.shell[1..]);
        command.args(["-x", "-o", "BatchMode=yes", "-o", CONNECT]);
        command.arg(host).arg(self.remote_line());
        command
    }

    /// What the login shell of the other host executes; `exec` and quotes are the same in all of
    /// them.
    fn remote_line(&self) -> OsString {
        let mut line = OsString::from("exec ");
        line.push(quoted(&self.program));
        line.push(" ");
        line.push(AGENT);
        line
    }

    /// The remote shell's name.
    pub(crate) fn shell(&self) -> String {
        let name = self.shell.first().map(Path::new).and_then(Path::file_name);
        name.unwrap_or(OsStr::new(SHELL))
            .to_string_lossy()
            .into_owned()
    }

    /// What the end of a remote shell means before the agent has answered.
    pub(crate) fn diagnose(&self, end: End, errors: &[String]) -> Verdict {
        let shell = self.shell();
        let program = Path::new(&self.program).display();
        let text = errors.join("\n").to_ascii_lowercase();
        let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        let last = errors
            .last()
            .map_or(String::new(), |line| format!(" ({line})"));
        let fatal = |sentence: String, status| Verdict::Fatal { sentence, status };
        match end {
            _ if text.contains(UNRUN) => fatal(
                format!(
                    "{shell} cannot be run here{last}: install OpenSSH's client, or name another \
                     program with -launcher-exec"
                ),
                NOT_FOUND,
            ),
            End::Code(127 | 126) => fatal(absent(&program), NOT_FOUND),
            End::Code(1) if has(&["not found", "no such file"]) => {
                fatal(absent(&program), NOT_FOUND)
            }
            End::Code(255)
                if has(&[
                    "permission denied",
                    "authentication failures",
                    "no supported authentication",
                ]) =>
            {
                fatal(
                    format!(
                        "{shell} is refused{last}: mpiexec needs a login without a password there; \
                         put a key into its authorized_keys (ssh-copy-id)"
                    ),
                    CANNOT_START,
                )
            }
            End::Code(255)
                if has(&[
                    "host key verification failed",
                    "host identification has changed",
                ]) =>
            {
                fatal(
                    format!(
                        "{shell} does not trust its key ({}): log in once by hand, or add the key \
                         to known_hosts",
                        errors.first().unwrap_or(&String::new())
                    ),
                    CANNOT_START,
                )
            }
            End::Code(255)
                if has(&[
                    "bad configuration option",
                    "unknown option",
                    "usage: ",
                    "bad owner or permissions",
                ]) =>
            {
                fatal(format!("{shell} fails{last}"), CANNOT_START)
            }
            End::Code(255) => Verdict::Again(match errors.last() {
                Some(line) => line.clone(),
                None => format!("{shell} has failed without a word"),
            }),
            end => fatal(
                format!("its agent {end} before it answered{last}"),
                CANNOT_START,
            ),
        }
    }
}

fn absent(program: &impl std::fmt::Display) -> String {
    format!(
        "{program} is not there: install Ferrite at the same path, or name where it is with -prefix"
    )
}

/// What a remote shell that cannot be executed leaves.
pub(crate) const UNRUN: &str = "cannot execute the remote shell";

/// What the end of a remote shell means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The host may come: names, networks and services take their time. What was said about it.
    Again(String),
    /// It will not.
    Fatal { sentence: String, status: u8 },
}

fn split(words: &OsStr) -> Result<Vec<OsString>, String> {
    let shown = words.to_string_lossy();
    let split = words.to_str().map(shell_words::split);
    match split {
        Some(Ok(words)) if !words.is_empty() => Ok(words.into_iter().map(Into::into).collect()),
        _ => Err(format!(
            "FERRITE_SSH={shown}: expected a command with arguments, quoted as for a shell"
        )),
    }
}

fn patience(value: &OsStr) -> Result<Duration, String> {
    let seconds = value
        .to_str()
        .and_then(|text| text.trim().parse::<f64>().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero() && *time < Duration::from_secs(1 << 20))
        .ok_or_else(|| {
            format!(
                "FERRITE_START_TIMEOUT={}: expected seconds, more than 0",
                value.to_string_lossy()
            )
        })
}

/// As every shell takes it.
fn quoted(path: &OsStr) -> OsString {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+,@%:=".contains(b);
    if path.as_bytes().iter().all(plain) {
        return path.to_owned();
    }
    let mut bytes = b"'".to_vec();
    for &byte in path.as_bytes() {
        match byte {
            b'\'' => bytes.extend(b"'\\''"),
            byte => bytes.push(byte),
        }
    }
    bytes.push(b'\'');
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(choice: &RemoteChoice, variables: &[(&str, &str)]) -> Result<Remote, String> {
        Remote::new(choice, |name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.into())
        })
    }

    fn words(remote: &Remote) -> Vec<String> {
        let command = remote.command("h2");
        let program = std::iter::once(command.get_program());
        program
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn the_command_holds_nothing_of_the_job() {
        let choice = RemoteChoice {
            prefix: Some("/opt/fer rite".into()),
            ..RemoteChoice::default()
        };
        let line = "exec '/opt/fer rite/bin/mpiexec' --ferrite-agent";
        let fixed = ["-x", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "h2"];
        let expected = |first: &[&str]| {
            let words = first.iter().chain(&fixed).chain([&line]);
            words.map(|word| word.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(words(&remote(&choice, &[]).unwrap()), expected(&["ssh"]));
        let ssh = [("FERRITE_SSH", "ssh -p 22 -i 'my key'")];
        assert_eq!(
            words(&remote(&choice, &ssh).unwrap()),
            expected(&["ssh", "-p", "22", "-i", "my key"])
        );
        let choice = RemoteChoice {
            launcher: Some("/x/my ssh".into()),
            ..choice
        };
        assert_eq!(
            words(&remote(&choice, &ssh).unwrap()),
            expected(&["/x/my ssh"])
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let choice = RemoteChoice::default();
        for (variable, value, says) in [
            ("FERRITE_SSH", "ssh 'x", "quoted as for a shell"),
            ("FERRITE_PREFIX", "opt", "a path from the root"),
            ("FERRITE_START_TIMEOUT", "soon", "expected seconds"),
            ("FERRITE_START_TIMEOUT", "0", "expected seconds"),
        ] {
            let sentence = remote(&choice, &[(variable, value)]).unwrap_err();
            assert!(sentence.contains(says), "{sentence}");
        }
        let soon = remote(&choice, &[("FERRITE_START_TIMEOUT", "2.5")]).unwrap();
        assert_eq!(soon.patience, Duration::from_millis(2500));
    }

    #[test]
    fn failures_of_ssh_are_told_apart() {
        let remote = remote(&RemoteChoice::default(), &[]).unwrap();
        for later in [
            "ssh: Could not resolve hostname h2: Name or service not known",
            "ssh: connect to host h2 port 22: Connection refused",
            "ssh: connect to host h2 port 22: No route to host",
        ] {
            let verdict = remote.diagnose(End::Code(255), &[later.into()]);
            assert_eq!(verdict, Verdict::Again(later.into()));
        }
        for (end, line, says) in [
            (
                255,
                "me@h2: Permission denied (publickey).",
                "without a password",
            ),
            (255, "Host key verification failed.", "known_hosts"),
            (
                255,
                "command-line: line 0: Bad configuration option: x",
                "ssh fails",
            ),
            (
                127,
                "sh: 1: exec: /x: not found",
                "is not there: install Ferrite",
            ),
            (1, "/x: Command not found.", "is not there: install Ferrite"),
            (
                3,
                "no disk",
                "exited with code 3 before it answered (no disk)",
            ),
        ] {
            match remote.diagnose(End::Code(end), &[line.into()]) {
                Verdict::Fatal { sentence, .. } => assert!(sentence.contains(says), "{sentence}"),
                again => panic!("{line}: {again:?}"),
            }
        }
    }
}
