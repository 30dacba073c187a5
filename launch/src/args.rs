//! The command line.
//!
//! `mpiexec [options] program [arguments] [: [options] program [arguments]]...`. Options may have one dash or two, and their value
//! in the next word or after `=`. What follows a program is its own, up to a word `:`.

use crate::environment::{Environment, Inherit};
use crate::hosts::{self, Entry};
use crate::options::{self, Opt, Values};
use crate::remote;
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
    pub(crate) bind: Bind,
    pub(crate) timeout: Option<Duration>,
    pub(crate) stdin: Stdin,
    /// Ranks for each host, instead of its slots.
    pub(crate) per_host: Option<u32>,
    /// Whether more ranks than slots are as wanted.
    pub(crate) oversubscribe: bool,
    pub(crate) print_map: bool,
    pub(crate) remote: remote::Choice,
    /// What is odd about the request but no reason to refuse it.
    pub(crate) warnings: Vec<String>,
}

/// One of the programs.
#[derive(Debug, Default)]
pub(crate) struct ProgramRequest {
    /// Ranks.
    pub(crate) count: u32,
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

/// Reads the command line, without the name of mpiexec itself. `variable` looks up mpiexec's own environment.
pub(crate) fn parse(
    words: Vec<OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, Usage> {
    let mut job = JobRequest::default();
    if let Some(limit) = variable("MPIEXEC_TIMEOUT").filter(|limit| !limit.is_empty()) {
        job.timeout = Some(seconds("MPIEXEC_TIMEOUT", &limit)?);
    }
    let mut hosts = default_hosts(&variable)?;
    let mut doctor = false;
    for section in words.split(|word| word == ":") {
        let mut section = Section {
            words: section.iter(),
            variable: &variable,
            program: ProgramRequest {
                count: 1,
                ..ProgramRequest::default()
            },
        };
        while let Some(option) = section.next_option() {
            let option = option?;
            doctor |= option.option == Opt::Doctor;
            if let Some(instead) = section.apply(option, &mut job)? {
                return Ok(instead);
            }
        }
        if doctor {
            return section.doctor(hosts, job);
        }
        // A program without hosts of its own shares those of the one before.
        match &section.program.hosts {
            Some(own) => hosts = Some(own.clone()),
            None => section.program.hosts = hosts.clone(),
        }
        section.program.words = section.words.cloned().collect();
        if section.program.words.is_empty() {
            return Err(Usage(match (words.is_empty(), words.iter().any(|word| word == ":")) {
                (false, true) => "no program to run on one side of ':'".into(),
                _ => "no program to run: mpiexec -n RANKS PROGRAM [ARGUMENTS] (all options: mpiexec --help)".into(),
            }));
        }
        job.programs.push(section.program);
    }
    check(job)
}

/// What cannot be judged before all programs are known.
fn check(job: JobRequest) -> Result<Command, Usage> {
    let ranks = job.programs.iter().map(|p| u64::from(p.count)).sum::<u64>();
    if ranks > u64::from(MAX_RANKS) {
        return Err(Usage(format!(
            "{ranks} ranks are more than the {MAX_RANKS} that a job can have"
        )));
    }
    match job.stdin {
        Stdin::Rank(rank) if u64::from(rank) >= ranks => Err(Usage(format!(
            "-stdin {rank}: the job has ranks 0 to {} only",
            ranks - 1
        ))),
        _ => Ok(Command::Run(job)),
    }
}

/// More processes than any job has had.
const MAX_RANKS: u32 = 1 << 20;

/// Variables that name a hostfile for launchers of other implementations: whoever sets one wants it obeyed.
const HOST_FILES: &[&str] = &[
    "HYDRA_HOST_FILE",
    "I_MPI_HYDRA_HOST_FILE",
    "OMPI_MCA_orte_default_hostfile",
    "PRTE_MCA_prte_default_hostfile",
];

fn default_hosts(
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Vec<Entry>>, Usage> {
    let set = |name: &&str| variable(name).filter(|path| !path.is_empty());
    match HOST_FILES.iter().find_map(|name| Some((name, set(name)?))) {
        Some((name, path)) => read_hosts(name, &path).map(Some),
        None => Ok(None),
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
                Ok(count) if count > 0 => program.count = count,
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
                            job.warnings.push(format!("{spelling} {text}: that variable is not set here, so it is not passed"));
                            return Ok(());
                        }
                    },
                };
                program.environment.set.push(variable);
            }
            Opt::Directory => program.directory = Some(PathBuf::from(value)),
            Opt::Bind => match text {
                "core" => job.bind = Bind::Core,
                "none" => job.bind = Bind::None,
                _ => return wrong("core or none"),
            },
            Opt::Timeout => job.timeout = Some(seconds(spelling, value)?),
            Opt::Stdin => match (text, text.parse()) {
                ("none", _) => job.stdin = Stdin::None,
                (_, Ok(rank)) => job.stdin = Stdin::Rank(rank),
                _ => return wrong("the number of one rank, or none"),
            },
            Opt::MapBy => match map_by(&text.to_ascii_lowercase()) {
                Some(per_host) => job.per_host = per_host.or(job.per_host),
                None => return wrong("slot, core, node or ppr:N:node"),
            },
            Opt::PerHost => match text.parse::<u32>() {
                Ok(count) if count > 0 => job.per_host = Some(count),
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

    /// The hosts that are to be looked at: those of options, and those that stand where a program would.
    fn doctor(self, default: Option<Vec<Entry>>, mut job: JobRequest) -> Result<Command, Usage> {
        let mut named = self.program.hosts.unwrap_or_default();
        for word in self.words {
            let entries = hosts::parse_list(&word.to_string_lossy());
            named.extend(entries.map_err(|what| Usage(format!("--doctor: {what}")))?);
        }
        let hosts = match named.is_empty() {
            true => default,
            false => Some(named),
        };
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
    match text.strip_suffix(":oversubscribe").unwrap_or(text) {
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
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Command, Usage> {
        parse(line.iter().map(OsString::from).collect(), |name| {
            (name == "HOME").then(|| "/home/me".into())
        })
    }

    fn job(line: &[&str]) -> JobRequest {
        match parsed(line) {
            Ok(Command::Run(job)) => job,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn refused(line: &[&str]) -> String {
        match parsed(line) {
            Err(Usage(sentence)) => sentence,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn spellings() {
        for line in [
            &["-n", "4", "a"][..],
            &["-np", "4", "a"],
            &["--n", "4", "a"],
            &["--np=4", "a"],
            &["-c=4", "a"],
            &["-n", "4", "--", "a"],
        ] {
            let job = job(line);
            assert_eq!(
                (job.programs[0].count, &job.programs[0].words),
                (4, &vec!["a".into()])
            );
        }
    }

    #[test]
    fn what_follows_the_program_is_its_own() {
        let job = job(&[
            "-n", "2", "./a", "-n", "3", "--help", ":", "-l", "--", "-b", "--", "-x",
        ]);
        assert_eq!(job.programs[0].words, ["./a", "-n", "3", "--help"]);
        assert_eq!(job.programs[1].words, ["-b", "--", "-x"]);
        assert_eq!(job.programs[1].count, 1);
        assert!(job.label);
    }

    #[test]
    fn environment_options() {
        let job = job(&[
            "-genv",
            "A",
            "1",
            "-genv",
            "B=2",
            "-env",
            "C",
            "x=y",
            "-x",
            "HOME",
            "-x",
            "D=4",
            "-genvlist",
            "P,Q",
            "-envnone",
            "a",
            ":",
            "-env=E=5",
            "b",
        ]);
        let set = |e: &Environment| -> Vec<String> {
            e.set
                .iter()
                .map(|(n, v)| format!("{}={}", n.to_str().unwrap(), v.to_str().unwrap()))
                .collect()
        };
        assert_eq!(set(&job.environment), ["A=1", "B=2"]);
        assert_eq!(
            set(&job.programs[0].environment),
            ["C=x=y", "HOME=/home/me", "D=4"]
        );
        assert_eq!(set(&job.programs[1].environment), ["E=5"]);
        assert_eq!(
            job.environment.inherit,
            Some(Inherit::List(vec!["P".into(), "Q".into()]))
        );
        assert_eq!(job.programs[0].environment.inherit, Some(Inherit::Nothing));
        assert_eq!(job.programs[1].environment.inherit, None);
    }

    #[test]
    fn a_variable_that_is_not_set_cannot_be_passed() {
        let job = job(&["-x", "NOT_SET", "a"]);
        assert!(job.programs[0].environment.set.is_empty());
        assert_eq!(
            job.warnings,
            ["-x NOT_SET: that variable is not set here, so it is not passed"]
        );
    }

    #[test]
    fn limits_and_places() {
        let job = job(&[
            "-timeout",
            "1.5",
            "--bind-to",
            "core",
            "-s",
            "none",
            "-wdir",
            "/tmp",
            "a",
        ]);
        assert_eq!(job.timeout, Some(Duration::from_millis(1500)));
        assert_eq!((job.bind, job.stdin), (Bind::Core, Stdin::None));
        assert_eq!(job.programs[0].directory, Some("/tmp".into()));
        let limited = parse(vec!["a".into()], |name| {
            (name == "MPIEXEC_TIMEOUT").then(|| "3".into())
        });
        assert!(
            matches!(limited, Ok(Command::Run(job)) if job.timeout == Some(Duration::from_secs(3)))
        );
    }

    #[test]
    fn options_that_mean_nothing_here() {
        let line = [
            "--oversubscribe",
            "--allow-run-as-root",
            "-ppn",
            "2",
            "--map-by",
            "slot:OVERSUBSCRIBE",
            "a",
        ];
        assert_eq!(job(&line).programs[0].words, ["a"]);
        assert!(refused(&["--map-by", "ppr:2:socket", "a"]).contains("slot, core, node or"));
    }

    #[test]
    fn hosts_hold_for_the_programs_that_follow() {
        let of = |job: &JobRequest| -> Vec<Option<usize>> {
            let programs = job.programs.iter();
            programs.map(|p| p.hosts.as_ref().map(Vec::len)).collect()
        };
        let three = job(&["a", ":", "-hosts", "x,y:2", "b", ":", "c"]);
        assert_eq!(of(&three), [None, Some(2), Some(2)]);
        let own = job(&["-H", "x", "-host=y", "a", ":", "-H", "z", "b"]);
        assert_eq!(of(&own), [Some(2), Some(1)]);
        assert_eq!(job(&["--map-by", "node", "a"]).per_host, Some(1));
        assert_eq!(job(&["--map-by", "ppr:3:node", "a"]).per_host, Some(3));
        assert_eq!(
            job(&["-ppn", "2", "--map-by", "slot", "a"]).per_host,
            Some(2)
        );
    }

    #[test]
    fn hostfiles_are_read_and_their_errors_name_file_and_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"x slots=2\ny\n").unwrap();
        let path = file.path().to_str().unwrap().to_string();
        for option in ["-f", "-hostfile", "--machinefile"] {
            let job = job(&[option, &path, "a"]);
            assert_eq!(job.programs[0].hosts.as_ref().map(Vec::len), Some(2));
        }
        let variable = |name: &str| (name == "HYDRA_HOST_FILE").then(|| path.clone().into());
        match parse(vec!["a".into()], variable) {
            Ok(Command::Run(job)) => assert!(job.programs[0].hosts.is_some()),
            other => panic!("{other:?}"),
        }
        std::io::Write::write_all(&mut file, b"z 4\n").unwrap();
        assert!(refused(&["-f", &path, "a"]).starts_with(&format!("{path}:3: \"4\"")));
        assert!(refused(&["-f", "/no/such", "a"]).contains("/no/such cannot be read"));
    }

    #[test]
    fn a_doctor_takes_hosts_where_a_program_would_stand() {
        let looked = |line: &[&str]| match parsed(line) {
            Ok(Command::Doctor(job)) => job.programs[0].hosts.as_ref().map_or(0, Vec::len),
            other => panic!("{line:?}: {other:?}"),
        };
        assert_eq!(looked(&["--doctor"]), 0);
        assert_eq!(looked(&["--doctor", "-hosts", "a,b", "c", "d,e"]), 5);
        assert!(refused(&["--doctor", "a:x"]).contains("no number of ranks"));
    }

    #[test]
    fn wrong_lines_are_answered() {
        for (line, says) in [
            (&[][..], "no program to run"),
            (&["-n", "2"], "no program to run"),
            (&["a", ":"], "':'"),
            (&[":", "a"], "':'"),
            (&["-n", "0", "a"], "at least 1"),
            (&["-n", "two", "a"], "-n two: expected a number"),
            (&["-n"], "-n needs a value"),
            (&["-env", "A"], "-env needs NAME VALUE"),
            (&["-bind-to", "socket", "a"], "core or none"),
            (&["-timeout", "-1", "a"], "more than 0"),
            (&["-timeout", "nan", "a"], "more than 0"),
            (&["-l=yes", "a"], "-l takes no value"),
            (&["-stdin", "all", "a"], "one rank, or none"),
            (&["-n", "2", "-s", "2", "a"], "ranks 0 to 1 only"),
            (&["-bindto", "core", "a"], "did you mean -bind-to?"),
            (&["-n", "4000000000", "a"], "more than"),
            (
                &["-hosts", "a,,b", "a"],
                "-hosts a,,b: a host's name is missing",
            ),
            (&["-ppn", "0", "a"], "at least 1"),
            (&["-launcher", "slurm", "a"], "expected ssh"),
            (&["-tree-width", "0", "a"], "at least 1"),
        ] {
            let sentence = refused(line);
            assert!(sentence.contains(says), "{line:?}: {sentence}");
        }
    }

    #[test]
    fn help_and_version_stand_before_everything_else() {
        assert!(matches!(parsed(&["--help"]), Ok(Command::Help)));
        assert!(matches!(parsed(&["-version", "-n"]), Ok(Command::Version)));
    }
}
