//! Cross-memory attach: reading and writing a peer's memory by system call.
//!
//! Whether it works depends on the system, its security modules and containers, so the first use is
//! the probe. Before it, the peer is identified: a process id from another namespace may be a
//! stranger's here, so a random number is read from the process where the peer said that it lies,
//! and compared.
//!
//! A region is an address, and its length is the key, so that nothing is reached beyond its end.
//! Who owns the memory at the address now, nobody checks: the system protects memory that is not
//! there, and no other.

use core::sync::atomic::Ordering;
use std::io;

use ferrite_fabric::{
    Act, Atomics, Caps, Failure, Order, RawBuf, RawBufMut, Region, RmaLimits, Transfer,
};

use crate::layout::Card;
use crate::sys;

/// The calling thread copies before the call returns, so reads and writes are in order, and before
/// frames that follow.
const ORDER: Order = Order::NONE
    .with(Act::Read, Act::Read)
    .with(Act::Read, Act::Write)
    .with(Act::Read, Act::Frame)
    .with(Act::Write, Act::Read)
    .with(Act::Write, Act::Write)
    .with(Act::Write, Act::Frame);

/// Nothing is ever under way, and the system keeps no account of what peers were told.
const WITHOUT_LIMITS: RmaLimits = RmaLimits {
    inline: usize::MAX,
    transfer: usize::MAX,
    outstanding: usize::MAX,
    registrations: usize::MAX,
    registered: usize::MAX,
};

/// Memory of this process, `len` bytes from `addr` on, as peers on the node know it.
pub fn region_of(addr: u64, len: usize) -> Region {
    Region::new(addr, &(len as u64).to_le_bytes()).expect("8 bytes are a key")
}

/// Where the access lies, if it lies within the region.
fn address(region: &Region, offset: u64, len: usize) -> Option<u64> {
    let whole = u64::from_le_bytes(region.key().try_into().ok()?);
    let end = offset.checked_add(len as u64)?;
    region.addr.checked_add(end)?;
    (end <= whole).then(|| region.addr + offset)
}

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

    /// What the peer's memory can be used for, as far as it is known, and how much.
    pub(crate) fn limits(&self) -> (Caps, RmaLimits) {
        if let Peer::Unreachable = self.peer {
            return (Caps::NONE, RmaLimits::NONE);
        }
        let caps = Caps {
            read: !self.read_refused,
            write: !self.write_refused,
            atomics: Atomics::NONE,
            visible_writes: true,
            checks_keys: false,
            order: ORDER,
        };
        (caps, WITHOUT_LIMITS)
    }

    /// Reads `into.len` bytes at `offset` of a region of the peer whose card is `card`.
    ///
    /// # Safety
    /// `into` is writable.
    pub(crate) unsafe fn read(
        &mut self,
        card: &Card,
        from: &Region,
        offset: u64,
        into: RawBufMut,
    ) -> Transfer {
        let Some(pid) = self.process(card).filter(|_| !self.read_refused) else {
            return Transfer::Unavailable;
        };
        let Some(from) = address(from, offset, into.len) else {
            return Transfer::Failed(Failure::Denied);
        };
        let transfer = all(into.len, |at| {
            // SAFETY: the caller's promise; `at` is less than the length.
            unsafe { sys::read_process(pid, from + at as u64, into.ptr.add(at), into.len - at) }
        });
        self.read_refused = transfer == Transfer::Unavailable;
        transfer
    }

    /// Writes `from` to `offset` of a region of the peer whose card is `card`.
    ///
    /// # Safety
    /// `from` is readable.
    pub(crate) unsafe fn write(
        &mut self,
        card: &Card,
        to: &Region,
        offset: u64,
        from: RawBuf,
    ) -> Transfer {
        let Some(pid) = self.process(card).filter(|_| !self.write_refused) else {
            return Transfer::Unavailable;
        };
        let Some(to) = address(to, offset, from.len) else {
            return Transfer::Failed(Failure::Denied);
        };
        let transfer = all(from.len, |at| {
            // SAFETY: the caller's promise; `at` is less than the length.
            unsafe { sys::write_process(pid, to + at as u64, from.ptr.add(at), from.len - at) }
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

/// Whether all of a buffer is memory that this process may read and write. Its bytes stay as they
/// are. `true` also where the system does not tell.
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
    !matches!(moved, Transfer::Failed(_))
}

/// Repeats a copy that may be partial until all `len` bytes have moved.
fn all(len: usize, mut copy: impl FnMut(usize) -> io::Result<usize>) -> Transfer {
    let mut at = 0;
    while at < len {
        match copy(at) {
            Ok(0) => return Transfer::Failed(Failure::BadAddress),
            Ok(copied) => at += copied,
            // Only before the first byte: what worked once and stops working is a failure.
            Err(error) if at == 0 && sys::forbidden(&error) => return Transfer::Unavailable,
            Err(error) if sys::is_gone(&error) => return Transfer::Failed(Failure::Unreachable),
            Err(_) => return Transfer::Failed(Failure::BadAddress),
        }
    }
    Transfer::Done
}
