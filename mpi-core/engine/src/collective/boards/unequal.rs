//! Blocking collectives with blocks of unequal lengths over a board: the `v` and `w` forms.
//!
//! Sender and receiver of a block know its length, the others may not, so nobody can tell
//! beforehand how many turns the call takes. All members play one; who has blocks for several puts
//! each into a share of its slot, and their lengths into a table. In that turn they learn how many
//! more there are: a root that scatters says so, and where all send to all, everybody waits for
//! everybody's longest block. Members that gather to a root shall not wait for it, so that is one
//! turn always. Blocks that are longer than these turns have room for are messages.
//!
//! A receiver that expects another length than its sender means is told.

use core::ptr::copy_nonoverlapping;

use ferrite_fabric::{RawBuf, RawBufMut};
use ferrite_shm::IN_LINE;

use super::fused::{Turn, Watch};
use super::on_board::FILLED;
use crate::collective::algorithms::Block;
use crate::collective::operation::{Buffer, Place};
use crate::collective::shape::{Collective, Shape};
use crate::collective::thresholds::Thresholds;
use crate::{Error, ErrorClass, Result};

/// A block's length in a table; a longer block than it can tell is a message.
type Length = u32;
/// Shares begin at a multiple of this, in bytes. Measured: blocks of 64 KiB take half the time that
/// they take 8 bytes further on, where processors are far from each other.
const ALIGNED: usize = 64;

/// How blocks go over a board: what all ranks know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    collective: Collective,
    /// A member's lengths of blocks are in its line.
    in_line: bool,
    /// Bytes of a slot before the shares, where the lengths are otherwise.
    table: usize,
    /// Bytes of a block that a turn has room for: of a share, or of the slot.
    room: usize,
    /// Bytes of the longest block, where everybody knows.
    longest: Option<usize>,
}

impl Way {
    /// The way for a gather, allgather, scatter or alltoall. `longest` is what everybody knows to
    /// be the length of the longest block, in an allgather. `None` where there is no board, nobody
    /// else, too little room, or known to be.
    pub(crate) fn new(
        collective: Collective,
        shape: &Shape,
        longest: Option<usize>,
        limits: &Thresholds,
    ) -> Option<Way> {
        let payload = shape.board.filter(|_| shape.size > 1)?;
        let size = shape.size as usize;
        let lengths = size * size_of::<Length>();
        let in_line = lengths <= IN_LINE;
        let (table, room) = if collective.has_blocks() {
            let table = if in_line {
                0
            } else {
                lengths.next_multiple_of(ALIGNED)
            };
            let share = payload.checked_sub(table)? / size;
            (table, share & !(ALIGNED - 1))
        } else {
            (0, payload)
        };
        let way = Way {
            collective,
            in_line,
            table,
            room,
            longest,
        };
        let in_time = match longest.unwrap_or(0) {
            longest if longest <= room => true,
            longest => way.turns(longest as u64, shape, limits) > 1,
        };
        (room > 0 && in_time).then_some(way)
    }

    /// Where in a block the part of a turn begins, and how long it is.
    fn part(&self, block: &Block, turn: usize) -> (usize, usize) {
        if self.collective == Collective::Gather && block.bytes > self.room {
            return (0, 0);
        }
        let at = block.bytes.min(turn * self.room);
        (at, self.room.min(block.bytes - at))
    }

    /// How many turns the call takes, if the longest block has so many bytes. 1: longer ones than
    /// there is room for are messages.
    fn turns(&self, longest: u64, shape: &Shape, limits: &Thresholds) -> u64 {
        let blocks = if self.collective.has_blocks() {
            u64::from(shape.size)
        } else {
            1
        };
        let most = limits.board.longest.of(self.collective, shape.size) as u64;
        let turns = longest.div_ceil(self.room as u64).max(1);
        let few = longest.saturating_mul(blocks) <= most && turns <= limits.board.turns as u64;
        if few && self.collective != Collective::Gather {
            turns
        } else {
            1
        }
    }
}

