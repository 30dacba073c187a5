//! The sending end of a ring.

use core::ptr::{copy_nonoverlapping, read_unaligned, write_unaligned};

use crate::atomic::{AtomicU32, Ordering};
use crate::fence;
use crate::layout::{EVEN, INLINE, Ring, Slot, TURN};

/// What became of a frame.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// In the ring; the consumer polls it.
    Hot,
    /// In the ring, but the consumer does not look at it: raise this ring's bit in the consumer's
    /// [`crate::Bell`].
    Cold,
    /// No room. Nothing has changed.
    Full,
}

/// The sending end of a ring.
///
/// Invariants: slots from `slot` up to `until` have been released by the consumer and not been
/// written since, and lie in the current lap; the same holds for bytes from `body_at` up to
/// `body_limit`.
#[derive(Debug)]
pub struct Producer {
    slot: *const Slot,
    until: *const Slot,
    stamp: u64,
    hot: *const AtomicU32,
    ring: Ring,
    laps: u64,
    body_at: u64,
    body_limit: u64,
}

// SAFETY: it points to memory that outlives it (see `new`) and is the only producer there, in
// whichever thread.
unsafe impl Send for Producer {}

impl Producer {
    /// The producer of a ring.
    ///
    /// # Safety
    /// The ring's memory outlives the producer, and this is the only producer that the memory ever
    /// had.
    pub unsafe fn new(ring: Ring) -> Producer {
        // SAFETY: the caller's promise covers the control block.
        let control = unsafe { &*ring.control };
        Producer {
            slot: ring.slots,
            until: ring.slots,
            stamp: EVEN,
            hot: &control.hot,
            ring,
            laps: 0,
            body_at: 0,
            body_limit: ring.shape.body.into(),
        }
    }

    /// Answers `Cold` from now on, whatever the consumer says: for processes that cannot do
    /// asymmetric fences, because raising a bit is a full barrier.
    pub fn always_cold(&mut self) {
        // SAFETY: see `new`.
        self.hot = unsafe { &(*self.ring.control).never };
    }

    /// The longest body, in bytes.
    pub fn longest(&self) -> usize {
        self.ring.shape.longest()
    }

    /// Sends a frame whose body fits the slot: `len` is at most [`INLINE`]. Bits 16 and up of
    /// `head[0]` are ignored.
    ///
    /// # Safety
    /// `body` is readable for `len` bytes.
    #[inline(always)]
    pub unsafe fn push_inline(&mut self, head: [u64; 3], body: *const u8, len: usize) -> Pushed {
        debug_assert!(len <= INLINE);
        if self.slot == self.until && !self.more_slots() {
            return Pushed::Full;
        }
        // SAFETY: `slot` is ours to write until its stamp is stored, by the invariant of
        // `Producer`; a short body fits.
        unsafe {
            (*self.slot).rest.with_mut(|rest| {
                let rest = rest.cast::<u64>();
                rest.write(head[1]);
                rest.add(1).write(head[2]);
                copy_short(body, rest.add(2).cast(), len);
            });
        }
        self.publish(head[0], len)
    }

    /// Sends a frame of any length up to [`Producer::longest`]; longer is a panic.
    ///
    /// # Safety
    /// `body` is readable for `len` bytes.
    pub unsafe fn push(&mut self, head: [u64; 3], body: *const u8, len: usize) -> Pushed {
        if len <= INLINE {
            // SAFETY: the caller's promise.
            return unsafe { self.push_inline(head, body, len) };
        }
        assert!(
            len <= self.longest(),
            "a body of {len} bytes, but at most {}",
            self.longest()
        );
        if self.slot == self.until && !self.more_slots() {
            return Pushed::Full;
        }
        let Some(at) = self.place(len) else {
            return Pushed::Full;
        };
        // SAFETY: the bytes and the slot are ours to write until the stamp is stored, by the
        // invariant of `Producer`.
        unsafe {
            write_blocks(&self.ring, at, body, len);
            (*self.slot).rest.with_mut(|rest| {
                let rest = rest.cast::<u64>();
                rest.write(head[1]);
                rest.add(1).write(head[2]);
                rest.add(2).write(at);
            });
        }
        self.publish(head[0], len)
    }

    /// Hands the slot to the consumer.
    #[inline(always)]
    fn publish(&mut self, user: u64, len: usize) -> Pushed {
        let word0 = user & 0xffff | self.stamp | (len as u64) << 32;
        // SAFETY: the slot and the flag lie in the ring, see `new`.
        unsafe {
            // Pairs with the acquire load in `Consumer::pop`.
            (*self.slot).word0.store(word0, Ordering::Release);
            self.slot = self.slot.wrapping_add(1);
            // Pairs with the heavy fence between a consumer's clearing of the flag and its last
            // look at the ring.
            fence::light();
            if (*self.hot).load(Ordering::Relaxed) != 0 {
                Pushed::Hot
            } else {
                Pushed::Cold
            }
        }
    }

