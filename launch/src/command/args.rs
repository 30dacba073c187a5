//! The command line.
//!
//! `mpiexec [options] program [arguments] [: [options] program [arguments]]...`. Options may have
//! one dash or two, and their value in the next word or after `=`. What follows a program is its
//! own, up to a word `:`.

use super::allocation::Found;
use super::environment::{Environment, Inherit};
use super::hosts::Entry;
use super::options::{Opt, Values};
use super::{allocation, foreign, hosts, options};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(JobRequest),
    /// Look at the hosts of a job without programs.
    Doctor(JobRequest),
    Help,
    Version,
}

/// A command line that cannot be carried out: a sentence that says why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) String);

/// The job as asked for.
#[derive(Debug, Default)]
pub(crate) struct JobRequest {
    pub(crate) programs: Vec<ProgramRequest>,
    /// What holds for all programs.
    pub(crate) environment: Environment,
    /// Whether each line of output begins with its rank.
    pub(crate) label: bool,
    /// `None`: not said.
    pub(crate) bind: Option<Bind>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stdin: Stdin,
    /// Ranks for each host, instead of its slots.
    pub(crate) per_host: Option<u32>,
    /// Whether more ranks than slots are as wanted.
    pub(crate) oversubscribe: bool,
    pub(crate) print_map: bool,
    pub(crate) remote: RemoteChoice,
    /// What is odd about the request but no reason to refuse it.
    pub(crate) warnings: Vec<String>,
}

/// How to reach other hosts, as far as people choose.
#[derive(Clone, Debug, Default)]
pub(crate) struct RemoteChoice {
    /// A program that takes ssh's place.
    pub(crate) launcher: Option<OsString>,
    /// What stands first among its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Where Ferrite is installed on the other hosts.
    pub(crate) prefix: Option<PathBuf>,
    pub(crate) width: Option<u32>,
}

/// One of the programs.
#[derive(Debug, Default)]
pub(crate) struct ProgramRequest {
    /// Ranks; `None`: not said.
    pub(crate) count: Option<u32>,
    /// The program as typed, and its arguments.
    pub(crate) words: Vec<OsString>,
    pub(crate) environment: Environment,
    pub(crate) directory: Option<PathBuf>,
    /// Where it may run; `None`: not said.
    pub(crate) hosts: Option<Vec<Entry>>,
}

/// What a rank is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Bind {
    #[default]
    None,
    Core,
}

/// Which rank has mpiexec's standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stdin {
    None,
    Rank(u32),
}

impl Default for Stdin {
    fn default() -> Stdin {
        Stdin::Rank(0)
    }
}

