//! What a PMI-1 launcher offers: a place in the job, a store of keys and values that all its
//! processes see, a barrier.
//!
//! Others see what was put only after a barrier. Values are short and some launchers read whole
//! lines into 1024 bytes, so a long value is cut: under its key stands `N:` and the first piece,
//! under `key.1`, `key.2`, ... the others. Nothing is sent that the oldest launchers do not know:
//! an unknown command ends the job under some and hangs it under others.

use super::conversation::{Conversation, MAX_LINE};
use crate::sys;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Limits where the launcher names none.
const MAX_KEY: usize = 64;
const MAX_VALUE: usize = 256;

/// The most pieces that a value is cut into.
const MAX_PIECES: usize = 256;

/// A launcher that has accepted this process.
#[derive(Debug)]
pub(super) struct Launcher {
    conversation: Conversation,
    /// This process's rank.
    pub(super) rank: u32,
    /// Processes in the job.
    pub(super) size: u32,
    /// Which of the programs separated by `:` this is.
    pub(super) appnum: u32,
    /// The name of the key-value space.
    space: String,
    /// Longest key, in bytes.
    max_key: usize,
    /// Longest value, in bytes.
    max_value: usize,
}

/// How the environment says who this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// It says it itself.
    Rank { rank: u32, size: u32 },
    /// The launcher does, to who tells it this number.
    Id(String),
}

impl Launcher {
    /// Introduces this process. `patience`: how long an answer may take.
    pub(super) fn greet(
        socket: OwnedFd,
        identity: &Identity,
        patience: Duration,
    ) -> Result<Launcher, String> {
        let conversation = Conversation::new(socket, patience);
        let (rank, size) = match identity {
            Identity::Rank { rank, size } => (*rank, *size),
            Identity::Id(id) => ask_who(&conversation, id)?,
        };
        if rank >= size {
            return Err(format!(
                "the PMI launcher makes this process rank {rank} of a job of {size}"
            ));
        }
        let answer = conversation
            .ask(
                "cmd=init pmi_version=1 pmi_subversion=1",
                "response_to_init",
            )
            .map_err(|why| {
                format!(
                    "{why}. If another MPI program has run in this process's place before, as in a \
                     script of several: each \
                     needs a start of its own"
                )
            })?;
        if !answer.is_ok() || answer.line().number("pmi_version") != Some(1) {
            return Err(format!(
                "the PMI launcher does not speak PMI-1: it says {}",
                answer.text()
            ));
        }
        let answer = conversation.ask("cmd=get_maxes", "maxes")?;
        let limit = |name, otherwise| {
            let told = answer.line().number::<usize>(name).unwrap_or(otherwise);
            // Some count the zero byte that ends a string in C.
            told.saturating_sub(1).min(MAX_LINE)
        };
        let (max_key, max_value) = (limit("keylen_max", MAX_KEY), limit("vallen_max", MAX_VALUE));
        let answer = conversation.ask("cmd=get_appnum", "appnum")?;
        // Some launchers do not count programs and say -1.
        let appnum = answer.line().number("appnum").unwrap_or(0);
        let answer = conversation.ask("cmd=get_my_kvsname", "my_kvsname")?;
        let space = answer
            .line()
            .get("kvsname")
            .filter(|name| !name.is_empty() && name.len() <= MAX_LINE / 2)
            .ok_or_else(|| {
                format!(
                    "the PMI launcher names no key-value space: it says {}",
                    answer.text()
                )
            })?;
        Ok(Launcher {
            rank,
            size,
            appnum,
            space: space.into(),
            max_key,
            max_value,
            conversation,
        })
    }