    /// Called when `slot` has reached `until`: turns into the next lap at the end of the ring, and
    /// looks how far the consumer has come. Returns whether there is a slot to write.
    #[cold]
    fn more_slots(&mut self) -> bool {
        if self.slot == self.ring.end() {
            self.slot = self.ring.slots;
            self.stamp ^= TURN;
            self.laps += 1;
        }
        let slots = u64::from(self.ring.shape.slots);
        let index = self.ring.index(self.slot);
        let sent = self.laps * slots + index;
        // SAFETY: see `new`. Pairs with the release store in `Consumer::publish`: its reads of the
        // slots are over.
        let released = unsafe { (*self.ring.control).slots.load(Ordering::Acquire) };
        // A value that cannot be (the consumer has gone wild) is as good as none.
        let free = slots.saturating_sub(sent.wrapping_sub(released));
        self.until = self.slot.wrapping_add(free.min(slots - index) as usize);
        free != 0
    }

    /// Takes contiguous room for a body and returns its position.
    #[inline]
    fn place(&mut self, len: usize) -> Option<u64> {
        let size = u64::from(self.ring.shape.body);
        let need = (len as u64).next_multiple_of(64);
        let to_end = size - (self.body_at & (size - 1));
        let at = if need <= to_end {
            self.body_at
        } else {
            self.body_at + to_end
        };
        if at + need > self.body_limit {
            // SAFETY: see `new`. Pairs with the release store in `Consumer::release_body`: its
            // reads of the bodies are over.
            let released = unsafe { (*self.ring.control).bytes.load(Ordering::Acquire) };
            // A value that cannot be (the consumer has gone wild) is as good as none.
            if self.body_at.wrapping_sub(released) > size {
                return None;
            }
            self.body_limit = released + size;
            if at + need > self.body_limit {
                return None;
            }
        }
        self.body_at = at + need;
        Some(at)
    }
}

/// Copies up to [`INLINE`] bytes.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, `len` is at most [`INLINE`], and they do
/// not overlap.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: every access lies within `len` bytes: two that overlap in the middle cover a length
    // between powers of two.
    unsafe {
        if len >= 16 {
            if len > 32 {
                move_as::<u128>(from, to, 16);
            }
            move_as::<u128>(from, to, 0);
            move_as::<u128>(from, to, len - 16);
        } else if len >= 8 {
            move_as::<u64>(from, to, 0);
            move_as::<u64>(from, to, len - 8);
        } else if len >= 4 {
            move_as::<u32>(from, to, 0);
            move_as::<u32>(from, to, len - 4);
        } else if len > 0 {
            move_as::<u8>(from, to, 0);
            move_as::<u8>(from, to, len / 2);
            move_as::<u8>(from, to, len - 1);
        }
    }
}

/// # Safety
/// `from` is readable and `to` writable for a `T` at `offset`.
#[inline(always)]
unsafe fn move_as<T>(from: *const u8, to: *mut u8, offset: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        write_unaligned(
            to.add(offset).cast::<T>(),
            read_unaligned(from.add(offset).cast::<T>()),
        )
    }
}

/// Copies a body to its place in the ring of bytes.
///
/// # Safety
/// `from` is readable for `len` bytes, and the bytes at `at` lie in one piece within the ring and
/// are the producer's.
#[cfg(not(loom))]
#[inline(always)]
unsafe fn write_blocks(ring: &Ring, at: u64, from: *const u8, len: usize) {
    let offset = (at & u64::from(ring.shape.body - 1)) as usize;
    // SAFETY: the caller's promise.
    unsafe {
        let to = ring.blocks.cast::<u8>().add(offset).cast_mut();
        if len <= 2048 {
            for line in (0..len).step_by(64) {
                core::arch::asm!("prefetchw \
                    [{}]", in(reg) to.add(line), options(nostack, preserves_flags));
            }
        }
        copy_nonoverlapping(from, to, len)
    }
}

/// As above, line by line, so that loom sees every line written.
#[cfg(loom)]
unsafe fn write_blocks(ring: &Ring, at: u64, from: *const u8, len: usize) {
    let first = (at & u64::from(ring.shape.body - 1)) as usize / size_of::<[u8; 64]>();
    for (i, start) in (0..len).step_by(64).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let block = &*ring.blocks.add(first + i);
            block.0.with_mut(|to| {
                copy_nonoverlapping(from.add(start), to.cast(), (len - start).min(64))
            });
        }
    }
}
