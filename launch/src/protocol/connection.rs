//! A connection between two levels of the tree of agents: two descriptors, frames both ways, and
//! whether the other end is alive.

use super::message;
use super::message::{Broken, Decoder, Piece};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::time::{Duration, Instant};

/// How often each end says that it is alive if it has nothing else to say.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// After so much silence the other end is lost. A connection of ssh is TCP with the kernel's own
/// timing: what was lost is sent again after waits that double, so that a link which was down for 5
/// s may stay unused for 10 s and a little more.
pub(crate) const SILENCE: Duration = Duration::from_secs(12);

/// One end of a connection.
pub(crate) struct Connection {
    input: OwnedFd,
    output: OwnedFd,
    decoder: Decoder,
    /// Encoded, not written yet.
    outbox: Vec<u8>,
    /// When something last came.
    heard: Instant,
    /// When something was last said.
    spoke: Instant,
}

/// What reading found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read<T> {
    Pieces(Vec<Piece<T>>),
    /// The last pieces before the other end closed, or broke the rules.
    Last(Vec<Piece<T>>, Option<Broken>),
}

impl Connection {
    /// Over descriptors that from now on do not block. Says the preamble.
    pub(crate) fn new(input: OwnedFd, output: OwnedFd) -> io::Result<Connection> {
        rustix::io::ioctl_fionbio(&input, true)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        let now = Instant::now();
        Ok(Connection {
            input,
            output,
            decoder: Decoder::default(),
            outbox: message::preamble(),
            heard: now,
            spoke: now,
        })
    }

    /// Sends a message soon: [`Connection::flush`] follows.
    pub(crate) fn send<T: Serialize>(&mut self, node: u32, message: &T) {
        message::encode(node, message, &mut self.outbox);
        self.spoke = Instant::now();
    }

    /// Writes what waits, as far as it is taken. A failure shows when reading: the other end is
    /// gone.
    pub(crate) fn flush(&mut self) {
        while !self.outbox.is_empty() {
            match rustix::io::write(&self.output, &self.outbox) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.outbox.clear(),
            }
        }
        self.outbox = Vec::new();
    }

    /// Whether something waits to be written.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Everything that has arrived.
    pub(crate) fn read<T: DeserializeOwned>(&mut self) -> Read<T> {
        let mut pieces = Vec::new();
        let mut bytes = vec![0; 64 << 10];
        loop {
            let closed = match rustix::io::read(&self.input, &mut bytes) {
                Ok(0) => true,
                Ok(count) => {
                    self.heard = Instant::now();
                    self.decoder.put(&bytes[..count]);
                    false
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Read::Pieces(pieces),
                Err(_) => true,
            };
            loop {
                match self.decoder.next() {
                    Ok(Some(piece)) => pieces.push(piece),
                    Ok(None) => break,
                    Err(broken) => return Read::Last(pieces, Some(broken)),
                }
            }
            if closed {
                return Read::Last(pieces, None);
            }
        }
    }

    /// Says that this end is alive if it has been silent. Returns when to call again.
    pub(crate) fn beat<T: Serialize>(&mut self, node: u32, beat: &T, now: Instant) -> Instant {
        if self.spoke + BEAT <= now {
            // An outbox that is not taken would only grow.
            if self.is_blocked() {
                self.spoke = now;
            } else {
                self.send(node, beat);
            }
        }
        self.spoke + BEAT
    }

    /// When the other end is lost unless something comes.
    pub(crate) fn silent_at(&self) -> Instant {
        self.heard + SILENCE
    }

    /// This process has not been able to listen.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.heard = now;
    }

    /// What stood before the other end's preamble.
    pub(crate) fn noise(&self) -> String {
        let noise = self.decoder.noise();
        String::from_utf8_lossy(&noise).trim().to_string()
    }

    pub(crate) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    pub(crate) fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Down, Up, VERSION};
    use rustix::pipe::{PipeFlags, pipe_with};

    fn pair() -> (Connection, Connection) {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).unwrap();
        let ((up_out, up_in), (down_out, down_in)) = (pipe(), pipe());
        let above = Connection::new(up_out, down_in).unwrap();
        (above, Connection::new(down_out, up_in).unwrap())
    }

    #[test]
    fn what_does_not_fit_is_written_later() {
        let (mut above, mut below) = pair();
        let long = Down::Input(vec![7; 1 << 20]);
        above.send(3, &long);
        above.flush();
        assert!(above.is_blocked());
        let mut found = Vec::new();
        while found.len() < 2 {
            match below.read::<Down>() {
                Read::Pieces(pieces) => found.extend(pieces),
                Read::Last(..) => panic!("it has closed"),
            }
            above.flush();
        }
        assert_eq!(found[0], Piece::Preamble(VERSION.into()));
        assert_eq!(found[1], Piece::Frame(3, long));
        assert!(!above.is_blocked());
    }

    #[test]
    fn last_words_are_heard() {
        let (mut above, mut below) = pair();
        below.send(1, &Up::Done);
        below.flush();
        drop(below);
        let last = vec![Piece::Preamble(VERSION.into()), Piece::Frame(1, Up::Done)];
        assert_eq!(above.read::<Up>(), Read::Last(last, None));
    }

    #[test]
    fn silence_is_filled_with_beats() {
        let (mut above, mut below) = pair();
        let now = Instant::now();
        below.flush();
        assert!(below.beat(0, &Up::Beat, now) > now);
        below.beat(0, &Up::Beat, now + BEAT);
        below.flush();
        let Read::Pieces(pieces) = above.read::<Up>() else {
            panic!("it has closed")
        };
        assert_eq!(pieces.last(), Some(&Piece::Frame(0, Up::Beat)));
    }
}
