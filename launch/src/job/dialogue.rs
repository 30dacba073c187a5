//! mpiexec's end of what ranks say, and what the job's processes tell each other through it.
//!
//! A program of a rank speaks Ferrite's own dialogue or PMI-1 ([`crate::job::pmi`]), and its first
//! line tells which. What a message means for the job's life is [`Job`]'s business; here stands
//! what a process may ask for: its place in the job, and what others have left in the [`Store`],
//! which is one for both.

use super::pmi::{About, Action, Session};
use super::store::Store;
use super::{Answer, Job};
use crate::plan::Spec;
use crate::protocol::{Down, Key};
use ferrite_client::wire::{self, Reply, Request};
use rustix::process::Pid;
use std::io;
use std::time::Instant;

/// All dialogues of a job.
pub(crate) struct Dialogue {
    identity: Identity,
    about: About,
    store: Store,
    /// For each rank.
    talks: Vec<Talk>,
    node_of: Vec<u32>,
}

/// What names a job.
struct Identity {
    id: [u8; 16],
    secret: Key,
}

/// How a rank's program speaks.
struct Talk {
    appnum: u32,
    /// Once it has spoken PMI-1.
    pmi: Option<Session>,
}

/// Orders for the nodes of these ranks.
type Orders = Vec<(u32, Down)>;

impl Dialogue {
    /// Of a job, which gets a new identity.
    pub(crate) fn new(spec: &Spec) -> io::Result<Dialogue> {
        let identity = Identity::new()?;
        let talk = |appnum| Talk { appnum, pmi: None };
        Ok(Dialogue {
            about: About::new(identity.id, &spec.node_of, spec.size()),
            identity,
            store: Store::new(spec.size()),
            talks: spec.appnums().map(talk).collect(),
            node_of: spec.node_of.clone(),
        })
    }

    /// A rank has said a line. Returns what to answer.
    pub(crate) fn hear(
        &mut self,
        rank: u32,
        pid: Option<i32>,
        line: &[u8],
        job: &mut Job,
    ) -> io::Result<Orders> {
        let alone = self.talks.len() == 1;
        let talk = &mut self.talks[rank as usize];
        if alone && line.starts_with(b"cmd=init ") {
            // A job of one rank may run programs one after the other.
            talk.pmi = Some(Session::new(talk.appnum));
        } else if line.starts_with(b"hello ") {
            talk.pmi = None;
        } else if line.starts_with(b"cmd=") || line.starts_with(b"mcmd=") {
            talk.pmi.get_or_insert_with(|| Session::new(talk.appnum));
        }
        match &mut talk.pmi {
            Some(session) => {
                session.feed(line);
                session.feed(b"\n");
                self.serve_pmi(rank, pid, job)
            }
            None => self.serve(rank, pid, line, job),
        }
    }