/// One rank's part in such a call.
#[derive(Debug)]
pub(crate) struct Unequal {
    way: Way,
    /// What this rank keeps for itself: from where to where, and how long.
    own: Option<(Place, Place, usize)>,
    /// Blocks for others; where all get the same one, that one.
    sends: Vec<Block>,
    /// Blocks from others; the first is from the rank below.
    receives: Vec<Block>,
}

impl Unequal {
    /// These blocks, at most one for each rank and from each.
    pub(crate) fn new(
        way: Way,
        shape: &Shape,
        mut sends: Vec<Block>,
        mut receives: Vec<Block>,
    ) -> Unequal {
        let rank = shape.rank;
        let take_own = |blocks: &mut Vec<Block>| {
            let at = blocks.iter().position(|block| block.peer == rank)?;
            Some(blocks.remove(at))
        };
        let own = take_own(&mut sends).zip(take_own(&mut receives));
        let own = own.map(|(from, into)| (from.place, into.place, from.bytes.min(into.bytes)));
        receives.sort_by_key(|block| shape.below(block.peer));
        if way.collective == Collective::Allgather {
            sends.truncate(1);
        }
        Unequal {
            way,
            own,
            sends,
            receives,
        }
    }

    /// As of [`Collective::has_root`].
    pub(crate) fn has_root(&self) -> bool {
        self.way.collective.has_root()
    }

    /// Whether this rank has blocks that a turn has no room for.
    pub(crate) fn has_long(&self) -> bool {
        let mut all = self.sends.iter().chain(&self.receives);
        all.any(|block| block.bytes > self.way.room)
    }

    /// Those blocks, to send and to receive, which are messages if the turns of the board are not
    /// for them.
    pub(crate) fn long(&self) -> Option<(Vec<Block>, Vec<Block>)> {
        let long = |blocks: &[Block]| {
            let long = blocks.iter().filter(|block| block.bytes > self.way.room);
            long.copied().collect()
        };
        (self.has_long()).then(|| (long(&self.sends), long(&self.receives)))
    }

    /// As of [`Way::turns`].
    pub(crate) fn turns(&self, longest: u64, shape: &Shape, limits: &Thresholds) -> u64 {
        self.way.turns(longest, shape, limits)
    }

    /// Whether this rank fills its slot.
    fn fills(&self, shape: &Shape) -> bool {
        match self.way.collective {
            Collective::Gather => shape.rank != shape.root,
            Collective::Scatter => shape.rank == shape.root,
            _ => true,
        }
    }
}

