//! What the ranks of this host write, cut into whole lines.
//!
//! Invariants: bytes of one stream keep their order. What is held back is bounded by [`LINE_MAX`]
//! for each stream; while there is no room for what it would be shown on, a stream is not read, so
//! that its rank waits as it would without mpiexec between.

use crate::process::{Poller, Source};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// The longest line, in bytes, that is kept whole.
pub(crate) const LINE_MAX: usize = 64 << 10;

/// How long a stream has to be silent before an unfinished line, which may be a question, is shown.
const QUIET: Duration = Duration::from_millis(100);

/// The most that a pipe holds unless an administrator has said otherwise.
const MOST_OF_A_PIPE: usize = 1 << 20;

/// The streams of a host's ranks.
#[derive(Default)]
pub(crate) struct Streams {
    streams: Vec<Stream>,
    /// Whether there is no room for standard output (0) and error (1).
    full: [bool; 2],
}

/// One rank's standard output (0) or error (1).
struct Stream {
    rank: u32,
    which: usize,
    /// `None`: ended.
    source: Option<OwnedFd>,
    /// A line whose end has not come, as far as it is not shown.
    unfinished: Vec<u8>,
    /// When its last bytes came.
    since: Instant,
    watched: bool,
}

/// Bytes that are to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) rank: u32,
    pub(crate) which: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Streams {
    /// Adds a rank's two streams, which do not block. Returns their numbers.
    pub(crate) fn add(&mut self, rank: u32, sources: [OwnedFd; 2]) -> [usize; 2] {
        let first = self.streams.len();
        for (which, source) in sources.into_iter().enumerate() {
            self.streams.push(Stream {
                rank,
                which,
                source: Some(source),
                unfinished: Vec::new(),
                since: Instant::now(),
                watched: false,
            });
        }
        [first, first + 1]
    }

    /// Whether there is room for what ranks write.
    pub(crate) fn set_full(&mut self, which: usize, full: bool) {
        self.full[which] = full;
    }

    /// Nobody reads it any more: a rank that writes gets SIGPIPE, as it would if it wrote there
    /// itself.
    pub(crate) fn close(&mut self, which: usize) {
        for stream in self.streams.iter_mut().filter(|s| s.which == which) {
            stream.source = None;
            stream.unfinished = Vec::new();
        }
    }

    /// Whether every stream has ended.
    pub(crate) fn are_finished(&self) -> bool {
        self.streams.iter().all(|stream| stream.source.is_none())
    }

    /// Watches the streams that are to be read now, and no others.
    pub(crate) fn update(&mut self, poller: &Poller) -> Result<(), Errno> {
        for (number, stream) in self.streams.iter_mut().enumerate() {
            // A source that has ended is closed, which has removed it.
            let Some(source) = &stream.source else {
                continue;
            };
            let wanted = !self.full[stream.which];
            if stream.watched != wanted {
                match wanted {
                    true => poller.watch(source.as_fd(), Source::Stream(number))?,
                    false => poller.forget(source),
                }
                stream.watched = wanted;
            }
        }
        Ok(())
    }

    /// Reads what a stream has, once. `None`: nothing more for now.
    pub(crate) fn read(&mut self, number: usize) -> Option<Shown> {
        let stream = &mut self.streams[number];
        let source = stream.source.as_ref()?;
        if self.full[stream.which] {
            return None;
        }
        loop {
            let before = stream.unfinished.len();
            stream.unfinished.resize(before + (LINE_MAX >> 1), 0);
            let got = rustix::io::read(source, &mut stream.unfinished[before..]);
            let count = *got.as_ref().unwrap_or(&0);
            stream.unfinished.truncate(before + count);
            match got {
                Ok(0) => break,
                Ok(_) => {
                    stream.since = Instant::now();
                    let newline = stream.unfinished[before..]
                        .iter()
                        .rposition(|&b| b == b'\n');
                    let whole = match newline {
                        Some(newline) => before + newline + 1,
                        None if stream.unfinished.len() >= LINE_MAX => stream.unfinished.len(),
                        None => continue,
                    };
                    return Some(stream.show(whole));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Err(_) => break,
            }
        }
        stream.source = None;
        (!stream.unfinished.is_empty()).then(|| stream.show(stream.unfinished.len()))
    }

    /// What a rank has written so far, as far as there is room for it.
    pub(crate) fn drain(&mut self, streams: [usize; 2], mut show: impl FnMut(Shown)) {
        for stream in streams {
            // What a rank has left behind may go on writing for ever.
            let mut left = MOST_OF_A_PIPE;
            while let Some(shown) = self.read(stream) {
                left = left.saturating_sub(shown.bytes.len());
                show(shown);
                if left == 0 {
                    break;
                }
            }
        }
    }

    /// Unfinished lines of silent streams.
    pub(crate) fn questions(&mut self, now: Instant) -> Vec<Shown> {
        let due =
            |stream: &&mut Stream| !stream.unfinished.is_empty() && stream.since + QUIET <= now;
        let silent = self.streams.iter_mut().filter(due);
        silent
            .map(|stream| stream.show(stream.unfinished.len()))
            .collect()
    }

    /// When to ask for questions again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let unfinished = self.streams.iter().filter(|s| !s.unfinished.is_empty());
        unfinished.map(|stream| stream.since + QUIET).min()
    }
}

impl Stream {
    fn show(&mut self, count: usize) -> Shown {
        let rest = self.unfinished.split_off(count);
        Shown {
            rank: self.rank,
            which: self.which,
            bytes: std::mem::replace(&mut self.unfinished, rest),
        }
    }
}
