//! Questions and answers with a PMI-1 launcher, over a socket.
//!
//! One question is under way at a time; threads wait for each other. What ends the job waits for
//! nobody: it is sent as one call of the kernel, which keeps a line together, while another thread
//! may be waiting for its answer.

use super::line::{Cut, Line, Lines};
use crate::sys;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest line, in bytes, its newline included, that every launcher takes.
pub(super) const MAX_LINE: usize = 1024;

/// Longest answer that is read: some launchers take values of 4096 bytes, also from others.
const MAX_ANSWER: usize = 8192;

/// How long processes wait for each other before somebody wonders.
const LONG: Duration = Duration::from_secs(60);

/// A connection to the launcher. In a forked child of the process that made it, everything fails.
#[derive(Debug)]
pub(super) struct Conversation {
    socket: OwnedFd,
    pid: u32,
    /// How long the launcher may take for an answer that depends on nobody else.
    patience: Duration,
    /// Locked while a thread waits for an answer.
    inbox: Mutex<Lines>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer(Vec<u8>);

impl Answer {
    pub(super) fn line(&self) -> Line<'_> {
        Line::parse(&self.0).expect("checked when it was received")
    }

    /// Whether the request was carried out. Launchers leave `rc` out where nothing can fail.
    pub(super) fn is_ok(&self) -> bool {
        self.line().get("rc").is_none_or(|rc| rc == "0")
    }

    /// As it came.
    pub(super) fn text(&self) -> String {
        shown(&self.0)
    }
}

impl Conversation {
    pub(super) fn new(socket: OwnedFd, patience: Duration) -> Conversation {
        Conversation {
            socket,
            pid: std::process::id(),
            patience,
            inbox: Mutex::new(Lines::new(MAX_ANSWER)),
        }
    }

    /// Sends a line, given without its newline.
    pub(super) fn say(&self, line: &str) -> Result<(), String> {
        debug_assert!(line.len() < MAX_LINE && !line.contains('\n'), "{line}");
        if std::process::id() != self.pid {
            return Err("a forked child is no member of its parent's job".into());
        }
        sys::send_all(&self.socket, format!("{line}\n").as_bytes())
            .map_err(|e| format!("the PMI launcher cannot be reached: {e}"))
    }

    /// Sends a request and waits for the answer of this name.
    pub(super) fn ask(&self, request: &str, answer: &str) -> Result<Answer, String> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.say(request)?;
        self.receive(&mut inbox, answer, Instant::now() + self.patience)
    }

    /// Waits for a line of this name that the launcher sends by itself.
    pub(super) fn hear(&self, name: &str) -> Result<Answer, String> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.receive(&mut inbox, name, Instant::now() + self.patience)
    }

    /// Waits until every process of the job does, as long as that takes: another one may stand in a
    /// debugger. The end of the launcher ends the wait. `meanwhile` is called until it returns
    /// `true`, which is to be when the socket has something to read or never will, and not much
    /// later than the time it is given. `long`: called once when it takes long.
    pub(super) fn barrier(
        &self,
        mut meanwhile: impl FnMut(&OwnedFd, Instant) -> bool,
        long: impl FnOnce(),
    ) -> Result<(), String> {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.say("cmd=barrier_in")?;
        if inbox.waiting() == 0 && !meanwhile(&self.socket, Instant::now() + LONG) {
            long();
            while !meanwhile(&self.socket, Instant::now() + LONG) {}
        }
        let answer = self.receive(&mut inbox, "barrier_out", Instant::now() + self.patience)?;
        match answer.is_ok() {
            true => Ok(()),
            false => Err(format!(
                "the processes of the job cannot wait for each other: the PMI launcher says {}",
                answer.text()
            )),
        }
    }

    /// Waits until the launcher has hung up, but not longer than this.
    pub(super) fn wait_for_hangup(&self, time: Duration) {
        sys::wait_for_hangup(&self.socket, time);
    }

    fn receive(&self, inbox: &mut Lines, name: &str, deadline: Instant) -> Result<Answer, String> {
        let gone = |why: &str| format!("the PMI launcher cannot be reached: {why}");
        loop {
            match inbox.cut() {
                Some(Cut::Line(line))
                    if Line::parse(&line)
                        .is_some_and(|line| !line.continues() && line.command() == name) =>
                {
                    return Ok(Answer(line));
                }
                Some(Cut::Line(line) | Cut::TooLong(line)) => {
                    return Err(format!(
                        "the PMI launcher's answer is no {name}: {}. Was this process started by \
                         something that speaks PMI-1?",
                        shown(&line)
                    ));
                }
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !sys::readable_within(&self.socket, left).map_err(|e| gone(&e.to_string()))? {
                return Err(format!(
                    "the PMI launcher that started this process has not sent {name} for {} s. Is \
                     it stopped, or the machine \
                     out of memory?",
                    self.patience.as_secs_f32()
                ));
            }
            let mut bytes = [0; 2048];
            // Nobody sends descriptors here; one that came is closed.
            let (count, _) =
                sys::receive(&self.socket, &mut bytes).map_err(|e| gone(&e.to_string()))?;
            if count == 0 {
                return Err(gone("it has closed the connection"));
            }
            inbox.feed(&bytes[..count]);
        }
    }
}

fn shown(line: &[u8]) -> String {
    const SHOWN: usize = 100;
    let text = String::from_utf8_lossy(line);
    format!("{:?}", text.chars().take(SHOWN).collect::<String>())
}