    /// Stores a value of printable ASCII without spaces, `;` or `=`.
    pub(super) fn put(&self, key: &str, value: &str) -> Result<(), String> {
        debug_assert!(
            value
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b';' && b != b'='),
            "{value}"
        );
        let line = |key: &str, value: &str| {
            format!("cmd=put kvsname={} key={key} value={value}", self.space)
        };
        // The longest key that this value may need, the longest number of pieces, and the newline.
        let around = line(&format!("{key}.{MAX_PIECES}"), &format!("{MAX_PIECES}:")).len() + 1;
        let piece = MAX_LINE
            .saturating_sub(around)
            .min(self.max_value.saturating_sub(4));
        let pieces = value.len().div_ceil(piece.max(1)).max(1);
        if piece == 0 || pieces > MAX_PIECES || key.len() + 4 > self.max_key {
            return Err(format!(
                "the PMI launcher takes keys of {} bytes and values of {}, too short for what this \
                 job needs",
                self.max_key, self.max_value
            ));
        }
        for number in 0..pieces {
            let text = &value[number * piece..value.len().min((number + 1) * piece)];
            let line = match number {
                0 => line(key, &format!("{pieces}:{text}")),
                _ => line(&format!("{key}.{number}"), text),
            };
            let answer = self.conversation.ask(&line, "put_result")?;
            if !answer.is_ok() {
                return Err(format!(
                    "the PMI launcher does not store {key}: it says {}",
                    answer.text()
                ));
            }
        }
        Ok(())
    }

    /// What stands under a key since a barrier; `None`: nothing.
    pub(super) fn get(&self, key: &str) -> Result<Option<String>, String> {
        let damaged = || format!("what stands under {key} in the PMI launcher's store is damaged");
        let Some(first) = self.get_plain(key)? else {
            return Ok(None);
        };
        let (pieces, text) = first.split_once(':').ok_or_else(damaged)?;
        let pieces: usize = pieces.parse().map_err(|_| damaged())?;
        if pieces == 0 || pieces > MAX_PIECES {
            return Err(damaged());
        }
        let mut value = text.to_owned();
        for number in 1..pieces {
            let piece = self.get_plain(&format!("{key}.{number}"))?;
            value.push_str(&piece.ok_or_else(damaged)?);
        }
        Ok(Some(value))
    }

    /// What somebody else, who does not cut values, has put under a key.
    pub(super) fn get_plain(&self, key: &str) -> Result<Option<String>, String> {
        let request = format!("cmd=get kvsname={} key={key}", self.space);
        let answer = self.conversation.ask(&request, "get_result")?;
        if !answer.is_ok() {
            return Ok(None);
        }
        Ok(answer.line().get("value").map(str::to_owned))
    }

    /// Waits for all processes of the job; from then on they see what each has put.
    pub(super) fn barrier(&self) -> Result<(), String> {
        self.barrier_while(|socket, until| {
            let left = until.saturating_duration_since(Instant::now());
            // What is wrong with the socket shows when it is read.
            sys::readable_within(socket, left).unwrap_or(true)
        })
    }

    /// The same; see [`Conversation::barrier`] for what is to be done meanwhile.
    pub(super) fn barrier_while(
        &self,
        meanwhile: impl FnMut(&OwnedFd, Instant) -> bool,
    ) -> Result<(), String> {
        self.conversation.barrier(meanwhile, || {
            // One of them is enough, unless it is the one that the others wait for.
            if self.rank < 2 {
                sys::complain(&format!(
                    "ferrite: rank {} has waited for a minute for all {} processes to call \
                     MPI_Init; the launcher does not tell \
                     which are missing, or whether they have ended\n",
                    self.rank, self.size
                ));
            }
        })
    }

    /// Says that this process is done with MPI.
    pub(super) fn finalize(&self) -> Result<(), String> {
        self.conversation
            .ask("cmd=finalize", "finalize_ack")
            .map(drop)
    }

    /// Asks to end the job, and waits for this long to be ended with it. Never waits for another
    /// thread.
    pub(super) fn abort(&self, code: i32, time: Duration) {
        if self
            .conversation
            .say(&format!("cmd=abort exitcode={code}"))
            .is_ok()
        {
            self.conversation.wait_for_hangup(time);
        }
    }
}

/// Rank and size, from a launcher that wants to be asked.
fn ask_who(conversation: &Conversation, id: &str) -> Result<(u32, u32), String> {
    let answer = conversation.ask(&format!("cmd=initack pmiid={id}"), "initack")?;
    if !answer.is_ok() {
        return Err(format!(
            "the PMI launcher does not know PMI_ID={id}: it says {}",
            answer.text()
        ));
    }
    let (mut rank, mut size) = (None, None);
    loop {
        let answer = conversation.hear("set")?;
        let line = answer.line();
        rank = line.number("rank").or(rank);
        size = line.number("size").or(size);
        // The last one.
        if line.get("debug").is_some() {
            break;
        }
    }
    match (rank, size) {
        (Some(rank), Some(size)) => Ok((rank, size)),
        _ => Err("the PMI launcher tells neither rank nor size".into()),
    }
}
