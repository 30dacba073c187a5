//! Merging what ranks write into mpiexec's own output, whole line by whole line.
//!
//! Invariants: a destination never carries bytes of two ranks in one line (where a rank has left its line unfinished and
//! another one writes, the line is broken). Bytes of one rank's stream keep their order; if standard output and error are
//! the same file, they share one destination. What is held back is bounded: an unfinished line by [`LINE_MAX`] for each
//! stream, and a destination that does not take its bytes by [`FULL`], beyond which its ranks' pipes are not read, so that
//! the ranks wait as they would without mpiexec between.
//!
//! Destinations belong to others, too (the user's shell), so they are never made non-blocking; they are asked with `poll`
//! before each write of at most [`PIPE_BUF`] bytes, which then does not block.

use crate::report;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest line, in bytes, that is kept whole.
pub(crate) const LINE_MAX: usize = 64 << 10;

/// Bytes waiting for a destination beyond which its sources are not read.
const FULL: usize = 256 << 10;

/// What POSIX lets a pipe take at once when it can be written.
const PIPE_BUF: usize = 4096;

/// How long a stream has to be silent before an unfinished line, which may be a question, is shown.
const QUIET: Duration = Duration::from_millis(100);

/// The output of a job.
pub(crate) struct Output {
    streams: Vec<Stream>,
    destinations: Vec<Destination>,
    /// Which destination standard output and standard error go to.
    of: [usize; 2],
    label: bool,
    /// Whether a destination has failed, other than by its reader's going away.
    failed: bool,
}

/// One rank's standard output or error.
struct Stream {
    rank: u32,
    /// `None`: ended.
    source: Option<OwnedFd>,
    destination: usize,
    /// A line whose end has not come, as far as it is not shown.
    unfinished: Vec<u8>,
    /// When its last bytes came.
    since: Instant,
}

/// mpiexec's own standard output or error.
struct Destination {
    fd: BorrowedFd<'static>,
    name: &'static str,
    waiting: VecDeque<u8>,
    /// Whose unfinished line its last byte belongs to.
    line_of: Option<Writer>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Stream(usize),
    Launcher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Its reader is gone, or it has failed: what is written to it is lost, and its streams are closed.
    Closed,
}

/// What the event loop has to watch for. Recomputed after anything has been written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Readable, or ended.
    Yes,
    /// Not now.
    No,
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
            streams: Vec::new(),
            destinations,
            of: [0, usize::from(!same)],
            label,
            failed: false,
        }
    }

    /// Adds a rank's two streams, which do not block. Returns their numbers.
    pub(crate) fn add(&mut self, rank: u32, sources: [OwnedFd; 2]) -> [usize; 2] {
        let first = self.streams.len();
        for (source, destination) in sources.into_iter().zip(self.of) {
            self.streams.push(Stream {
                rank,
                source: Some(source),
                destination,
                unfinished: Vec::new(),
                since: Instant::now(),
            });
        }
        [first, first + 1]
    }

    /// Number of streams ever added.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// A stream's source, and whether it is to be watched now. `None`: it has ended.
    pub(crate) fn source(&self, stream: usize) -> Option<(BorrowedFd<'_>, Watch)> {
        let stream = &self.streams[stream];
        let source = stream.source.as_ref()?.as_fd();
        let full = self.destinations[stream.destination].waiting.len() >= FULL;
        Some((source, if full { Watch::No } else { Watch::Yes }))
    }

    /// Destinations that have bytes waiting.
    pub(crate) fn blocked(&self) -> impl Iterator<Item = (usize, BorrowedFd<'static>)> {
        let waiting = |(_, d): &(usize, &Destination)| !d.waiting.is_empty();
        self.destinations
            .iter()
            .enumerate()
            .filter(waiting)
            .map(|(number, d)| (number, d.fd))
    }

    /// Whether something that ranks wrote is lost.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// A destination's descriptor.
    pub(crate) fn destination(&self, number: usize) -> BorrowedFd<'static> {
        self.destinations[number].fd
    }

    /// Whether every stream has ended and everything is written.
    pub(crate) fn is_finished(&self) -> bool {
        self.streams.iter().all(|s| s.source.is_none()) && self.blocked().next().is_none()
    }

    /// Reads what a stream has, once. Returns whether it may have more.
    pub(crate) fn read(&mut self, number: usize) -> bool {
        let stream = &mut self.streams[number];
        let Some(source) = &stream.source else {
            return false;
        };
        if self.destinations[stream.destination].waiting.len() >= FULL {
            return false;
        }
        let before = stream.unfinished.len();
        stream.unfinished.resize(before + (LINE_MAX >> 1), 0);
        let got = rustix::io::read(source, &mut stream.unfinished[before..]);
        stream
            .unfinished
            .truncate(before + *got.as_ref().unwrap_or(&0));
        match got {
            Ok(0) => {
                self.end(number);
                false
            }
            Ok(_) => {
                stream.since = Instant::now();
                let whole = match stream.unfinished[before..]
                    .iter()
                    .rposition(|&b| b == b'\n')
                {
                    Some(newline) => before + newline + 1,
                    None if stream.unfinished.len() >= LINE_MAX => stream.unfinished.len(),
                    None => 0,
                };
                self.show(number, whole);
                true
            }
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            Err(_) => {
                self.end(number);
                false
            }
        }
    }

    /// Reads everything that a rank has written so far, as far as its destinations take it.
    pub(crate) fn drain(&mut self, streams: [usize; 2]) {
        for stream in streams {
            while self.read(stream) {}
        }
    }

    /// Shows unfinished lines of silent streams. Returns when to call again.
    pub(crate) fn show_questions(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for number in 0..self.streams.len() {
            let stream = &self.streams[number];
            if stream.unfinished.is_empty() {
                continue;
            }
            let due = stream.since + QUIET;
            if due <= now {
                self.show(number, stream.unfinished.len());
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        next
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
        for stream in &mut self.streams {
            if stream.destination == number {
                // From now on a rank that writes gets SIGPIPE, as it would if it wrote there itself.
                stream.source = None;
                stream.unfinished = Vec::new();
            }
        }
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

    fn end(&mut self, number: usize) {
        self.show(number, self.streams[number].unfinished.len());
        self.streams[number].source = None;
        self.streams[number].unfinished = Vec::new();
    }

    /// Moves the first bytes of what a stream has unfinished to its destination.
    fn show(&mut self, number: usize, count: usize) {
        if count == 0 {
            return;
        }
        let stream = &mut self.streams[number];
        let destination = &mut self.destinations[stream.destination];
        let writer = Writer::Stream(number);
        destination.start(writer);
        let bytes = &stream.unfinished[..count];
        if self.label {
            let label = format!("[{}] ", stream.rank);
            for line in bytes.split_inclusive(|&b| b == b'\n') {
                if destination.line_of.is_none() {
                    destination.put(label.as_bytes());
                }
                destination.put(line);
                destination.line_of = (line.last() != Some(&b'\n')).then_some(writer);
            }
        } else {
            destination.put(bytes);
            destination.line_of = (bytes.last() != Some(&b'\n')).then_some(writer);
        }
        stream.unfinished.drain(..count);
        if stream.unfinished.is_empty() {
            stream.unfinished = Vec::new();
        }
        let destination = stream.destination;
        self.write(destination);
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
