//! PMI-1, the dialogue between processes and a launcher that the MPICH family speaks: hydra's and
//! Intel's mpiexec, `srun --mpi=pmi2`, Flux and more.
//!
//! What both ends of it need is public: `line`s and the [`mapping`] of ranks to nodes; mpiexec's
//! end builds on them. The rest is the process's end: questions and answers (`conversation`), what
//! a launcher offers (`launcher`), how the processes of a job find each other through it (`join`)
//! and how those of one node come by a common memory file (`place`, `offer`).

pub mod line;
pub mod mapping;

mod conversation;
mod join;
mod launcher;
mod offer;
mod place;

use crate::{DiscoverError, Discovered, aborted, sys};
use core::sync::atomic::{AtomicBool, Ordering};
use ferrite_fabric::{Bootstrap, MAX_CARD};
use launcher::{Identity, Launcher};
use place::Place;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// How long a launcher may take to answer or to accept a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an aborting process waits for the launcher to end it before it ends by itself.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// How long the launcher has to read what a process says before that makes it end everything.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// Joins the job of a PMI-1 launcher. `None`: the environment names none.
pub(crate) fn discover(
    environment: impl Fn(&str) -> Option<String>,
) -> Option<Result<Discovered, DiscoverError>> {
    let connected = if let Some(descriptor) = environment("PMI_FD") {
        take_socket(&descriptor, environment)
    } else {
        let port = environment("PMI_PORT")?;
        // Some launchers set PMI_PORT for purposes of their own.
        let id = environment("PMI_ID")?;
        connect(&port).map(|socket| (socket, Identity::Id(id)))
    };
    Some(
        connected
            .and_then(|(socket, identity)| enter(socket, &identity))
            .map_err(DiscoverError::new),
    )
}

fn enter(socket: OwnedFd, identity: &Identity) -> Result<Discovered, String> {
    let launcher = Launcher::greet(socket, identity, PATIENCE)?;
    let job = join::join(&launcher, &Place::own(), &offer::WAYS)?;
    Ok(Discovered {
        job,
        bootstrap: Arc::new(Member::new(launcher)),
    })
}

fn take_socket(
    descriptor: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(OwnedFd, Identity), String> {
    let number = |name: &str| -> Result<u32, String> {
        let value = environment(name).ok_or(format!(
            "PMI_FD={descriptor} is set but {name} is not: no PMI launcher does that. To run the \
             program alone: env -u PMI_FD \
             PROGRAM"
        ))?;
        value.trim().parse().map_err(|_| {
            format!("{name}={value}, which a PMI launcher should have set to a number, is none")
        })
    };
    let (rank, size) = (number("PMI_RANK")?, number("PMI_SIZE")?);
    let unusable = |why: &str| {
        format!(
            "PMI_FD={descriptor} {why}. A PMI launcher has set this variable; the program inherits \
             it with an open socket. If a \
             process that has joined a job started this program, it cannot join the same job: run \
             it with env -u PMI_FD -u \
             PMI_RANK -u PMI_SIZE to have it alone. If a script closed the socket, let it leave \
             that descriptor open"
        )
    };
    let number = descriptor.trim().parse().ok().filter(|&fd: &i32| fd >= 0);
    let number = number.ok_or_else(|| unusable("does not name a descriptor"))?;
    let socket = sys::take_inherited_socket(number, false).map_err(|why| match why {
        sys::NotASocket::OtherKind => unusable("names a descriptor that is no stream socket"),
        other => unusable(other.sentence()),
    })?;
    Ok((socket, Identity::Rank { rank, size }))
}

fn connect(port: &str) -> Result<OwnedFd, String> {
    let failed = |why: &str| {
        format!("PMI_PORT={port}, where the launcher of this process should listen: {why}")
    };
    let addresses = port.to_socket_addrs().map_err(|e| failed(&e.to_string()))?;
    let mut last = failed("no address has this name");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                // Without it an answer may take 40 ms longer; right it is all the same.
                let _ = stream.set_nodelay(true);
                return Ok(stream.into());
            }
            Err(e) => last = failed(&format!("{address}: {e}")),
        }
    }
    Err(last)
}

/// A process that has joined.
struct Member {
    launcher: Launcher,
    /// Whether the cards of all are in the launcher's store.
    published: AtomicBool,
}

impl Member {
    fn new(launcher: Launcher) -> Member {
        Member {
            launcher,
            published: AtomicBool::new(false),
        }
    }

    /// The launcher repeats no sentence of ours, so this process says it.
    fn end(&self, code: i32, sentence: &str) -> ! {
        sys::complain(&format!("{sentence}\n"));
        // Some launchers end everything at once, and lose what they have not read.
        std::thread::sleep(READ_WITHIN);
        self.launcher.abort(code, ENDED_WITHIN);
        sys::exit_now(code)
    }
}

impl Bootstrap for Member {
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
        if self.launcher.size > 1 {
            let key = format!("ferrite-card-{}", self.launcher.rank);
            self.launcher.put(&key, card)?;
            self.launcher.barrier()?;
        }
        // Pairs with the load in `fetch`; the store itself orders the cards.
        self.published.store(true, Ordering::Release);
        Ok(())
    }

    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        if rank >= self.launcher.size {
            return Err(format!(
                "there is no rank {rank} in a job of {}",
                self.launcher.size
            ));
        }
        if !self.published.load(Ordering::Acquire) {
            return Ok(None);
        }
        match self.launcher.get(&format!("ferrite-card-{rank}"))? {
            Some(card) => Ok(Some(card)),
            None => Err(format!(
                "rank {rank} has not published how it is reached, or the PMI launcher has lost it"
            )),
        }
    }

    fn finalized(&self) {
        // A launcher that is gone, or does not answer, cannot be told; and this process has done
        // its work.
        let _ = self.launcher.finalize();
    }

    fn abort(&self, code: i32, message: &str) -> ! {
        self.end(code, &aborted(code, message))
    }

    fn lost(&self, rank: u32, reason: &str) -> ! {
        self.end(
            1,
            &format!("rank {rank} can no longer be reached: {reason}"),
        )
    }
}

#[cfg(test)]
mod tests;
