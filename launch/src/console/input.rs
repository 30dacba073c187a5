//! mpiexec's standard input on its way to a rank of another host.
//!
//! It belongs to others, too (the user's shell), so it is never made non-blocking: it is read only
//! when it has something. What has been sent and not been taken by the rank is bounded by
//! [`WINDOW`].

use crate::process::{Poller, Source};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// Bytes that may be on their way.
const WINDOW: u64 = 64 << 10;

/// How often a terminal is asked whether it is this job's again.
const BACKGROUND: Duration = Duration::from_millis(500);

/// Standard input.
#[derive(Debug)]
pub(crate) struct Input {
    state: State,
    underway: u64,
    watched: bool,
    /// A file always has something.
    is_file: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The terminal serves another job of the shell; asked again at this time.
    Background(Instant),
    Closed,
}

impl Input {
    /// That nobody reads yet.
    pub(crate) fn new() -> Input {
        Input {
            state: State::Closed,
            underway: 0,
            watched: false,
            is_file: false,
        }
    }

    /// The rank that reads it runs.
    pub(crate) fn open(&mut self) {
        self.state = State::Open;
    }

    /// The rank has taken so many bytes.
    pub(crate) fn taken(&mut self, bytes: u64) {
        self.underway = self.underway.saturating_sub(bytes);
    }

    /// Nobody reads it any more.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Watches it while it may be read.
    pub(crate) fn update(&mut self, poller: &Poller) -> Result<(), Errno> {
        let wanted = self.state == State::Open && self.underway < WINDOW && !self.is_file;
        if wanted != self.watched {
            let stdin = rustix::stdio::stdin();
            match wanted {
                true => match poller.watch(stdin, Source::Input) {
                    Ok(()) => self.watched = true,
                    // What epoll refuses never makes wait.
                    Err(Errno::PERM) => self.is_file = true,
                    // It is closed.
                    Err(_) => self.state = State::Closed,
                },
                false => {
                    poller.forget(stdin);
                    self.watched = false;
                }
            }
        }
        Ok(())
    }

    /// When to read without being told; `None`: never.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Open if self.is_file && self.underway < WINDOW => Some(Instant::now()),
            State::Background(until) => Some(until),
            _ => None,
        }
    }

    /// Time has passed. Returns what has been read; empty: it has ended.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let State::Background(until) = self.state
            && until <= now
        {
            self.state = State::Open;
        }
        match self.state {
            State::Open if self.is_file => self.read(),
            _ => None,
        }
    }

    /// Reads once, if there is something. Empty: it has ended.
    pub(crate) fn read(&mut self) -> Option<Vec<u8>> {
        let stdin = rustix::stdio::stdin();
        if self.state != State::Open || self.underway >= WINDOW {
            return None;
        }
        // Reading a terminal that is another job's would stop mpiexec.
        let owner = rustix::termios::tcgetpgrp(stdin);
        if owner.is_ok_and(|group| group != rustix::process::getpgrp()) {
            self.state = State::Background(Instant::now() + BACKGROUND);
            return None;
        }
        let mut fds = [PollFd::from_borrowed_fd(stdin, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if !matches!(poll(&mut fds, Some(&at_once)), Ok(1..)) {
            return None;
        }
        let mut bytes = vec![0; 16 << 10];
        match rustix::io::read(stdin, &mut bytes) {
            Ok(count) => {
                bytes.truncate(count);
                self.underway += count as u64;
                if count == 0 {
                    self.state = State::Closed;
                }
                Some(bytes)
            }
            Err(Errno::INTR | Errno::AGAIN) => None,
            Err(_) => {
                self.state = State::Closed;
                Some(Vec::new())
            }
        }
    }
}
