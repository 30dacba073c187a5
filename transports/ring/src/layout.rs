//! What a ring looks like in memory.

use core::fmt;

use crate::atomic::{AtomicU32, AtomicU64, UnsafeCell};

/// Bytes of a slot: a cache line.
pub const SLOT: usize = 64;
/// The longest body, in bytes, that travels within its slot.
pub const INLINE: usize = 40;

/// Bits of a slot's first word that tell whether the slot has been written in this lap. The
/// consumer's own: a caller's `head[0]` has its bits 16 to 31 ignored by the producer and cleared
/// by the consumer.
pub(crate) const STAMP: u64 = 0xffff << 16;
/// Stamp of even laps. Never 0, which is what untouched memory holds.
pub(crate) const EVEN: u64 = 1 << 16;
/// `stamp ^ TURN` is the stamp of the next lap. Two stamps do: a slot holds that of this lap or of
/// the one before.
pub(crate) const TURN: u64 = 3 << 16;

/// A slot. The first word holds user bits 0..16, stamp 16..32, length of the body 32..64; words 1
/// and 2 are the user's; the other 40 bytes are the body, or in their first word the body's
/// position in the ring of bytes.
///
/// Slots hold headers and short bodies at fixed places, so old contents can never pass for a stamp.
#[repr(C, align(64))]
pub(crate) struct Slot {
    pub(crate) word0: AtomicU64,
    pub(crate) rest: UnsafeCell<[u64; 7]>,
}

/// What the consumer writes and the producer reads. Alone in 128 bytes: processors fetch lines in
/// pairs.
#[repr(C, align(128))]
pub(crate) struct Control {
    /// Not 0 while the consumer polls the ring by itself.
    pub(crate) hot: AtomicU32,
    /// Always 0: the flag of a producer that must not trust `hot`.
    pub(crate) never: AtomicU32,
    /// Slots released since the beginning.
    pub(crate) slots: AtomicU64,
    /// Position in the ring of bytes, counted since the beginning, up to which bodies are released.
    pub(crate) bytes: AtomicU64,
}

/// A line of the ring of bytes.
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) UnsafeCell<[u8; 64]>);

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Slot>() == SLOT);
    assert!(size_of::<Control>() == 128);
    assert!(size_of::<Block>() == 64);
};

/// The size of a ring. Both sides must use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Slots; a power of two.
    pub slots: u32,
    /// Bytes for bodies longer than [`INLINE`]; a power of two, at least 256.
    pub body: u32,
}

impl Shape {
    /// Whether a ring can have this shape.
    pub const fn valid(self) -> bool {
        self.slots.is_power_of_two() && self.body.is_power_of_two() && self.body >= 256
    }

    /// Bytes of memory that a ring of this shape occupies.
    pub const fn bytes(self) -> usize {
        128 + self.slots as usize * SLOT + self.body as usize
    }

    /// The longest body, in bytes. A quarter of the ring of bytes: padding before the end, the body
    /// itself and what the consumer has not yet told it released then always fit, so an idle
    /// consumer never owes the producer anything.
    pub const fn longest(self) -> usize {
        self.body as usize / 4
    }
}

/// Where a ring lies in this process's memory. A copy of it does not keep the memory alive.
#[derive(Clone, Copy)]
pub struct Ring {
    pub(crate) control: *const Control,
    pub(crate) slots: *const Slot,
    pub(crate) blocks: *const Block,
    pub(crate) shape: Shape,
}

// SAFETY: a ring is addresses; whoever dereferences them answers for the memory.
unsafe impl Send for Ring {}

impl Ring {
    /// The ring of `shape` at `memory`, which must be aligned to 128 bytes.
    ///
    /// # Safety
    /// `memory` begins an allocation of at least `shape.bytes()` bytes, zero or already used as a
    /// ring of the same shape.
    #[cfg(not(loom))]
    pub unsafe fn at(memory: *mut u8, shape: Shape) -> Ring {
        assert!(shape.valid() && memory.addr().is_multiple_of(128));
        // SAFETY: all three parts lie within `shape.bytes()`.
        let (slots, blocks) = unsafe {
            (
                memory.add(128),
                memory.add(128 + shape.slots as usize * SLOT),
            )
        };
        Ring {
            control: memory.cast(),
            slots: slots.cast(),
            blocks: blocks.cast(),
            shape,
        }
    }

    pub(crate) fn end(&self) -> *const Slot {
        self.slots.wrapping_add(self.shape.slots as usize)
    }

    /// Index of a slot, `shape.slots` for the end.
    pub(crate) fn index(&self, slot: *const Slot) -> u64 {
        ((slot.addr() - self.slots.addr()) / size_of::<Slot>()) as u64
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("at", &self.control)
            .field("shape", &self.shape)
            .finish()
    }
}
