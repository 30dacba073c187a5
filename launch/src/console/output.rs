//! Merging what ranks write into mpiexec's own output, whole line by whole line.
//!
//! Invariants: a destination never carries bytes of two ranks in one line (where a rank has left
//! its line unfinished and another one writes, the line is broken). Bytes of one rank's stream keep
//! their order; if standard output and error are the same file, they share one destination. A
//! destination that does not take its bytes is [full](Output::is_full) at some point, and its
//! ranks' pipes are not read any more.
//!
//! Destinations belong to others, too (the user's shell), so they are never made non-blocking; they
//! are asked with `poll` before each write of at most [`PIPE_BUF`] bytes, which then does not
//! block.

use crate::process::{Poller, Source, report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::collections::VecDeque;

/// Bytes waiting for a destination beyond which what is shown there is not read, on any host.
pub(crate) const FULL: usize = 256 << 10;

/// What POSIX lets a pipe take at once when it can be written.
const PIPE_BUF: usize = 4096;

/// The output of a job.
pub(crate) struct Output {
    destinations: Vec<Destination>,
    /// Which destination standard output and standard error go to.
    of: [usize; 2],
    label: bool,
    /// Whether a destination has failed, other than by its reader's going away.
    failed: bool,
}

/// mpiexec's own standard output or error.
struct Destination {
    fd: BorrowedFd<'static>,
    name: &'static str,
    waiting: VecDeque<u8>,
    /// Whose unfinished line its last byte belongs to.
    line_of: Option<Writer>,
    state: State,
    /// Whether the event loop waits for room.
    awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Rank(u32, usize),
    Launcher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Its reader is gone, or it has failed: what is written to it is lost, and its streams are
    /// closed.
    Closed,
}

impl Output {
    /// Into mpiexec's own standard output and error.
    pub(crate) fn new(label: bool) -> Output {
        let (out, err) = (rustix::stdio::stdout(), rustix::stdio::stderr());
        Output::into(out, err, label)
    }

    fn into(out: BorrowedFd<'static>, err: BorrowedFd<'static>, label: bool) -> Output {
        let destination = |fd, name| Destination {
            fd,
            name,
            waiting: VecDeque::new(),
            line_of: None,
            state: State::Open,
            awaited: false,
        };
        let mut destinations = vec![destination(out, "standard output")];
        let same = match (rustix::fs::fstat(out), rustix::fs::fstat(err)) {
            (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
            _ => false,
        };
        if !same {
            destinations.push(destination(err, "standard error"));
        }
        Output {
            destinations,
            of: [0, usize::from(!same)],
            label,
            failed: false,
        }
    }

    /// Whether what ranks write to standard output (0) or error (1) is not to be read now.
    pub(crate) fn is_full(&self, which: usize) -> bool {
        self.destinations[self.of[which]].waiting.len() >= FULL
    }

    /// Whether nobody reads standard output (0) or error (1) any more.
    pub(crate) fn is_closed(&self, which: usize) -> bool {
        self.destinations[self.of[which]].state == State::Closed
    }

    /// Whether something that ranks wrote is lost.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether everything is written.
    pub(crate) fn is_finished(&self) -> bool {
        self.destinations.iter().all(|d| d.waiting.is_empty())
    }

    /// Waits for room where bytes wait.
    pub(crate) fn update(&mut self, poller: &Poller) -> Result<(), Errno> {
        for (number, destination) in self.destinations.iter_mut().enumerate() {
            let wanted = !destination.waiting.is_empty();
            if destination.awaited != wanted {
                match wanted {
                    true => poller.watch_room(destination.fd, Source::Destination(number))?,
                    false => poller.forget(destination.fd),
                }
                destination.awaited = wanted;
            }
        }
        Ok(())
    }

    /// Shows what a rank has written to standard output (0) or error (1).
    pub(crate) fn show(&mut self, rank: u32, which: usize, bytes: &[u8]) {
        let Some(last) = bytes.last() else {
            return;
        };
        let destination = &mut self.destinations[self.of[which]];
        let writer = Writer::Rank(rank, which);
        destination.start(writer);
        if self.label {
            let label = format!("[{rank}] ");
            for line in bytes.split_inclusive(|&b| b == b'\n') {
                if destination.line_of.is_none() {
                    destination.put(label.as_bytes());
                }
                destination.put(line);
                destination.line_of = (line.last() != Some(&b'\n')).then_some(writer);
            }
        } else {
            destination.put(bytes);
            destination.line_of = (*last != b'\n').then_some(writer);
        }
        self.write(self.of[which]);
    }

    /// A message of mpiexec's own, to standard error. Never held back.
    pub(crate) fn say(&mut self, sentence: &str) {
        let destination = &mut self.destinations[self.of[1]];
        destination.start(Writer::Launcher);
        destination.put(report::line(sentence).as_bytes());
        destination.line_of = None;
        self.write(self.of[1]);
    }

    /// Writes what waits for a destination, as far as it takes it now.
    pub(crate) fn write(&mut self, number: usize) {
        let destination = &mut self.destinations[number];
        let failure = match destination.write() {
            Ok(()) => return,
            Err(failure) => failure,
        };
        destination.state = State::Closed;
        destination.waiting = VecDeque::new();
        let name = destination.name;
        if failure == Errno::PIPE {
            return;
        }
        self.failed = true;
        if number != self.of[1] {
            self.say(&format!(
                "cannot write to {name}: {failure}; what the ranks write there is lost"
            ));
        }
    }
}

impl Destination {
    /// Breaks the line if another writer has left it unfinished.
    fn start(&mut self, writer: Writer) {
        if self.line_of.is_some_and(|of| of != writer) {
            self.put(b"\n");
            self.line_of = None;
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.state == State::Open {
            self.waiting.extend(bytes);
        }
    }

    fn write(&mut self) -> Result<(), Errno> {
        while !self.waiting.is_empty() {
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let mut fds = [PollFd::from_borrowed_fd(self.fd, PollFlags::OUT)];
            match poll(&mut fds, Some(&now)) {
                Ok(0) | Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
                Ok(_) => {}
                Err(e) => return Err(e),
            }
            let (front, _) = self.waiting.as_slices();
            match rustix::io::write(self.fd, &front[..front.len().min(PIPE_BUF)]) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
