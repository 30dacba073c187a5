//! How large the segment of a node is, which its first rank decides for all.
//!
//! Address space (`ulimit -v`) and the length of files (`ulimit -f`) may be limited. The first rank to come takes the largest segment
//! that it can have and writes that down where the others read it, who follow or end with an error: so either all ranks of a
//! node share memory or none does, and either all count on boards or none does. Where not even the smallest segment can be had, ranks
//! go without.

use core::num::NonZeroU64;

use ferrite_ring::Shape;

use crate::attach::default_shape;
use crate::board::{Plan, UNIT, UNITS};
use crate::layout::Layout;
use crate::sys::Short;

/// What the first rank has decided. Travels between processes in a word, which is 0 before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// `None`: no shared memory.
    pub(crate) shape: Option<Shape>,
    /// Units of the pool of boards.
    pub(crate) units: usize,
    /// Why it is not the segment that speed wants.
    pub(crate) shortage: Option<Shortage>,
}

/// What there was too little of for the segment that speed wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Address space (`ulimit -v`).
    AddressSpace,
    /// Length of files (`ulimit -f`).
    FileSize,
    /// Something that the system has not told better than by refusing a memory file.
    Refused,
}

impl Decision {
    const MADE: u64 = 1;

    pub(crate) fn encode(self) -> NonZeroU64 {
        let (slots, body) = self
            .shape
            .map_or((0, 0), |shape| (shape.slots.ilog2(), shape.body.ilog2()));
        let shortage = match self.shortage {
            None => 0,
            Some(Shortage::AddressSpace) => 1,
            Some(Shortage::FileSize) => 2,
            Some(Shortage::Refused) => 3,
        };
        let word = Self::MADE
            | shortage << 4
            | u64::from(slots) << 8
            | u64::from(body) << 16
            | (self.units as u64) << 32;
        NonZeroU64::new(word).expect("a decision is not 0")
    }

    /// What a word says that anybody may have written: every result is one that memory can be laid out by.
    pub(crate) fn decode(word: NonZeroU64) -> Decision {
        let byte = |at: u32| (word.get() >> at) as u8;
        let shape = Shape {
            slots: 1u32.checked_shl(byte(8).into()).unwrap_or(0),
            body: 1u32.checked_shl(byte(16).into()).unwrap_or(0),
        };
        let shortage = match byte(4) & 0xf {
            0 => None,
            1 => Some(Shortage::AddressSpace),
            2 => Some(Shortage::FileSize),
            _ => Some(Shortage::Refused),
        };
        Decision {
            shape: Some(shape).filter(|shape| shape.valid() && shape.body <= MOST),
            units: ((word.get() >> 32) as usize).min(UNITS),
            shortage,
        }
    }

    pub(crate) fn without(shortage: Shortage) -> Decision {
        Decision {
            shape: None,
            units: 0,
            shortage: Some(shortage),
        }
    }

    /// The layout for so many ranks, where there is shared memory.
    pub(crate) fn layout(self, ranks: usize) -> Option<Layout> {
        let shape = self.shape?;
        Some(Layout {
            ranks,
            shape,
            units: self.units,
        })
    }
}

impl From<Short> for Shortage {
    fn from(short: Short) -> Shortage {
        match short {
            Short::Limit => Shortage::FileSize,
            Short::Refused => Shortage::Refused,
        }
    }
}

impl Shortage {
    /// What there was too little of on a node with so many ranks, and what would give them the segment that speed wants.
    pub(crate) fn sentence(self, ranks: usize) -> String {
        let best = Layout {
            ranks,
            shape: default_shape(ranks),
            units: UNITS,
        };
        let kib = |bytes: usize| bytes.div_ceil(1024);
        match self {
            Shortage::AddressSpace => format!(
                "the limit of the address space (ulimit -v) leaves too little; raise it by {} KiB",
                kib(best.mapped_bytes() + SPARE)
            ),
            Shortage::FileSize => format!(
                "the length of files is limited (ulimit -f), of those in memory, too; raise the limit to {} KiB",
                kib(best.bytes())
            ),
            Shortage::Refused => String::from(
                "the system refuses to give a file in memory its length; does a sandbox forbid ftruncate or fallocate, or is \
                 the file system full?",
            ),
        }
    }
}

/// Bytes of address space that a segment must leave to the program, or it is too large.
pub(crate) const SPARE: usize = 64 << 20;

/// No ring has more bytes for bodies.
const MOST: u32 = 1 << 30;

/// The segments that a node with so many ranks can do with, the best one first.
fn candidates(ranks: usize, chosen: Option<Shape>) -> impl Iterator<Item = (Shape, bool)> {
    let best = chosen.unwrap_or_else(|| default_shape(ranks));
    let small = chosen.unwrap_or(Shape {
        slots: 64,
        body: 32 << 10,
    });
    [(best, true), (small, true), (small, false)].into_iter()
}

/// Decides. `longest`: how long a file may be. `try_out`: whether a segment can be had.
pub(crate) fn decide(
    ranks: usize,
    chosen: Option<Shape>,
    longest: u64,
    mut try_out: impl FnMut(Layout) -> Result<(), Shortage>,
) -> Decision {
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    let mut shortage = None;
    for (shape, boards) in candidates(ranks, chosen) {
        let mut layout = Layout {
            ranks,
            shape,
            units: 0,
        };
        let room = longest.saturating_sub(layout.bytes()) / UNIT;
        layout.units = if boards { room.min(UNITS) } else { 0 };
        let tried = if layout.bytes() > longest
            || boards && layout.units < Plan::of(ranks).bytes() / UNIT
        {
            Err(Shortage::FileSize)
        } else {
            try_out(layout)
        };
        match tried {
            Ok(()) => {
                return Decision {
                    shape: Some(shape),
                    units: layout.units,
                    shortage,
                };
            }
            Err(short) => shortage = shortage.or(Some(short)),
        }
    }
    Decision::without(shortage.unwrap_or(Shortage::Refused))
}
