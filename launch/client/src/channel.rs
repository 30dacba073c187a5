//! The process's end of the dialogue with mpiexec.
//!
//! The socket is inherited and stays inheritable until this process says hello, so that any number
//! of shells, debuggers and wrappers may stand between mpiexec and the program. From then on it
//! belongs to this process: it is closed on exec, and forked children, which share the descriptor,
//! never write to it.
//!
//! Several threads may use it at once. A message is one call of the kernel, which keeps it
//! together, so that what ends the process never waits behind a thread that waits for an answer.

use crate::wire::{self, CHANNEL_VARIABLE, Reply, Request, VERSION, Welcome};
use crate::{DiscoverError, Discovered, aborted, sys};
use ferrite_fabric::{Bootstrap, Job, Left, MAX_CARD, Wait};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long mpiexec may take to answer. It answers within microseconds unless the machine is in
/// serious trouble.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long an aborting process waits for mpiexec to end it before it ends by itself. Longer than
/// mpiexec looks for a better reason.
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
    let mut inbox = Inbox::default();
    let line = inbox.line(&socket, "hello").map_err(DiscoverError::new)?;
    let welcome = match Reply::parse(&line) {
        Some(Reply::Welcome(welcome)) => welcome,
        Some(Reply::Refused(reason)) => {
            return Err(DiscoverError::new(format!(
                "mpiexec refuses this process: {reason}"
            )));
        }
        Some(Reply::Card { .. } | Reply::Left(_)) | None => {
            // Another version's welcome may lack what this one needs.
            return Err(version_of(&line)
                .filter(|&version| version != VERSION)
                .map(other_version)
                .unwrap_or_else(|| {
                    DiscoverError::new(format!(
                        "mpiexec answered with something else than a welcome ({line:?}): is it \
                         Ferrite's, of the same \
                         installation as this library?"
                    ))
                }));
        }
    };
    let job = check(welcome, inbox.descriptor.take())?;
    Ok(Discovered {
        job,
        bootstrap: Arc::new(Channel {
            socket,
            pid,
            inbox: Mutex::new(inbox),
        }),
    })
}

fn take_socket(descriptor: &OsStr) -> Result<OwnedFd, DiscoverError> {
    let unusable = |why: &str| {
        DiscoverError::new(format!(
            "{CHANNEL_VARIABLE}={} {why}. This variable is mpiexec's; the program inherits it with \
             an open socket. If a process \
             that has joined a job started this program, it cannot join the same job: unset \
             {CHANNEL_VARIABLE} and \
             MPI_LOCALNRANKS to run it alone. If a script closed the socket, let it leave that \
             descriptor open",
            descriptor.to_string_lossy()
        ))
    };
    let number: i32 = descriptor
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|&number| number >= 0)
        .ok_or_else(|| unusable("does not name a descriptor"))?;
    sys::take_inherited_socket(number, true).map_err(|why| unusable(why.sentence()))
}

/// What has arrived from mpiexec and is not read yet.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    /// The last descriptor that came.
    descriptor: Option<OwnedFd>,
}

