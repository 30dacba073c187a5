//! mpiexec's end of what ranks say, and what the job's processes tell each other through it.
//!
//! What a message means for the job's life is [`Job`]'s business; here stands what a process may ask for: its place in the job, and what
//! others have published.

use crate::job::{Answer, Job};
use crate::message::{Down, Key};
use crate::store::Store;
use ferrite_client::wire::{Reply, Request};
use rustix::process::Pid;
use std::io;
use std::time::Instant;

/// All dialogues of a job.
pub(crate) struct Dialogue {
    id: [u8; 16],
    secret: Key,
    size: u32,
    store: Store,
}

impl Dialogue {
    /// Of a job with this many ranks, which gets a new identity.
    pub(crate) fn new(size: u32) -> io::Result<Dialogue> {
        let (id, secret) = identity()?;
        Ok(Dialogue {
            id,
            secret,
            size,
            store: Store::new(size),
        })
    }

    /// A rank has said a line. Returns what to answer.
    pub(crate) fn hear(
        &mut self,
        rank: u32,
        pid: Option<i32>,
        line: &[u8],
        job: &mut Job,
    ) -> io::Result<Option<Down>> {
        let text = String::from_utf8_lossy(line);
        let Some(request) = Request::parse(&text) else {
            const SHOWN: usize = 60;
            let shown: String = text.chars().take(SHOWN).collect();
            job.garbled(rank, &format!("{shown:?}"));
            return Ok(None);
        };
        let (process, now) = (pid.and_then(Pid::from_raw), Instant::now());
        let say = |reply: Reply| {
            Some(Down::Tell {
                rank,
                text: reply.to_string(),
                joined: None,
            })
        };
        Ok(match request {
            Request::Hello { version, .. } => match job.hello(rank, version, process) {
                Answer::Refuse(reason) => say(Reply::Refused(reason)),
                Answer::Welcome => Some(self.welcome(rank, pid)),
                Answer::WelcomeAgain => {
                    *self = Dialogue::new(self.size)?;
                    Some(self.welcome(rank, pid))
                }
            },
            Request::Finalized => {
                job.finalized(rank, process);
                None
            }
            Request::Abort { code, message } => {
                job.abort(rank, code, &message, now);
                None
            }
            Request::Publish { card } => {
                self.store.put_card(rank, &card);
                None
            }
            Request::Fetch { rank: of } if of >= self.size => say(Reply::Refused(format!(
                "rank {of} is none of this job's, which has {}",
                self.size
            ))),
            Request::Fetch { rank: of } => say(Reply::Card {
                rank: of,
                value: self.store.card(of).map(str::to_string),
            }),
            Request::Lost {
                rank: other,
                reason,
            } => {
                job.lost(rank, other, reason, now);
                None
            }
        })
    }

    fn welcome(&self, rank: u32, pid: Option<i32>) -> Down {
        Down::Welcome {
            rank,
            pid,
            id: self.id,
            secret: self.secret,
        }
    }
}

/// A new job's id, and what only its members know.
fn identity() -> io::Result<([u8; 16], Key)> {
    let (mut id, mut secret) = ([0; 16], [0; 32]);
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut id[..], flags)?;
    rustix::rand::getrandom(&mut secret[..], flags)?;
    Ok((id, Key(secret)))
}