/// Reads the command line, without the name of mpiexec itself. `variable` looks up mpiexec's own
/// environment.
pub(crate) fn parse(
    words: Vec<OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, Usage> {
    let mut job = JobRequest::default();
    let limit = |name: &&'static str| Some((*name, variable(name).filter(|l| !l.is_empty())?));
    if let Some((name, limit)) = foreign::TIMEOUTS.iter().find_map(limit) {
        job.timeout = Some(seconds(name, &limit)?);
    }
    let mut hosts: Option<Vec<Entry>> = None;
    let mut doctor = false;
    for section in words.split(|word| word == ":") {
        let mut section = Section {
            words: section.iter(),
            variable: &variable,
            program: ProgramRequest::default(),
        };
        while let Some(option) = section.next_option() {
            let option = option?;
            doctor |= option.option == Opt::Doctor;
            if let Some(instead) = section.apply(option, &mut job)? {
                return Ok(instead);
            }
        }
        if doctor {
            return section.doctor(job);
        }
        // A program without hosts of its own shares those of the one before.
        match &section.program.hosts {
            Some(own) => hosts = Some(own.clone()),
            None => {
                if hosts.is_none() {
                    hosts = default_hosts(&variable, &mut job)?;
                }
                section.program.hosts = hosts.clone();
            }
        }
        section.program.words = section.words.cloned().collect();
        if section.program.words.is_empty() {
            return Err(Usage(
                match (words.is_empty(), words.iter().any(|word| word == ":")) {
                    (false, true) => "no program to run on one side of ':'".into(),
                    _ => "no program to run: mpiexec -n RANKS PROGRAM [ARGUMENTS] (all options: \
                    mpiexec --help)"
                        .into(),
                },
            ));
        }
        job.programs.push(section.program);
    }
    foreign::read(&mut job, &variable);
    Ok(Command::Run(job))
}

/// Variables that name a hostfile for launchers of other implementations: whoever sets one wants it
/// obeyed.
const HOST_FILES: &[&str] = &[
    "HYDRA_HOST_FILE",
    "I_MPI_HYDRA_HOST_FILE",
    "OMPI_MCA_orte_default_hostfile",
    "OMPI_MCA_hostfile",
    "PRTE_MCA_prte_default_hostfile",
];

/// The hosts of a job that names none itself.
fn default_hosts(
    variable: &impl Fn(&str) -> Option<OsString>,
    job: &mut JobRequest,
) -> Result<Option<Vec<Entry>>, Usage> {
    let set = |name: &&str| variable(name).filter(|path| !path.is_empty());
    if let Some((name, path)) = HOST_FILES.iter().find_map(|name| Some((name, set(name)?))) {
        return read_hosts(name, &path).map(Some);
    }
    match allocation::find(variable) {
        Found::Nothing => Ok(None),
        Found::Hosts(hosts) => Ok(Some(hosts)),
        Found::One(places) => {
            // A job on one machine may have as many ranks as it likes, without a word.
            job.oversubscribe = true;
            Ok(Some(vec![Entry {
                name: "localhost".into(),
                slots: Some(places),
                most: None,
            }]))
        }
        Found::Absent(sentence) => {
            job.warnings.push(sentence);
            Ok(None)
        }
        Found::Unusable(sentence) => Err(Usage(sentence)),
    }
}

/// `of`: what has named the file.
fn read_hosts(of: &str, path: &OsStr) -> Result<Vec<Entry>, Usage> {
    let shown = path.to_string_lossy();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Usage(format!("{of}: the hostfile {shown} cannot be read: {e}")))?;
    let entries = hosts::parse_file(&text).map_err(|e| Usage(format!("{shown}:{e}")))?;
    match entries.is_empty() {
        true => Err(Usage(format!("{of}: the hostfile {shown} names no host"))),
        false => Ok(entries),
    }
}

/// An option as typed.
struct Typed {
    /// With its dashes.
    spelling: String,
    option: Opt,
    values: Values,
    /// What stands after `=`.
    attached: Option<OsString>,
}

/// The words between two `:`.
struct Section<'a, F> {
    words: std::slice::Iter<'a, OsString>,
    variable: F,
    program: ProgramRequest,
}

