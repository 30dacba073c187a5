//! What waits to be written to one connection: copied bytes and lent bodies, in order.

use std::collections::VecDeque;

use ferrite_fabric::{RawBuf, Token};

/// Pieces handed to the system in one call.
pub(crate) const PIECES: usize = 16;

/// Copied bytes beyond which a link is full.
const FULL: usize = 256 << 10;

/// Lent bodies beyond which it is.
const LENT: usize = 64;

#[derive(Debug)]
enum Piece {
    /// The next so many of the copied bytes.
    Copied(usize),
    /// A body that its owner keeps until it is written.
    Lent(RawBuf, Token),
}

/// Invariant: the lengths of the `Copied` pieces add up to the bytes of `copied` from `head` on.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    copied: Vec<u8>,
    /// Where the bytes begin that are not written yet.
    head: usize,
    pieces: VecDeque<Piece>,
    /// Bodies lent.
    bodies: usize,
    /// Their bytes that are not written yet.
    lent: usize,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Copied bytes that wait.
    #[inline]
    pub(crate) fn copied(&self) -> usize {
        self.copied.len() - self.head
    }

    /// Lent bytes that wait.
    #[inline]
    pub(crate) fn lent(&self) -> usize {
        self.lent
    }

    pub(crate) fn is_full(&self) -> bool {
        self.copied() >= FULL || self.bodies >= LENT
    }

    /// Adds bytes to be copied.
    ///
    /// # Safety
    /// `bytes` is readable.
    #[inline]
    pub(crate) unsafe fn copy(&mut self, bytes: RawBuf) {
        if bytes.len == 0 {
            return;
        }
        self.copied.reserve(bytes.len);
        // SAFETY: there is room for `bytes.len` bytes behind the initialised ones, which are filled
        // before they count; the caller's promise.
        unsafe {
            let end = self.copied.as_mut_ptr().add(self.copied.len());
            bytes.copy_to(end);
            self.copied.set_len(self.copied.len() + bytes.len);
        }
        match self.pieces.back_mut() {
            Some(Piece::Copied(len)) => *len += bytes.len,
            _ => self.pieces.push_back(Piece::Copied(bytes.len)),
        }
    }

    /// Adds a body that stays with its owner.
    pub(crate) fn lend(&mut self, body: RawBuf, token: Token) {
        self.pieces.push_back(Piece::Lent(body, token));
        self.bodies += 1;
        self.lent += body.len;
    }

    /// The first pieces, to be written now. They are valid until the queue changes.
    pub(crate) fn front(&self, into: &mut [RawBuf; PIECES]) -> usize {
        let mut at = self.head;
        let mut count = 0;
        for (piece, into) in self.pieces.iter().zip(into) {
            *into = match piece {
                Piece::Copied(len) => {
                    let bytes = RawBuf::of(&self.copied[at..at + len]);
                    at += len;
                    bytes
                }
                Piece::Lent(body, _) => *body,
            };
            count += 1;
        }
        count
    }

    /// Takes off `written` bytes. `done` is told the tokens of bodies that are written.
    pub(crate) fn advance(&mut self, mut written: usize, mut done: impl FnMut(Token)) {
        while written > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                debug_assert!(false, "more written than there was");
                return;
            };
            let len = match piece {
                Piece::Copied(len) => *len,
                Piece::Lent(body, _) => body.len,
            };
            let part = written.min(len);
            written -= part;
            match piece {
                Piece::Copied(_) => self.head += part,
                Piece::Lent(..) => self.lent -= part,
            }
            if part < len {
                match piece {
                    Piece::Copied(left) => *left -= part,
                    Piece::Lent(body, _) => *body = body.part(part, len - part),
                }
                break;
            }
            if let Some(Piece::Lent(_, token)) = self.pieces.pop_front() {
                self.bodies -= 1;
                done(token);
            }
        }
        if self.head == self.copied.len() {
            self.copied.clear();
            self.head = 0;
        } else if self.head >= FULL {
            self.copied.drain(..self.head);
            self.head = 0;
        }
    }

    /// Forgets everything: the connection is gone, lent bodies are not touched any more.
    pub(crate) fn clear(&mut self) {
        *self = Queue::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes at most `most` bytes as a socket would.
    fn write(queue: &mut Queue, most: usize, out: &mut Vec<u8>, done: &mut Vec<u64>) {
        let mut front = [RawBuf::EMPTY; PIECES];
        let count = queue.front(&mut front);
        let mut left = most;
        let before = out.len();
        for piece in &front[..count] {
            let len = piece.len.min(left);
            let mut copy = vec![0; len];
            // SAFETY: the queue's pieces are readable.
            unsafe { piece.part(0, len).copy_to(copy.as_mut_ptr()) };
            out.extend(copy);
            left -= len;
        }
        queue.advance(out.len() - before, |token| done.push(token.0));
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_system_takes() {
        let lent = [vec![1u8; 5], vec![2; 1], vec![3; 700]];
        for most in [1, 2, 3, 7, 64, 1000, 100_000] {
            let mut queue = Queue::default();
            let mut expected = Vec::new();
            for round in 0..50u8 {
                let bytes = vec![round; usize::from(round) % 7];
                // SAFETY: a slice.
                unsafe { queue.copy(RawBuf::of(&bytes)) };
                expected.extend(&bytes);
                if round % 3 == 0 {
                    let body = &lent[usize::from(round / 3) % 3];
                    queue.lend(RawBuf::of(body), Token(round.into()));
                    expected.extend(body);
                }
            }
            let (mut out, mut done) = (Vec::new(), Vec::new());
            while !queue.is_empty() {
                write(&mut queue, most, &mut out, &mut done);
            }
            assert_eq!(out, expected, "{most} bytes at a time");
            assert_eq!(done, (0..50).step_by(3).collect::<Vec<u64>>());
            assert_eq!((queue.copied(), queue.lent()), (0, 0));
        }
    }

    #[test]
    fn a_queue_is_full_at_some_time() {
        let mut queue = Queue::default();
        // SAFETY: a slice.
        unsafe { queue.copy(RawBuf::of(&vec![0; FULL])) };
        assert!(queue.is_full());
        queue.advance(1, |_| {});
        assert!(!queue.is_full());
        queue.clear();
        assert!(queue.is_empty());
    }
}
