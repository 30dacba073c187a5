//! The receiving end of a ring.

use crate::atomic::Ordering;
use crate::layout::{Control, EVEN, INLINE, Ring, STAMP, Slot, TURN};

/// What [`Consumer::pop`] found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// One frame, which was handed over and released.
    Frame,
    /// Nothing.
    Empty,
    /// A frame whose body does not lie within the ring: the producer has gone wild. The ring stays
    /// where it is.
    Broken,
}

/// The receiving end of a ring.
///
/// Invariants: `slot` is the first slot that was not released, `stamp` what it holds once it is
/// written, `mark` the slot at which the count of released slots is told to the producer: the next
/// multiple of a quarter of the ring.
#[derive(Debug)]
pub struct Consumer {
    slot: *const Slot,
    stamp: u64,
    mark: *const Slot,
    ring: Ring,
    laps: u64,
    /// The end of the last body released, and of the last one that the producer was told of.
    bytes: u64,
    bytes_told: u64,
}

// SAFETY: it points to memory that outlives it (see `new`) and is the only consumer there, in
// whichever thread.
unsafe impl Send for Consumer {}

impl Consumer {
    /// The consumer of a ring. Reads and writes nothing yet.
    ///
    /// # Safety
    /// The ring's memory outlives the consumer, and this is the only consumer that the memory ever
    /// had.
    pub unsafe fn new(ring: Ring) -> Consumer {
        let mut consumer = Consumer {
            slot: ring.slots,
            stamp: EVEN,
            mark: ring.slots,
            ring,
            laps: 0,
            bytes: 0,
            bytes_told: 0,
        };
        consumer.set_mark();
        consumer
    }

    fn control(&self) -> &Control {
        // SAFETY: see `new`.
        unsafe { &*self.ring.control }
    }

    fn set_mark(&mut self) {
        self.mark = self
            .slot
            .wrapping_add((self.ring.shape.slots as usize / 4).max(1));
    }

    /// Tells the producer whether this ring is polled.
    #[inline]
    pub fn set_hot(&self, hot: bool) {
        // Cold: the heavy fence that must follow pairs with the light one in `Producer::publish`.
        // Hot: no order is needed, for whatever the producer does before it sees the flag only
        // raises a bit in vain.
        self.control().hot.store(hot.into(), Ordering::Relaxed);
    }

    /// Whether a frame is there.
    #[inline(always)]
    pub fn ready(&self) -> bool {
        // SAFETY: `slot` lies in the ring, see `new`. Relaxed: `pop` loads it again.
        let word0 = unsafe { (*self.slot).word0.load(Ordering::Relaxed) };
        (word0 ^ self.stamp) & STAMP == 0
    }

    /// Hands the next frame to `take` and releases it when that returns. `take` gets the three
    /// words of the head (bits 16 to 31 of the first are 0, its upper half is the length of the
    /// body), and the body: address and length. The body may lie in memory that the producer can
    /// still write.
    #[inline(always)]
    pub fn pop(&mut self, take: impl FnOnce([u64; 3], *const u8, usize)) -> Popped {
        // SAFETY: `slot` lies in the ring, see `new`. Pairs with the release store in
        // `Producer::publish`.
        let word0 = unsafe { (*self.slot).word0.load(Ordering::Acquire) };
        if (word0 ^ self.stamp) & STAMP != 0 {
            return Popped::Empty;
        }
        let len = (word0 >> 32) as usize;
        if len <= INLINE {
            // SAFETY: a written slot is the consumer's until it is released.
            unsafe {
                (*self.slot).rest.with(|rest| {
                    let rest = rest.cast::<u64>();
                    take(
                        [word0 & !STAMP, rest.read(), rest.add(1).read()],
                        rest.add(2).cast(),
                        len,
                    );
                });
            }
        } else {
            // SAFETY: as above.
            let [head1, head2, at] = unsafe {
                (*self.slot)
                    .rest
                    .with(|rest| rest.cast::<[u64; 3]>().read())
            };
            let size = u64::from(self.ring.shape.body);
            let offset = (at & (size - 1)) as usize;
            if len > self.ring.shape.longest() || offset + len > size as usize {
                return Popped::Broken;
            }
            // SAFETY: the body lies within the ring, just checked; it is the consumer's until it is
            // released.
            unsafe {
                with_blocks(&self.ring, offset, len, |body| {
                    take([word0 & !STAMP, head1, head2], body, len)
                })
            }
            self.release_body(at.wrapping_add((len as u64).next_multiple_of(64)));
        }
        self.slot = self.slot.wrapping_add(1);
        if self.slot == self.mark {
            self.publish();
        }
        Popped::Frame
    }

    #[inline(always)]
    fn release_body(&mut self, end: u64) {
        self.bytes = end;
        if end.wrapping_sub(self.bytes_told) >= self.ring.shape.longest() as u64 {
            self.bytes_told = end;
            // Pairs with the acquire load in `Producer::place`.
            self.control().bytes.store(end, Ordering::Release);
        }
    }

    #[cold]
    fn publish(&mut self) {
        if self.slot == self.ring.end() {
            self.slot = self.ring.slots;
            self.stamp ^= TURN;
            self.laps += 1;
        }
        let released = self.laps * u64::from(self.ring.shape.slots) + self.ring.index(self.slot);
        // Pairs with the acquire load in `Producer::more_slots`.
        self.control().slots.store(released, Ordering::Release);
        self.set_mark();
    }
}

/// Hands out the address of a body in the ring of bytes.
///
/// # Safety
/// The bytes lie in one piece within the ring and are the consumer's.
#[cfg(not(loom))]
#[inline(always)]
unsafe fn with_blocks(ring: &Ring, offset: usize, _len: usize, take: impl FnOnce(*const u8)) {
    // SAFETY: the caller's promise.
    take(unsafe { ring.blocks.cast::<u8>().add(offset) });
}

/// As above, from a copy made line by line, so that loom sees every line read.
#[cfg(loom)]
unsafe fn with_blocks(ring: &Ring, offset: usize, len: usize, take: impl FnOnce(*const u8)) {
    let mut copy = vec![0; len.next_multiple_of(64)];
    for (i, to) in copy.chunks_exact_mut(64).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            (*ring.blocks.add(offset / 64 + i))
                .0
                .with(|from| to.copy_from_slice(&*from))
        };
    }
    take(copy.as_ptr());
}
