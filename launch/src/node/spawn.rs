//! Starting the ranks of a node: first a plan in which everything that can be wrong with a request
//! has been found, then one process per rank.

use crate::command;
use crate::command::Bind;
use crate::host::Cores;
use crate::plan::{self, Spec};
use crate::process::{CANNOT_START, NOT_EXECUTABLE, NOT_FOUND, Unstartable};
use crate::sys::{self, Become, Fork, Mask};
use rustix::fs::Access;
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Resource, Rlimit};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A node's share of a job that can be started, as far as one can tell before starting it.
pub(crate) struct Plan {
    /// By application number; `None`: no rank of this node runs it.
    programs: Vec<Option<Program>>,
    /// Its ranks, ascending, each with its application number.
    ranks: Vec<(u32, u32)>,
    /// Ranks of the job.
    size: u32,
    /// The node of each, where there are several; otherwise empty.
    nodes: Vec<u32>,
    cores: Option<Cores>,
    stdin: Option<u32>,
    /// Where mpiexec's standard input, output and error are.
    place: Place,
    /// Descriptor limit of the ranks; mpiexec's own has been raised.
    descriptors: Rlimit,
}

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// mpiexec's own machine. `label`: each line of output begins with its rank.
    Here { label: bool },
    /// Another one.
    Afar,
}

struct Program {
    /// Ranks of the whole job.
    count: u32,
    /// What to execute.
    path: PathBuf,
    /// As typed, with its arguments.
    words: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

/// A rank that has been started.
pub(crate) struct Started {
    pub(crate) pid: Pid,
    /// mpiexec's end of the dialogue. Does not block.
    pub(crate) channel: OwnedFd,
    /// Its standard output and error, unless they are mpiexec's own. Do not block.
    pub(crate) streams: Option<[OwnedFd; 2]>,
    /// Where to write its standard input, if it has mpiexec's and that is on another host. Does not
    /// block.
    pub(crate) input: Option<OwnedFd>,
}

impl Plan {
    /// Looks up programs and directories, and raises this process's descriptor limit to what the
    /// ranks need.
    pub(crate) fn new(spec: &Spec, node: u32, place: Place) -> Result<Plan, Unstartable> {
        let appnums = spec.appnums().zip(&spec.node_of);
        let ranks: Vec<(u32, u32)> = (0..)
            .zip(appnums)
            .filter(|(_, (_, of))| **of == node)
            .map(|(rank, (appnum, _))| (rank, appnum))
            .collect();
        let mut programs: Vec<Option<Program>> = Vec::new();
        for (number, program) in (0..).zip(&spec.programs) {
            let used = ranks.iter().any(|&(_, appnum)| appnum == number);
            programs.push(match used {
                true => Some(Program::new(program, &spec.folder, place)?),
                false => None,
            });
        }
        let cores = match spec.bind {
            Bind::None => None,
            Bind::Core => Some(Cores::allowed().map_err(|e| {
                cannot(
                    CANNOT_START,
                    format!("-bind-to core: the kernel does not tell mpiexec's processors: {e}"),
                )
            })?),
        };
        let descriptors = raise_descriptor_limit(ranks.len() as u64)?;
        Ok(Plan {
            programs,
            ranks,
            size: spec.size(),
            nodes: match spec.node_of.iter().any(|other| *other != spec.node_of[0]) {
                true => spec.node_of.clone(),
                false => Vec::new(),
            },
            cores,
            stdin: spec.stdin,
            place,
            descriptors,
        })
    }

    /// Its ranks, ascending.
    pub(crate) fn ranks(&self) -> &[(u32, u32)] {
        &self.ranks
    }

    /// Whether this is not mpiexec's own machine.
    pub(crate) fn is_afar(&self) -> bool {
        self.place == Place::Afar
    }

    /// The node of each rank of the job; empty if there is but one.
    pub(crate) fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// Ranks of the whole job.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// Ranks of the whole job that run the same program as some rank of this node.
    pub(crate) fn part(&self, appnum: u32) -> u32 {
        self.program(appnum).count
    }

    fn program(&self, appnum: u32) -> &Program {
        let program = self.programs[appnum as usize].as_ref();
        program.expect("every program that a rank of this node runs has been looked up")
    }