impl Inbox {
    /// The next line, with its newline. `to`: what it answers. The error is a sentence.
    fn line(&mut self, socket: &OwnedFd, to: &str) -> Result<String, String> {
        let gone = |why: &str| format!("mpiexec cannot be reached: {why}");
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            if let Some(end) = self.bytes.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.bytes.len() > wire::MAX_LINE {
                return Err("mpiexec's answer is no line of text".into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !sys::readable_within(socket, left).map_err(|e| gone(&e.to_string()))? {
                return Err(format!(
                    "mpiexec has not answered this process's {to} for {} s. Is mpiexec stopped, or \
                     the machine out of memory?",
                    ANSWER_WITHIN.as_secs()
                ));
            }
            let mut bytes = [0; 1024];
            let (count, descriptor) =
                sys::receive(socket, &mut bytes).map_err(|e| gone(&e.to_string()))?;
            if count == 0 {
                return Err(gone("it has closed the connection"));
            }
            self.bytes.extend_from_slice(&bytes[..count]);
            self.descriptor = descriptor.or(self.descriptor.take());
        }
    }
}

/// The version in a welcome that this build cannot read otherwise.
fn version_of(line: &str) -> Option<u32> {
    let mut fields = line.trim_end().strip_prefix("welcome ")?.split(' ');
    fields.find_map(|field| field.strip_prefix("version=")?.parse().ok())
}

fn other_version(theirs: u32) -> DiscoverError {
    DiscoverError::new(format!(
        "mpiexec speaks version {theirs} of the start-up dialogue and this library version \
         {VERSION}: use the mpiexec of the \
         installation that the program is linked with"
    ))
}

fn check(welcome: Welcome, segment: Option<OwnedFd>) -> Result<Job, DiscoverError> {
    let wrong = |what: String| DiscoverError::new(format!("mpiexec's welcome is unusable: {what}"));
    if welcome.version != VERSION {
        return Err(other_version(welcome.version));
    }
    let Welcome {
        job,
        secret,
        rank,
        size,
        local_rank,
        local,
        nodes,
        cpus,
        appnum,
        part,
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
    let neighbours = local.len() as u32 - 1;
    Ok(Job {
        neighbours,
        id: job,
        secret,
        rank,
        size,
        local,
        nodes,
        cpus: cpus.max(1),
        appnum,
        part,
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
    /// Locked while a thread waits for an answer.
    inbox: Mutex<Inbox>,
}

impl Channel {
    fn tell(&self, request: &Request) -> Result<(), String> {
        if std::process::id() != self.pid {
            return Err("a forked child is no member of its parent's job".into());
        }
        sys::send_all(&self.socket, request.to_string().as_bytes())
            .map_err(|e| format!("mpiexec cannot be reached: {e}"))
    }

    /// Waits to be ended after this last request. `complaint`: what to say if mpiexec does not hear
    /// it.
    fn last(&self, request: &Request, code: i32, complaint: &str) -> ! {
        if self.tell(request).is_ok() {
            sys::wait_for_hangup(&self.socket, ENDED_WITHIN);
        } else {
            sys::complain(complaint);
        }
        sys::exit_now(code)
    }
}

impl Bootstrap for Channel {
    fn publish(&self, card: &str) -> Result<(), String> {
        let fits = card.len() <= MAX_CARD
            && card
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b';' && b != b'=');
        if !fits {
            return Err(format!(
                "a network's card of {} bytes is too long, or holds what no launcher can carry: \
                 {card:?}",
                card.len()
            ));
        }
        self.tell(&Request::Publish { card: card.into() })
    }

    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(&Request::Fetch { rank })?;
        loop {
            let line = inbox.line(&self.socket, "question how another one is reached")?;
            match Reply::parse(&line) {
                // Otherwise the answer to a question whose asker did not wait so long.
                Some(Reply::Card { rank: of, value }) if of == rank => return Ok(value),
                Some(Reply::Card { .. } | Reply::Left(_)) => {}
                Some(Reply::Refused(reason)) => return Err(format!("mpiexec: {reason}")),
                _ => {
                    return Err(format!(
                        "mpiexec answered with something else than a card: {line:?}"
                    ));
                }
            }
        }
    }

    fn hears_of_waits(&self) -> bool {
        true
    }

    fn waiting(&self, wait: &Wait) -> Option<Left> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(&Request::Waiting(wait.clone())).ok()?;
        loop {
            let line = inbox.line(&self.socket, "question who has left").ok()?;
            match Reply::parse(&line) {
                Some(Reply::Left(left)) => return Some(left),
                // The answer to a question whose asker did not wait so long.
                Some(Reply::Card { .. }) => {}
                _ => return None,
            }
        }
    }

    fn finalized(&self) {
        // An mpiexec that is gone takes the process with it; there is nobody to tell.
        let _ = self.tell(&Request::Finalized);
    }

    fn abort(&self, code: i32, message: &str) -> ! {
        let request = Request::Abort {
            code,
            message: message.into(),
        };
        self.last(&request, code, &format!("{}\n", aborted(code, message)))
    }

    fn lost(&self, rank: u32, reason: &str) -> ! {
        let request = Request::Lost {
            rank,
            reason: reason.into(),
        };
        self.last(&request, 1, &format!("rank {rank} is lost: {reason}\n"))
    }
}
