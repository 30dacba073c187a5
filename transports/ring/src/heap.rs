//! A ring in the memory of one process, for two of its threads and for models.

use crate::atomic::{AtomicU32, AtomicU64, UnsafeCell};
use crate::layout::{Block, Control, Ring, Shape, Slot};

/// Memory of a ring on the heap.
pub struct HeapRing {
    control: Box<Control>,
    slots: Box<[Slot]>,
    blocks: Box<[Block]>,
    shape: Shape,
}

// SAFETY: all parts are atomics, or cells that the protocol of producer and consumer hands from one
// side to the other.
unsafe impl Sync for HeapRing {}

impl HeapRing {
    /// An empty ring.
    pub fn new(shape: Shape) -> HeapRing {
        assert!(shape.valid());
        let slot = |_| Slot {
            word0: AtomicU64::new(0),
            rest: UnsafeCell::new([0; 7]),
        };
        HeapRing {
            control: Box::new(Control {
                hot: AtomicU32::new(0),
                never: AtomicU32::new(0),
                slots: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
            }),
            slots: (0..shape.slots).map(slot).collect(),
            blocks: (0..shape.body / 64)
                .map(|_| Block(UnsafeCell::new([0; 64])))
                .collect(),
            shape,
        }
    }

    /// Where it lies.
    pub fn ring(&self) -> Ring {
        Ring {
            control: &raw const *self.control,
            slots: self.slots.as_ptr(),
            blocks: self.blocks.as_ptr(),
            shape: self.shape,
        }
    }
}
