//! How large the segment of a node is, which its first rank decides for all.
//!
//! Address space (`ulimit -v`) and the length of files (`ulimit -f`) may be limited. The first rank
//! to come takes the largest segment that it can have and writes that down where the others read
//! it, who follow or end with an error: so either all ranks of a node share memory or none does,
//! and either all count on boards or none does. Where not even the smallest segment can be had,
//! ranks go without.

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

    /// What a word says that anybody may have written: every result is one that memory can be laid
    /// out by.
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
        // A pool in which not even the board of all ranks has room is none: the word may have been
        // written by anybody.
        let units = match self.units * UNIT < Plan::of(ranks).bytes() {
            true => 0,
            false => self.units,
        };
        Some(Layout {
            ranks,
            shape,
            units,
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
    /// What there was too little of on a node with so many ranks, and what would give them the
    /// segment that speed wants.
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
                "the length of files is limited (ulimit -f), of those in memory, too; raise the \
                 limit to {} KiB",
                kib(best.bytes())
            ),
            Shortage::Refused => String::from(
                "the system refuses to give a file in memory its length; does a sandbox forbid \
                 ftruncate or fallocate, or is \
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

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: u64 = u64::MAX;

    #[test]
    fn a_decision_travels_in_a_word() {
        for units in [0, 65, UNITS] {
            for shape in [None, Some(default_shape(4)), Some(default_shape(500))] {
                let shortages = [
                    None,
                    Some(Shortage::AddressSpace),
                    Some(Shortage::FileSize),
                    Some(Shortage::Refused),
                ];
                for shortage in shortages {
                    let decision = Decision {
                        shape,
                        units,
                        shortage,
                    };
                    assert_eq!(Decision::decode(decision.encode()), decision);
                }
            }
        }
    }

    #[test]
    fn any_word_is_a_layout_or_none() {
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..100_000 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            let decision = Decision::decode(NonZeroU64::new(word).expect("never 0"));
            if let Some(layout) = decision.layout(4032) {
                assert!(layout.shape.valid() && layout.units <= UNITS);
                assert!(layout.board_of_all_bytes() <= layout.units * UNIT);
                assert!(layout.mapped_bytes() <= layout.bytes());
            }
        }
    }

    #[test]
    fn the_best_that_can_be_had() {
        let best = decide(4, None, WIDE, |_| Ok(()));
        assert_eq!(best.shape, Some(default_shape(4)));
        assert_eq!((best.units, best.shortage), (UNITS, None));

        let mut refusals = 2;
        let third = decide(4, None, WIDE, |_| match refusals {
            0 => Ok(()),
            _ => {
                refusals -= 1;
                Err(Shortage::AddressSpace)
            }
        });
        assert_ne!(third.shape, best.shape);
        assert!(third.shape.is_some());
        assert_eq!(
            (third.units, third.shortage),
            (0, Some(Shortage::AddressSpace))
        );

        let none = decide(4, None, WIDE, |_| Err(Shortage::Refused));
        assert_eq!(none, Decision::without(Shortage::Refused));
    }

    #[test]
    fn a_file_is_never_longer_than_it_may_be() {
        for longest in (0..30).map(|power| 4u64 << power) {
            let decision = decide(4, None, longest, |layout| {
                assert!(layout.bytes() as u64 <= longest);
                Ok(())
            });
            let Some(layout) = decision.layout(4) else {
                continue;
            };
            assert!(layout.units == 0 || layout.units * UNIT >= layout.board_of_all_bytes());
        }
        let chosen = Shape {
            slots: 4,
            body: 1024,
        };
        let small = decide(4, Some(chosen), 100_000, |_| Ok(()));
        assert_eq!((small.shape, small.units), (Some(chosen), 0));
    }
}