impl<W: Watch> Turn<'_, W> {
    /// Plays the turn of this number of a call, counted from 0. Returns the length of the longest
    /// block, as far as it matters, and an error when members do not agree about a block's length;
    /// the turn is over then, too.
    ///
    /// # Safety
    /// The blocks lie within the buffers, which are valid. All members play the turn of the same
    /// call. No lock is held.
    pub(crate) unsafe fn deal(
        &self,
        call: &Unequal,
        turn: usize,
        buffers: (RawBuf, RawBufMut),
    ) -> (u64, Result<()>) {
        // SAFETY: the caller's promise.
        let done = unsafe { self.deal_blocks(call, turn, buffers) };
        let longest = self.longest(call, turn);
        self.board.finish(self.number);
        match longest {
            Ok(longest) => (longest, done),
            Err(error) => (0, done.and(Err(error))),
        }
    }

    /// The length of the longest block, as far as it matters, once everybody who tells it has done
    /// so.
    fn longest(&self, call: &Unequal, turn: usize) -> Result<u64> {
        let told = |member| {
            self.wait_for_post(member)?;
            Ok(self.board.announced(member as usize, self.number))
        };
        match call.way.collective {
            _ if turn > 0 => Ok(0),
            Collective::Scatter => told(self.shape.root),
            Collective::Alltoall => {
                (0..self.shape.size).try_fold(0, |longest, member| Ok(longest.max(told(member)?)))
            }
            _ => Ok(call.way.longest.unwrap_or(0) as u64),
        }
    }

    /// # Safety
    /// As of [`Turn::deal`].
    unsafe fn deal_blocks(
        &self,
        call: &Unequal,
        turn: usize,
        (input, output): (RawBuf, RawBufMut),
    ) -> Result<()> {
        let rank = self.shape.rank;
        let from = |place: Place| match place.buffer {
            Buffer::Input => input.ptr.wrapping_add(place.offset),
            _ => output.ptr.wrapping_add(place.offset).cast_const(),
        };
        let into = |place: Place| output.ptr.wrapping_add(place.offset);
        let longest = call.sends.iter().map(|block| block.bytes).max();
        let longest = longest.unwrap_or(0) as u64;
        // SAFETY: the caller's promise; the slot is written once it may be, and has room for the
        // parts.
        unsafe {
            if call.fills(self.shape) {
                self.watch.watch(|| self.board.is_free(self.number))?;
                if call.way.collective.has_blocks() && turn == 0 {
                    for member in 0..self.shape.size {
                        self.length(call, rank, member).write(0);
                    }
                }
                for block in &call.sends {
                    let (at, bytes) = call.way.part(block, turn);
                    let to = self.place(call, rank, block.peer, block.bytes);
                    copy_nonoverlapping(from(block.place).wrapping_add(at), to, bytes);
                    if call.way.collective.has_blocks() && turn == 0 {
                        let length = Length::try_from(block.bytes).unwrap_or(Length::MAX);
                        self.length(call, rank, block.peer).write(length);
                    }
                }
                self.board.announce(self.number, longest);
                self.board.post(self.number, FILLED);
            }
            if let Some((here, there, bytes)) = call.own
                && turn == 0
                && here != there
            {
                copy_nonoverlapping(from(here), into(there), bytes);
            }
            for block in &call.receives {
                let (at, bytes) = call.way.part(block, turn);
                if bytes == 0 && turn > 0 {
                    continue;
                }
                self.wait_for_post(block.peer)?;
                if turn == 0 {
                    self.check_length(call, block)?;
                }
                let slot = self.place(call, block.peer, rank, block.bytes);
                copy_nonoverlapping(slot, into(block.place).wrapping_add(at), bytes);
            }
        }
        Ok(())
    }

    fn wait_for_post(&self, member: u32) -> Result<()> {
        let (board, number) = (self.board, self.number);
        self.watch
            .watch(|| board.has_posted(member as usize, number, FILLED))
    }

    /// Where in `member`'s slot the data for `reader` are, of a block of so many bytes.
    fn place(&self, call: &Unequal, member: u32, reader: u32, bytes: usize) -> *mut u8 {
        let member = member as usize;
        if !call.way.collective.has_blocks() {
            let in_line = bytes <= IN_LINE;
            return self.board.bytes(member, self.number, in_line);
        }
        let slot = self.board.bytes(member, self.number, false);
        slot.wrapping_add(call.way.table + reader as usize * call.way.room)
    }

    /// Where `member`'s table has the length of its block for `reader`, where it has one for each.
    fn length(&self, call: &Unequal, member: u32, reader: u32) -> *mut Length {
        let in_line = call.way.in_line;
        let table = self.board.bytes(member as usize, self.number, in_line);
        table.cast::<Length>().wrapping_add(reader as usize)
    }

    /// # Safety
    /// The block's sender has posted the call's first turn.
    unsafe fn check_length(&self, call: &Unequal, block: &Block) -> Result<()> {
        let sent = if call.way.collective.has_blocks() {
            // SAFETY: the caller's promise; tables are aligned.
            let sent = unsafe { self.length(call, block.peer, self.shape.rank).read() };
            if sent == Length::MAX && block.bytes >= sent as usize {
                return Ok(());
            }
            u64::from(sent)
        } else {
            self.board.announced(block.peer as usize, self.number)
        };
        if sent == block.bytes as u64 {
            return Ok(());
        }
        let class = if sent > block.bytes as u64 {
            ErrorClass::TRUNCATE
        } else {
            ErrorClass::COUNT
        };
        let sentence = format!(
            "rank {} sends {sent} bytes to rank {}, which expects {}: the counts and types of both \
             must describe as much",
            block.peer, self.shape.rank, block.bytes
        );
        Err(Error::new(class, sentence))
    }
}