impl<F: Fn(&str) -> Option<OsString>> Section<'_, F> {
    /// The next word if it is an option. Skips a `--`, after which none follows.
    fn next_option(&mut self) -> Option<Result<Typed, Usage>> {
        let word = self.words.as_slice().first()?;
        let bytes = word.as_bytes();
        if bytes == b"--" {
            self.words.next();
            return None;
        }
        let name = bytes
            .strip_prefix(b"--")
            .or(bytes.strip_prefix(b"-"))
            .filter(|name| !name.is_empty())?;
        self.words.next();
        let mut parts = name.splitn(2, |&b| b == b'=');
        let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let attached = parts.next().map(|value| OsString::from_vec(value.to_vec()));
        let dashes = if bytes.starts_with(b"--") { "--" } else { "-" };
        Some(match options::find(&name) {
            Ok((values, option)) => Ok(Typed {
                spelling: format!("{dashes}{name}"),
                option,
                values,
                attached,
            }),
            Err(sentence) => Err(Usage(sentence)),
        })
    }

    /// Carries out one option. Returns what to do instead of running a job.
    fn apply(&mut self, typed: Typed, job: &mut JobRequest) -> Result<Option<Command>, Usage> {
        let (values, option) = (typed.values, typed.option);
        if values == Values::None && typed.attached.is_some() {
            return Err(Usage(format!("{} takes no value", typed.spelling)));
        }
        let program = &mut self.program;
        match option {
            Opt::Help => return Ok(Some(Command::Help)),
            Opt::Version => return Ok(Some(Command::Version)),
            Opt::Label => job.label = true,
            Opt::EnvAll => program.environment.inherit = Some(Inherit::All),
            Opt::EnvNone => program.environment.inherit = Some(Inherit::Nothing),
            Opt::GlobalEnvAll => job.environment.inherit = Some(Inherit::All),
            Opt::GlobalEnvNone => job.environment.inherit = Some(Inherit::Nothing),
            Opt::Oversubscribe => job.oversubscribe = true,
            Opt::PrintMap => job.print_map = true,
            Opt::Doctor | Opt::Nothing => {}
            Opt::Env => {
                let variable = self.take_variable(typed)?;
                self.program.environment.set.push(variable);
            }
            Opt::GlobalEnv => job.environment.set.push(self.take_variable(typed)?),
            _ => {
                let spelling = typed.spelling.clone();
                let value = self.take(typed)?;
                self.apply_value(option, &spelling, &value, job)?;
            }
        }
        Ok(None)
    }

    fn apply_value(
        &mut self,
        option: Opt,
        spelling: &str,
        value: &OsStr,
        job: &mut JobRequest,
    ) -> Result<(), Usage> {
        let program = &mut self.program;
        let wrong = |expected: &str| {
            Err(Usage(format!(
                "{spelling} {}: expected {expected}",
                value.to_string_lossy()
            )))
        };
        let text = value.to_str().unwrap_or_default();
        match option {
            Opt::Count => match text.parse() {
                Ok(count) if count > 0 => program.count = Some(count),
                _ => return wrong("a number of ranks, at least 1"),
            },
            Opt::EnvList => program.environment.inherit = Some(Inherit::List(names(value))),
            Opt::GlobalEnvList => job.environment.inherit = Some(Inherit::List(names(value))),
            Opt::Export => {
                let variable = match assignment(value) {
                    Some(variable) => variable,
                    None => match (self.variable)(text) {
                        Some(now) => (value.to_owned(), now),
                        None => {
                            job.warnings.push(format!(
                                "{spelling} {text}: that variable is not set \
                                here, so it is not passed"
                            ));
                            return Ok(());
                        }
                    },
                };
                program.environment.set.push(variable);
            }
            Opt::Directory => program.directory = Some(PathBuf::from(value)),
            Opt::Bind => {
                let bind = match text {
                    "core" => Bind::Core,
                    "none" => Bind::None,
                    _ => return wrong("core or none"),
                };
                self.hold(spelling, job.bind.replace(bind), bind, job);
            }
            Opt::Timeout => job.timeout = Some(seconds(spelling, value)?),
            Opt::Stdin => match (text, text.parse()) {
                ("none", _) => job.stdin = Stdin::None,
                (_, Ok(rank)) => job.stdin = Stdin::Rank(rank),
                _ => return wrong("the number of one rank, or none"),
            },
            Opt::MapBy => {
                let text = text.to_ascii_lowercase();
                let policy = text.strip_suffix(":oversubscribe");
                job.oversubscribe |= policy.is_some();
                match map_by(policy.unwrap_or(&text)) {
                    Some(Some(count)) => {
                        self.hold(spelling, job.per_host.replace(count), count, job);
                    }
                    Some(None) => {}
                    None => return wrong("slot, core, node or ppr:N:node"),
                }
            }
            Opt::PerHost => match text.parse::<u32>() {
                Ok(count) if count > 0 => {
                    self.hold(spelling, job.per_host.replace(count), count, job);
                }
                _ => return wrong("a number of ranks, at least 1"),
            },
            Opt::Hosts => match hosts::parse_list(text) {
                Ok(entries) => program.hosts.get_or_insert_default().extend(entries),
                Err(sentence) => return Err(Usage(format!("{spelling} {text}: {sentence}"))),
            },
            Opt::HostFile => {
                let entries = read_hosts(spelling, value)?;
                program.hosts.get_or_insert_default().extend(entries);
            }
            Opt::Launcher if text == "ssh" => {}
            Opt::Launcher => {
                return wrong("ssh; -launcher-exec names a program that takes its place");
            }
            Opt::LauncherExec => job.remote.launcher = Some(value.to_owned()),
            Opt::Prefix => job.remote.prefix = Some(PathBuf::from(value)),
            Opt::TreeWidth => match text.parse::<u32>() {
                Ok(width) if width > 0 => job.remote.width = Some(width),
                _ => return wrong("a number of hosts, at least 1"),
            },
            _ => unreachable!("options without a value are carried out before"),
        }
        Ok(())
    }

    /// Takes note that an option of all programs has a new value. One program's is not what
    /// somebody wants who gives it two.
    fn hold<T: PartialEq>(&self, spelling: &str, before: Option<T>, now: T, job: &mut JobRequest) {
        if before.is_some_and(|before| before != now) {
            job.warnings.push(format!(
                "warning: {spelling} holds for all programs of a job, and the last one given counts"
            ));
        }
    }

    /// The hosts that are to be looked at: those of options, and those that stand where a program
    /// would.
    fn doctor(self, mut job: JobRequest) -> Result<Command, Usage> {
        let mut named = self.program.hosts.unwrap_or_default();
        for word in self.words {
            let entries = hosts::parse_list(&word.to_string_lossy());
            named.extend(entries.map_err(|what| Usage(format!("--doctor: {what}")))?);
        }
        let hosts = match named.is_empty() {
            true => default_hosts(&self.variable, &mut job)?,
            false => Some(named),
        };
        foreign::read(&mut job, &self.variable);
        job.programs = vec![ProgramRequest {
            hosts,
            ..ProgramRequest::default()
        }];
        Ok(Command::Doctor(job))
    }

    /// The option's only value.
    fn take(&mut self, typed: Typed) -> Result<OsString, Usage> {
        match typed.attached.or_else(|| self.words.next().cloned()) {
            Some(value) => Ok(value),
            None => Err(Usage(format!("{} needs a value", typed.spelling))),
        }
    }

    /// `NAME VALUE` or `NAME=VALUE`.
    fn take_variable(&mut self, typed: Typed) -> Result<(OsString, OsString), Usage> {
        let spelling = typed.spelling.clone();
        let first = self.take(typed)?;
        if let Some(variable) = assignment(&first) {
            return Ok(variable);
        }
        match self.words.next() {
            Some(value) if !first.is_empty() && !first.as_bytes().starts_with(b"=") => {
                Ok((first, value.clone()))
            }
            _ => Err(Usage(format!("{spelling} needs NAME VALUE"))),
        }
    }
}

/// Ranks for each host, if it says so; `None`: not understood.
fn map_by(text: &str) -> Option<Option<u32>> {
    match text {
        "" | "slot" | "core" => Some(None),
        "node" => Some(Some(1)),
        other => {
            let count = other.strip_prefix("ppr:")?.strip_suffix(":node")?;
            Some(Some(count.parse().ok().filter(|&count| count > 0)?))
        }
    }
}

fn assignment(word: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = word.as_bytes();
    let at = bytes.iter().position(|&b| b == b'=').filter(|&at| at > 0)?;
    let part = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((part(&bytes[..at]), part(&bytes[at + 1..])))
}

fn names(list: &OsStr) -> Vec<OsString> {
    list.as_bytes()
        .split(|&b| b == b',')
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect()
}

fn seconds(of: &str, value: &OsStr) -> Result<Duration, Usage> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| {
            Usage(format!(
                "{of} {}: expected seconds, more than 0",
                value.to_string_lossy()
            ))
        })
}

#[cfg(test)]
mod tests;