    /// Ferrite's own dialogue.
    fn serve(
        &mut self,
        rank: u32,
        pid: Option<i32>,
        line: &[u8],
        job: &mut Job,
    ) -> io::Result<Orders> {
        let text = String::from_utf8_lossy(line);
        let Some(request) = Request::parse(&text) else {
            const SHOWN: usize = 60;
            let shown: String = text.chars().take(SHOWN).collect();
            job.garbled(rank, &format!("{shown:?}"));
            return Ok(Vec::new());
        };
        let (process, now) = (pid.and_then(Pid::from_raw), Instant::now());
        let size = self.talks.len();
        let say = |reply: Reply| vec![(rank, tell(rank, reply.to_string(), None))];
        Ok(match request {
            Request::Hello { version, .. } => match job.hello(rank, version, process) {
                Answer::Refuse(reason) => say(Reply::Refused(reason)),
                Answer::Welcome => {
                    job.tells_waits(rank);
                    vec![(rank, self.welcome(rank, pid))]
                }
                Answer::WelcomeAgain => {
                    self.renew()?;
                    vec![(rank, self.welcome(rank, pid))]
                }
            },
            Request::Finalized => {
                job.finalized(rank, process);
                Vec::new()
            }
            Request::Abort { code, message } => {
                job.abort(rank, code, &message, now);
                Vec::new()
            }
            Request::Publish { card } => {
                self.store.put_card(rank, &card);
                Vec::new()
            }
            Request::Waiting(wait) => say(Reply::Left(job.waiting(rank, &wait, now))),
            Request::Fetch { rank: of } if of as usize >= size => say(Reply::Refused(format!(
                "rank {of} is none of this job's, which has {size}"
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
                Vec::new()
            }
        })
    }

    /// PMI-1: does what a rank's session asks for until it waits, and then what those ask for that
    /// its words let go on.
    fn serve_pmi(&mut self, rank: u32, pid: Option<i32>, job: &mut Job) -> io::Result<Orders> {
        let mut orders = Vec::new();
        let mut busy = vec![(rank, pid)];
        while let Some((rank, pid)) = busy.pop() {
            let (process, now) = (pid.and_then(Pid::from_raw), Instant::now());
            let (mut joined, mut refused) = (None, false);
            while let Some(session) = &mut self.talks[rank as usize].pmi
                && let Some(action) = session.next(&self.about)
            {
                let reply = match action {
                    Action::Reply(_) if std::mem::take(&mut refused) => REFUSED.into(),
                    Action::Reply(line) => line,
                    Action::Init => {
                        match job.hello(rank, wire::VERSION, process) {
                            Answer::Welcome => joined = pid,
                            Answer::WelcomeAgain => {
                                joined = pid;
                                self.renew()?;
                            }
                            // In place of the reply that follows.
                            Answer::Refuse(_) => refused = true,
                        }
                        continue;
                    }
                    Action::Finalize => {
                        job.finalized(rank, process);
                        continue;
                    }
                    Action::Put { key, value } => {
                        self.store.put(&key, &value);
                        continue;
                    }
                    Action::Get { key } => session.got(self.store.get(&key)),
                    Action::Publish { key, value } => {
                        let free = self.store.get(&key).is_none();
                        if free {
                            self.store.put(&key, &value);
                        }
                        session.done(free)
                    }
                    Action::Unpublish { key } => session.done(self.store.remove(&key)),
                    Action::BarrierIn => {
                        if self.store.enter(rank) == Ok(true) {
                            for (other, talk) in (0..).zip(&mut self.talks) {
                                if let Some(session) = &mut talk.pmi {
                                    let reply = session.barrier_out();
                                    orders.push((other, tell(other, reply, None)));
                                    busy.push((other, None));
                                }
                            }
                        }
                        continue;
                    }
                    Action::Abort { code, message } => {
                        job.abort(rank, code, &message, now);
                        continue;
                    }
                    Action::Garbled(what) => {
                        job.garbled(rank, &what);
                        continue;
                    }
                };
                orders.push((rank, tell(rank, reply, joined.take())));
            }
        }
        Ok(orders)
    }

    /// The same ranks are a new job: nothing of the former one may be seen.
    fn renew(&mut self) -> io::Result<()> {
        self.identity = Identity::new()?;
        let size = self.talks.len() as u32;
        self.about = About::new(self.identity.id, &self.node_of, size);
        self.store = Store::new(size);
        Ok(())
    }

    fn welcome(&self, rank: u32, pid: Option<i32>) -> Down {
        Down::Welcome {
            rank,
            pid,
            id: self.identity.id,
            secret: self.identity.secret,
        }
    }
}

/// The reply to a program that may not join.
const REFUSED: &str = "cmd=response_to_init rc=-1 pmi_version=1 pmi_subversion=1\n";

fn tell(rank: u32, text: String, joined: Option<i32>) -> Down {
    Down::Tell { rank, text, joined }
}

impl Identity {
    fn new() -> io::Result<Identity> {
        Ok(Identity {
            id: ferrite_client::random()?,
            secret: Key(ferrite_client::random()?),
        })
    }
}
