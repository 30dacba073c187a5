//! What a remote shell writes to standard error, in lines: its own complaints, and those of the
//! agent behind it.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// The longest line that is kept whole.
const LONGEST: usize = 1000;

/// Lines that are kept while nobody takes them: the last ones.
const MOST: usize = 20;

/// A remote shell's standard error.
#[derive(Default)]
pub(super) struct Complaints {
    /// `None`: ended.
    source: Option<OwnedFd>,
    bytes: Vec<u8>,
    lines: Vec<String>,
}

impl Complaints {
    /// Of a descriptor that does not block.
    pub(super) fn new(source: OwnedFd) -> Complaints {
        Complaints {
            source: Some(source),
            ..Complaints::default()
        }
    }

    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Reads what has arrived.
    pub(super) fn read(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(source) = &self.source {
            match rustix::io::read(source, &mut bytes) {
                Ok(count) if count > 0 => self.bytes.extend_from_slice(&bytes[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Ok(_) | Err(_) => {
                    self.source = None;
                    self.bytes.push(b'\n');
                }
            }
            while let Some(line) = cut(&mut self.bytes) {
                self.lines.push(line);
            }
        }
    }

    /// Lines that nobody has taken.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines[self.lines.len().saturating_sub(MOST)..]
    }

    /// Takes the lines away.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

/// Cuts off a whole line that is not empty.
fn cut(bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        let end = match bytes.iter().position(|&b| b == b'\n') {
            Some(end) => end,
            None if bytes.len() > LONGEST => LONGEST,
            None => return None,
        };
        let line: Vec<u8> = bytes.drain(..(end + 1).min(bytes.len())).collect();
        let line = String::from_utf8_lossy(&line).trim().to_string();
        if !line.is_empty() {
            return Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_blank_ones_skipped() {
        let mut bytes = b"one\r\n\n  \ntwo\nthr".to_vec();
        assert_eq!(cut(&mut bytes), Some("one".into()));
        assert_eq!(cut(&mut bytes), Some("two".into()));
        assert_eq!((cut(&mut bytes), &bytes[..]), (None, &b"thr"[..]));
        let mut long = vec![b'x'; 3000];
        assert!(cut(&mut long).is_some());
    }

    #[test]
    fn the_last_lines_are_kept_and_an_unfinished_one_counts_at_the_end() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&read, true).unwrap();
        let mut complaints = Complaints::new(read);
        for line in 0..MOST + 5 {
            rustix::io::write(&write, format!("line {line}\n").as_bytes()).unwrap();
        }
        rustix::io::write(&write, b"the end").unwrap();
        complaints.read();
        assert_eq!(complaints.lines().len(), MOST);
        drop(write);
        complaints.read();
        assert_eq!(complaints.lines().last(), Some(&"the end".to_string()));
        assert!(complaints.source().is_none());
        assert_eq!(complaints.take().len(), MOST + 6);
    }
}