    /// Starts the rank with this number among those of the node.
    pub(crate) fn start(&self, local_rank: usize, mask: Mask) -> Result<Started, Unstartable> {
        let (rank, appnum) = self.ranks[local_rank];
        let program = self.program(appnum);
        let typed = &program.words[0];
        let failed = |what: &str, e: io::Error| {
            cannot(
                CANNOT_START,
                format!(
                    "cannot start rank {rank} ({}): {what}: {e}",
                    typed.to_string_lossy()
                ),
            )
        };
        let (channel, theirs) = socket_pair().map_err(|e| failed("no socket", e))?;
        let mut command = Command::new(&program.path);
        command.arg0(typed).args(&program.words[1..]).env_clear();
        command.envs(program.variables.iter().map(|(name, value)| (name, value)));
        // One socket, two names: what the program says first tells which dialogue it speaks.
        let descriptor = theirs.as_raw_fd().to_string();
        command.env(ferrite_client::wire::CHANNEL_VARIABLE, &descriptor);
        command.env("PMI_FD", &descriptor);
        command.env("PMI_RANK", rank.to_string());
        command.env("PMI_SIZE", self.size.to_string());
        command.env("MPI_LOCALRANKID", local_rank.to_string());
        command.env("MPI_LOCALNRANKS", self.ranks.len().to_string());
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        let mut input = None;
        if self.stdin != Some(rank) {
            // Opened here: the child has its own limit of descriptors by the time it would open it.
            let nothing = File::open("/dev/null").map_err(|e| failed("no /dev/null", e))?;
            command.stdin(nothing);
        } else if self.place == Place::Afar {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)
                .and_then(|(theirs, ours)| {
                    rustix::io::ioctl_fionbio(&ours, true)?;
                    Ok((theirs, ours))
                })
                .map_err(|e| failed("no pipe", e.into()))?;
            command.stdin(theirs);
            input = Some(ours);
        }
        let streams = if self.shares_output() {
            None
        } else {
            let (out, their_out) = output_pipe().map_err(|e| failed("no pipe", e))?;
            let (err, their_err) = output_pipe().map_err(|e| failed("no pipe", e))?;
            command.stdout(their_out).stderr(their_err);
            Some([out, err])
        };
        let launcher = rustix::process::getpid();
        match sys::fork().map_err(|e| failed(spawn_hint(&e), e))? {
            Fork::Parent(pid) => Ok(Started {
                pid,
                channel,
                streams,
                input,
            }),
            Fork::Child => {
                let cores = self.cores.as_ref();
                let this = Become {
                    mask,
                    launcher,
                    descriptors: self.descriptors,
                    cpus: cores.and_then(|cores| cores.of_rank(local_rank as u32)),
                };
                let failure = match this.it(&theirs) {
                    Ok(()) => command.exec(),
                    Err(e) => e,
                };
                // The parent has not waited for this: a child may be stopped at any time, mpiexec
                // may not.
                let errno = failure.raw_os_error().unwrap_or(libc::EIO);
                let _ = rustix::io::write(&theirs, unstarted(errno).as_bytes());
                sys::exit_now(NOT_EXECUTABLE)
            }
        }
    }

    /// Why the program of a rank could not be executed, and mpiexec's exit code.
    pub(crate) fn explain(&self, rank: u32, appnum: u32, errno: i32) -> Unstartable {
        let program = self.program(appnum);
        let e = io::Error::from_raw_os_error(errno);
        let status = match e.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            io::ErrorKind::PermissionDenied => NOT_EXECUTABLE,
            _ => CANNOT_START,
        };
        let hint = match errno {
            libc::ENOENT if program.is_script() => {
                "the interpreter that its first line names is missing"
            }
            libc::ENOENT => "its loader is missing: is it built for this system?",
            _ => spawn_hint(&e),
        };
        let typed = program.words[0].to_string_lossy();
        cannot(
            status,
            format!("cannot start rank {rank} ({typed}): {hint}: {e}"),
        )
    }

    /// A job of one rank needs no merging of output: it has mpiexec's own, and with it the
    /// terminal, if that is one.
    fn shares_output(&self) -> bool {
        self.size == 1 && self.place == Place::Here { label: false }
    }
}

/// What a failed start probably means.
fn spawn_hint(e: &io::Error) -> &'static str {
    match e.raw_os_error() {
        Some(libc::EAGAIN) => {
            "the limit of processes is reached (ulimit -u, or the container's pids limit)"
        }
        Some(libc::E2BIG) => "arguments and environment are too long together",
        _ => "the kernel refuses",
    }
}

/// What a child that cannot execute its program leaves on its channel.
fn unstarted(errno: i32) -> String {
    format!("{UNSTARTED}{errno}\n")
}

/// The inverse of [`unstarted`].
pub(crate) fn parse_unstarted(line: &str) -> Option<i32> {
    line.strip_prefix(UNSTARTED)?.parse().ok()
}

const UNSTARTED: &str = "unstarted errno=";

fn cannot(status: u8, sentence: String) -> Unstartable {
    Unstartable { sentence, status }
}

/// The first descriptor number that a rank's channel may have. Scripts use low numbers in
/// redirections.
const CHANNEL_ABOVE: i32 = 32;

/// Both ends of a rank's dialogue: ours, which does not block and tells the sender's process id,
/// and theirs.
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    rustix::net::sockopt::set_socket_passcred(&ours, true)?;
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, CHANNEL_ABOVE)?;
    debug_assert!(rustix::io::fcntl_getfd(&theirs)? == FdFlags::CLOEXEC);
    Ok((ours, theirs))
}

/// A pipe whose read end, ours, does not block.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// Descriptors that mpiexec holds for each rank: the channel, two pipes, and one to watch a program
/// behind a wrapper.
const DESCRIPTORS_PER_RANK: u64 = 4;

