//! What goes over a board, and how.

use crate::collective::shape::Collective;
use crate::collective::thresholds::Named;

/// Thresholds of calls over a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardThresholds {
    /// Vectors and blocks of up to this many bytes go over a board.
    pub longest: BoardLengths,
    /// The most turns of a board that a call takes. Many members have short slots, for which a long
    /// call would wait often.
    pub turns: usize,
    /// Vectors of up to this many bytes are combined on a board by everybody who wants the result,
    /// longer ones in slices where that is all.
    pub sliced_above: usize,
    /// The same where ranks take turns on a processor, and waiting once more costs more.
    pub sliced_above_crowded: usize,
}

/// Makes [`BoardLengths`], in which several collectives can share a row.
macro_rules! lengths {
    ($($(#[doc = $doc:literal])+ $row:ident for $($collective:ident)|+: $default:expr;)+) => {
        /// For two ranks, for up to four, and for more. Two copies through the cache are cheaper
        /// than one from memory to memory by system call, and wait less often than messages do;
        /// where every rank has another block for every other, a turn has little room for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct BoardLengths {
            $( $(#[doc = $doc])+ pub $row: [usize; 3], )+
        }

        impl BoardLengths {
            /// Measured with two to eight ranks on two processors.
            const DEFAULT: BoardLengths = BoardLengths { $( $row: $default, )+ };

            #[inline]
            pub(in crate::collective) fn of(&self, collective: Collective, size: u32) -> usize {
                let longest = match collective {
                    Collective::Barrier => return usize::MAX,
                    $( $(Collective::$collective)|+ => self.$row, )+
                };
                longest[usize::from(size > 2) + usize::from(size > 4)]
            }

            /// The same for all.
            #[cfg(test)]
            pub(in crate::collective) const fn all(bytes: usize) -> BoardLengths {
                BoardLengths { $( $row: [bytes; 3], )+ }
            }
        }

        impl BoardThresholds {
            /// All of them, by name. Those of lengths are for more than four ranks, those that end
            /// in a number for at most as many.
            pub(in crate::collective) const NAMED: &[Named] = &[
                ("board_turns", |t| &mut t.board.turns),
                ("board_flat", |t| &mut t.board.sliced_above),
                ("board_flat_crowded", |t| &mut t.board.sliced_above_crowded),
                $(
                    (concat!("board_", stringify!($row)), |t| &mut t.board.longest.$row[2]),
                    (concat!("board_", stringify!($row), "4"), |t| &mut t.board.longest.$row[1]),
                    (concat!("board_", stringify!($row), "2"), |t| &mut t.board.longest.$row[0]),
                )+
            ];
        }
    };
}

lengths! {
    /// Broadcasts.
    bcast for Bcast: [usize::MAX; 3];
    /// Reductions.
    reduce for Reduce: [usize::MAX; 3];
    /// Allreduce.
    allreduce for Allreduce: [usize::MAX; 3];
    /// Blocks that are gathered.
    gather for Gather: [usize::MAX; 3];
    /// Blocks of an allgather.
    allgather for Allgather: [usize::MAX; 3];
    /// Blocks that are scattered, all together.
    scatter for Scatter: [usize::MAX, 8 << 20, 512 << 10];
    /// Blocks of an alltoall, all together.
    alltoall for Alltoall: [usize::MAX, 8 << 20, 2 << 20];
    /// Blocks of a reduce-scatter, all together.
    reduce_scatter for ReduceScatter: [usize::MAX, 8 << 20, 8 << 20];
    /// Scan and exscan.
    scan for Scan | Exscan: [usize::MAX, 64 << 10, 64 << 10];
}

impl BoardThresholds {
    /// What holds unless somebody chooses otherwise.
    pub(in crate::collective) const DEFAULT: BoardThresholds = BoardThresholds {
        longest: BoardLengths::DEFAULT,
        turns: 256,
        sliced_above: 1 << 10,
        sliced_above_crowded: 32 << 10,
    };
}
