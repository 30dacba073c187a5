//! Cross-memory attach: reading and writing a peer's memory by system call.
//!
//! Whether it works depends on the system, its security modules and containers, so the first use is the probe. Before
//! it, the peer is identified: a process id from another namespace may be a stranger's here, so a random number is read from
//! the process where the peer said that it lies, and compared.

use core::sync::atomic::Ordering;
use std::io;

use ferrite_fabric::{RawBuf, RawBufMut, Transfer};

use crate::layout::Card;
use crate::sys;

#[derive(Clone, Copy, Debug)]
enum Peer {
    Unknown,
    Process(u32),
    Unreachable,
}

/// One peer's memory.
#[derive(Debug)]
pub(crate) struct PeerMemory {
    peer: Peer,
    read_refused: bool,
    write_refused: bool,
}

impl PeerMemory {
    pub(crate) fn new(allowed: bool) -> PeerMemory {
        let peer = if allowed {
            Peer::Unknown
        } else {
            Peer::Unreachable
        };
        PeerMemory {
            peer,
            read_refused: false,
            write_refused: false,
        }
    }

    pub(crate) fn can_read(&self) -> bool {
        !self.read_refused && !matches!(self.peer, Peer::Unreachable)
    }

    pub(crate) fn can_write(&self) -> bool {
        !self.write_refused && !matches!(self.peer, Peer::Unreachable)
    }

    /// Reads from address `from` of the peer whose card is `card`.
    ///
    /// # Safety
    /// `into` is writable.
    pub(crate) unsafe fn read(&mut self, card: &Card, from: u64, into: RawBufMut) -> Transfer {
        let Some(pid) = self.process(card).filter(|_| !self.read_refused) else {
            return Transfer::Unavailable;
        };
        let transfer = all(into.len, |at| {
            // SAFETY: the caller's promise; `at` is less than the length.
            unsafe {
                sys::read_process(
                    pid,
                    from.wrapping_add(at as u64),
                    into.ptr.add(at),
                    into.len - at,
                )
            }
        });
        self.read_refused = transfer == Transfer::Unavailable;
        transfer
    }

    /// Writes to address `to` of the peer whose card is `card`.
    ///
    /// # Safety
    /// `from` is readable.
    pub(crate) unsafe fn write(&mut self, card: &Card, to: u64, from: RawBuf) -> Transfer {
        let Some(pid) = self.process(card).filter(|_| !self.write_refused) else {
            return Transfer::Unavailable;
        };
        let transfer = all(from.len, |at| {
            // SAFETY: the caller's promise; `at` is less than the length.
            unsafe {
                sys::write_process(
                    pid,
                    to.wrapping_add(at as u64),
                    from.ptr.add(at),
                    from.len - at,
                )
            }
        });
        self.write_refused = transfer == Transfer::Unavailable;
        transfer
    }

    #[inline]
    fn process(&mut self, card: &Card) -> Option<u32> {
        if let Peer::Unknown = self.peer {
            self.peer = identify(card).map_or(Peer::Unreachable, Peer::Process);
        }
        match self.peer {
            Peer::Process(pid) => Some(pid),
            _ => None,
        }
    }
}

/// The peer's process id, if the process of that id holds the number that the peer announced.
#[cold]
fn identify(card: &Card) -> Option<u32> {
    // Pairs with the release store in `attach`.
    let pid = card.pid.load(Ordering::Acquire);
    let mut found = 0u64;
    // SAFETY: `found` is writable for its size.
    let read = unsafe {
        let nonce_at = card.nonce_at.load(Ordering::Relaxed);
        sys::read_process(pid, nonce_at, (&raw mut found).cast(), size_of::<u64>())
    };
    (pid != 0 && matches!(read, Ok(8)) && found == card.nonce.load(Ordering::Relaxed))
        .then_some(pid)
}

/// Whether all of a buffer is memory that this process may read and write. Its bytes stay as they are. `true` also where the
/// system does not tell.
pub fn is_own_memory(buffer: RawBufMut) -> bool {
    let moved = all(buffer.len, |at| {
        let part = buffer.ptr.wrapping_add(at);
        // SAFETY: the system checks the buffer, which is copied onto itself.
        unsafe {
            sys::read_process(
                std::process::id(),
                part.addr() as u64,
                part,
                buffer.len - at,
            )
        }
    });
    moved != Transfer::Failed
}

/// Repeats a copy that may be partial until all `len` bytes have moved.
fn all(len: usize, mut copy: impl FnMut(usize) -> io::Result<usize>) -> Transfer {
    let mut at = 0;
    while at < len {
        match copy(at) {
            Ok(0) => return Transfer::Failed,
            Ok(copied) => at += copied,
            // Only before the first byte: what worked once and stops working is a failure.
            Err(error) if at == 0 && sys::forbidden(&error) => return Transfer::Unavailable,
            Err(_) => return Transfer::Failed,
        }
    }
    Transfer::Done
}
