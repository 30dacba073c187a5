//! The process's end of the dialogue with mpiexec.
//!
//! The socket is inherited and stays inheritable until this process says hello, so that any number of shells, debuggers
//! and wrappers may stand between mpiexec and the program. From then on it belongs to this process: it is closed on exec,
//! and forked children, which share the descriptor, never write to it.

use crate::wire::{self, CHANNEL_VARIABLE, Reply, Request, VERSION, Welcome};
use crate::{DiscoverError, Discovered, sys};
use ferrite_fabric::{Bootstrap, Job, Secret};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long mpiexec may take to answer. It answers within microseconds unless the machine is in serious trouble.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long an aborting process waits for mpiexec to end it before it ends by itself.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// Introduces this process to mpiexec.
pub(crate) fn discover(descriptor: &OsStr) -> Result<Discovered, DiscoverError> {
    let socket = take_socket(descriptor)?;
    let pid = std::process::id();
    let hello = Request::Hello {
        version: VERSION,
        pid,
    };
    sys::send_all(&socket, hello.to_string().as_bytes()).map_err(|e| gone(&e.to_string()))?;
    let (line, segment) = receive_line(&socket)?;
    let welcome = match Reply::parse(&line) {
        Some(Reply::Welcome(welcome)) => welcome,
        Some(Reply::Refused(reason)) => {
            return Err(DiscoverError::new(format!(
                "mpiexec refuses this process: {reason}"
            )));
        }
        None => {
            return Err(DiscoverError::new(format!(
                "mpiexec answered with something else than a welcome ({line:?}): is it Ferrite's, of the same installation \
                 as this library?"
            )));
        }
    };
    let job = check(welcome, segment)?;
    Ok(Discovered {
        job,
        bootstrap: Arc::new(Channel { socket, pid }),
    })
}

fn take_socket(descriptor: &OsStr) -> Result<OwnedFd, DiscoverError> {
    let unusable = |why: &str| {
        DiscoverError::new(format!(
            "{CHANNEL_VARIABLE}={} {why}. This variable is mpiexec's; the program inherits it with an open socket. If a process \
             that has joined a job started this program, it cannot join the same job: unset {CHANNEL_VARIABLE} and \
             MPI_LOCALNRANKS to run it alone. If a script closed the socket, let it leave that descriptor open",
            descriptor.to_string_lossy()
        ))
    };
    let number: i32 = descriptor
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|&number| number >= 0)
        .ok_or_else(|| unusable("does not name a descriptor"))?;
    sys::take_inherited_socket(number).map_err(|why| unusable(why.sentence()))
}

fn receive_line(socket: &OwnedFd) -> Result<(String, Option<OwnedFd>), DiscoverError> {
    let deadline = Instant::now() + ANSWER_WITHIN;
    let mut line = Vec::new();
    let mut segment = None;
    while line.last() != Some(&b'\n') {
        let left = deadline.saturating_duration_since(Instant::now());
        if !sys::readable_within(socket, left).map_err(|e| gone(&e.to_string()))? {
            return Err(DiscoverError::new(format!(
                "mpiexec has not answered this process's hello for {} s. Is mpiexec stopped, or the machine out of memory?",
                ANSWER_WITHIN.as_secs()
            )));
        }
        let mut bytes = [0; 1024];
        let (count, descriptor) =
            sys::receive(socket, &mut bytes).map_err(|e| gone(&e.to_string()))?;
        if count == 0 {
            return Err(gone("it has closed the connection"));
        }
        line.extend_from_slice(&bytes[..count]);
        segment = segment.or(descriptor);
        if line.len() > wire::MAX_LINE {
            return Err(DiscoverError::new("mpiexec's answer is no line of text"));
        }
    }
    Ok((String::from_utf8_lossy(&line).into_owned(), segment))
}

fn check(welcome: Welcome, segment: Option<OwnedFd>) -> Result<Job, DiscoverError> {
    let wrong = |what: String| DiscoverError::new(format!("mpiexec's welcome is unusable: {what}"));
    if welcome.version != VERSION {
        return Err(DiscoverError::new(format!(
            "mpiexec speaks version {} of the start-up dialogue and this library version {VERSION}: use the mpiexec of the \
             installation that the program is linked with",
            welcome.version
        )));
    }
    let Welcome {
        job,
        rank,
        size,
        local_rank,
        local,
        cpus,
        appnum,
        launcher,
        ..
    } = welcome;
    if rank >= size || local.last().is_none_or(|&last| last >= size) {
        return Err(wrong(format!(
            "rank {rank} and local ranks {local:?} in a job of {size}"
        )));
    }
    if local.get(local_rank as usize) != Some(&rank) {
        return Err(wrong(format!(
            "rank {rank} is not number {local_rank} of {local:?}"
        )));
    }
    if segment.is_none() {
        return Err(wrong("the job's memory file is missing".into()));
    }
    let neighbours = local.len() as u32 - 1;
    Ok(Job {
        neighbours,
        id: job,
        secret: Secret([0; 32]),
        rank,
        size,
        local,
        cpus: cpus.max(1),
        appnum,
        launcher,
        segment,
    })
}

fn gone(why: &str) -> DiscoverError {
    DiscoverError::new(format!("mpiexec cannot be reached: {why}"))
}

struct Channel {
    socket: OwnedFd,
    /// The process that said hello. A forked child has another one, and no say.
    pid: u32,
}

impl Bootstrap for Channel {
    fn publish(&self, _card: &str) -> Result<(), String> {
        Ok(())
    }

    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        Err(format!("mpiexec does not tell how rank {rank} is reached"))
    }

    fn lost(&self, rank: u32, reason: &str) -> ! {
        self.abort(
            1,
            &format!("rank {rank} can no longer be reached: {reason}"),
        )
    }

    fn finalized(&self) {
        if std::process::id() == self.pid {
            // An mpiexec that is gone takes the process with it; there is nobody to tell.
            let _ = sys::send_all(&self.socket, Request::Finalized.to_string().as_bytes());
        }
    }

    fn abort(&self, code: i32, message: &str) -> ! {
        let abort = Request::Abort {
            code,
            message: message.into(),
        };
        let heard = std::process::id() == self.pid
            && sys::send_all(&self.socket, abort.to_string().as_bytes()).is_ok();
        if heard {
            sys::wait_for_hangup(&self.socket, ENDED_WITHIN);
        } else {
            sys::complain(&format!("MPI_Abort({code}): {message}\n"));
        }
        sys::exit_now(code)
    }
}