/// Descriptors that mpiexec needs besides, [`CHANNEL_ABOVE`] among them.
const DESCRIPTORS_BESIDES: u64 = 64;

/// Raises mpiexec's own limit as far as the job needs. Returns the limit as it was.
fn raise_descriptor_limit(ranks: u64) -> Result<Rlimit, Unstartable> {
    let before = rustix::process::getrlimit(Resource::Nofile);
    let need = ranks * DESCRIPTORS_PER_RANK + DESCRIPTORS_BESIDES;
    if before.current.is_some_and(|current| current < need) {
        let raised = Rlimit {
            current: Some(need),
            maximum: before.maximum,
        };
        if before.maximum.is_some_and(|maximum| maximum < need)
            || rustix::process::setrlimit(Resource::Nofile, raised).is_err()
        {
            return Err(cannot(
                CANNOT_START,
                format!(
                    "{ranks} ranks need {need} descriptors in mpiexec, but its hard limit is {}: \
                     raise it (ulimit -Hn)",
                    before.maximum.unwrap_or(u64::MAX)
                ),
            ));
        }
    }
    Ok(before)
}

impl Program {
    fn is_script(&self) -> bool {
        let path = self
            .directory
            .as_deref()
            .unwrap_or(Path::new(""))
            .join(&self.path);
        let mut start = [0; 2];
        let read =
            File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut start));
        read.is_ok() && &start == b"#!"
    }

    fn new(program: &plan::Program, folder: &OsStr, place: Place) -> Result<Program, Unstartable> {
        let typed = program.directory.as_ref().map(PathBuf::from);
        let directory = match place {
            Place::Here { .. } => typed,
            Place::Afar => Some(match typed {
                Some(typed) => Path::new(folder).join(typed),
                None => PathBuf::from(folder),
            }),
        };
        if let Some(directory) = &directory {
            check_directory(directory, place)?;
        }
        let variables = command::here(&program.variables, program.of_host);
        let path = find(
            &program.words[0],
            directory.as_deref(),
            command::value(&variables, "PATH"),
        )?;
        Ok(Program {
            count: program.count,
            path,
            words: program.words.clone(),
            variables,
            directory,
        })
    }
}

fn check_directory(directory: &Path, place: Place) -> Result<(), Unstartable> {
    let why = match std::fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => "it is no directory".to_string(),
        Ok(_) => match rustix::fs::access(directory, Access::EXEC_OK) {
            Ok(()) => return Ok(()),
            Err(e) => e.to_string(),
        },
        Err(e) => e.to_string(),
    };
    Err(cannot(
        CANNOT_START,
        match place {
            Place::Here { .. } => format!("working directory {}: {why}", directory.display()),
            Place::Afar => format!(
                "working directory {}: {why}; create it there, or name one that every host has \
                 with -wdir",
                directory.display()
            ),
        },
    ))
}

/// Where the kernel searches when there is no PATH.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// The file that a program's name stands for: a path, relative to the program's working directory,
/// or a name to be sought in its PATH.
fn find(
    typed: &OsStr,
    directory: Option<&Path>,
    path: Option<&OsStr>,
) -> Result<PathBuf, Unstartable> {
    let place =
        |path: &Path| directory.map_or(path.to_path_buf(), |directory| directory.join(path));
    let shown = typed.to_string_lossy();
    if typed.as_bytes().contains(&b'/') {
        let path = PathBuf::from(typed);
        return match executable(&place(&path)) {
            Ok(()) => Ok(path),
            Err(e) => Err(explain(&shown, e)),
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refusal = None;
    for folder in std::env::split_paths(path) {
        let folder = if folder.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            folder
        };
        let candidate = folder.join(typed);
        match executable(&place(&candidate)) {
            Ok(()) => return Ok(candidate),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                refusal = refusal.or(Some((candidate, e)))
            }
            Err(_) => {}
        }
    }
    if let Some((candidate, e)) = refusal {
        return Err(explain(&candidate.to_string_lossy(), e));
    }
    let hint = match executable(&place(Path::new(typed))) {
        Ok(()) => format!("; a program of that name is in the working directory: write ./{shown}"),
        Err(_) => String::new(),
    };
    Err(cannot(
        NOT_FOUND,
        format!(
            "program {shown} not found in PATH ({}){hint}",
            path.to_string_lossy()
        ),
    ))
}

fn executable(path: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(rustix::fs::access(path, Access::EXEC_OK)?)
}

fn explain(path: &str, e: io::Error) -> Unstartable {
    match e.kind() {
        io::ErrorKind::NotFound => cannot(NOT_FOUND, format!("program {path} does not exist")),
        io::ErrorKind::IsADirectory => cannot(
            NOT_EXECUTABLE,
            format!("{path} is a directory, not a program"),
        ),
        io::ErrorKind::PermissionDenied => cannot(
            NOT_EXECUTABLE,
            format!("program {path} may not be executed (chmod +x makes a file executable)"),
        ),
        _ => cannot(NOT_EXECUTABLE, format!("program {path}: {e}")),
    }
}
