//! Blocking collectives of one turn on a board, as straight code: what [`OnBoard`](super::on_board)
//! generates for a call whose data fit the slots and that is not cut into slices. Generating and
//! looking up the operations of so short a call takes as long as the call.
//!
//! Members that go this way and members that run the operations can meet in one turn: a test mixes
//! them.

use core::ptr::copy_nonoverlapping;

use ferrite_fabric::{RawBuf, RawBufMut};
use ferrite_shm::Board;

use super::on_board::{FILLED, STRIP, fits_line, in_agreement};
use crate::Result;
use crate::collective::shape::{Collective, Shape};
use crate::op::Reduction;

/// Who waits for what others do in memory, and does useful things meanwhile.
pub(crate) trait Watch {
    /// Returns when `done` has said so, which may become true without anything arriving; an error
    /// when it never will.
    fn watch(&self, done: impl FnMut() -> bool) -> Result<()>;
}

/// Where in a slot this member looks for what it wants.
#[derive(Clone, Copy)]
struct Slot {
    in_line: bool,
    /// Behind the blocks for others.
    offset: usize,
}

/// One turn of a board, as one member plays it.
pub(crate) struct Turn<'a, W> {
    /// The communicator's board.
    pub board: &'a Board,
    /// The turn's number.
    pub number: u64,
    /// The call.
    pub shape: &'a Shape,
    /// Who waits.
    pub watch: &'a W,
}

impl<W: Watch> Turn<'_, W> {
    /// Whether all others have posted already.
    pub(crate) fn is_last(&self) -> bool {
        let (own, all) = (self.shape.rank, 0..self.shape.size);
        let is_there = |member| self.board.has_posted(member as usize, self.number, FILLED);
        all.filter(|member| *member != own).all(is_there)
    }

    /// Does the call. After an error (members do not agree about its length) the turn is over, too.
    ///
    /// # Safety
    /// The buffers are valid for what the shape says and do not overlap, but for `input` in place.
    /// All members play the turn with the same collective. No lock is held.
    pub(crate) unsafe fn play(
        &self,
        collective: Collective,
        buffers: (RawBuf, RawBufMut),
        reduction: Option<&Reduction>,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        let done = unsafe { self.perform(collective, buffers, reduction) };
        self.board.finish(self.number);
        done
    }

    /// # Safety
    /// As [`Turn::play`].
    #[inline]
    unsafe fn perform(
        &self,
        collective: Collective,
        (input, output): (RawBuf, RawBufMut),
        reduction: Option<&Reduction>,
    ) -> Result<()> {
        let shape = self.shape;
        let is_root = shape.rank == shape.root;
        let block = shape.bytes();
        // Where this rank's block lies among those for all.
        let mine = shape.rank as usize * block;
        let slot = Slot {
            in_line: fits_line(collective, shape),
            offset: if collective.has_blocks() { mine } else { 0 },
        };
        // SAFETY: the caller's promise; slots are written once they may be, and read after their
        // members have posted.
        unsafe {
            match collective {
                Collective::Barrier => {
                    self.board.post(self.number, FILLED);
                    return self.wait_for_all();
                }
                Collective::Bcast if is_root => self.fill(slot, output.ptr, block)?,
                Collective::Bcast => return self.take(slot, shape.root, output.ptr),
                Collective::Reduce
                | Collective::Allreduce
                | Collective::Scan
                | Collective::Exscan => {
                    self.fill(slot, input.ptr, block)?;
                    return self.combine(collective, slot, input.ptr, output.ptr, reduction);
                }
                Collective::ReduceScatter => {
                    self.fill_for_others(slot, input.ptr)?;
                    let own = input.ptr.wrapping_add(mine);
                    return self.combine(collective, slot, own, output.ptr, reduction);
                }
                Collective::Scatter if is_root => {
                    self.fill_for_others(slot, input.ptr)?;
                    if !shape.in_place {
                        copy_nonoverlapping(input.ptr.wrapping_add(mine), output.ptr, block);
                    }
                }
                Collective::Scatter => return self.take(slot, shape.root, output.ptr),
                Collective::Gather if !is_root => self.fill(slot, input.ptr, block)?,
                Collective::Alltoall => {
                    self.fill_for_others(slot, input.ptr)?;
                    let own = output.ptr.wrapping_add(mine);
                    copy_nonoverlapping(input.ptr.wrapping_add(mine), own, block);
                    return self.collect(slot, output.ptr);
                }
                Collective::Gather | Collective::Allgather => {
                    let own = output.ptr.wrapping_add(mine);
                    if !shape.in_place {
                        copy_nonoverlapping(input.ptr, own, block);
                    }
                    if collective == Collective::Allgather {
                        self.fill(slot, own, block)?;
                    }
                    return self.collect(slot, output.ptr);
                }
            }
        }
        Ok(())
    }

    fn slot(&self, slot: Slot, member: u32) -> *mut u8 {
        let bytes = self.board.bytes(member as usize, self.number, slot.in_line);
        bytes.wrapping_add(slot.offset)
    }

    /// Puts this member's data into its slot, once it may.
    ///
    /// # Safety
    /// `from` is readable for as many bytes, which fit.
    #[inline]
    unsafe fn fill(&self, slot: Slot, from: *const u8, bytes: usize) -> Result<()> {
        let into = self.own_slot(slot)?;
        // SAFETY: the caller's promise; nobody reads the slot any more.
        unsafe { copy_nonoverlapping(from, into, bytes) };
        self.post();
        Ok(())
    }

    /// Puts this member's blocks for the others into its slot, once it may.
    ///
    /// # Safety
    /// `from` is readable for the shape's bytes for each member, which fit.
    #[inline]
    unsafe fn fill_for_others(&self, slot: Slot, from: *const u8) -> Result<()> {
        let (into, block) = (self.own_slot(slot)?, self.shape.bytes());
        let own = self.shape.rank as usize * block;
        let (behind, end) = (own + block, self.shape.size as usize * block);
        // SAFETY: the caller's promise; nobody reads the slot any more.
        unsafe {
            copy_nonoverlapping(from, into, own);
            let (from, into) = (from.wrapping_add(behind), into.wrapping_add(behind));
            copy_nonoverlapping(from, into, end - behind);
        }
        self.post();
        Ok(())
    }

    /// This member's slot, once it may be written.
    #[inline]
    fn own_slot(&self, slot: Slot) -> Result<*mut u8> {
        let (board, number) = (self.board, self.number);
        self.watch.watch(|| board.is_free(number))?;
        Ok(board.bytes(self.shape.rank as usize, number, slot.in_line))
    }

    #[inline]
    fn post(&self) {
        let bytes = self.shape.bytes() as u64;
        self.board.announce(self.number, bytes);
        self.board.post(self.number, FILLED);
    }

    /// Copies a member's data, once they are there.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes.
    #[inline]
    unsafe fn take(&self, slot: Slot, member: u32, into: *mut u8) -> Result<()> {
        self.wait_for(member)?;
        // SAFETY: the caller's promise; the member has written its slot, and does not again before
        // this turn is finished.
        unsafe { copy_nonoverlapping(self.slot(slot, member), into, self.shape.bytes()) };
        Ok(())
    }

    /// Copies the others' data in the order of rank. Each member begins with another one.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes for each member.
    #[inline]
    unsafe fn collect(&self, slot: Slot, into: *mut u8) -> Result<()> {
        let shape = self.shape;
        (1..shape.size).rev().try_for_each(|left| {
            let member = shape.below(left);
            let at = member as usize * shape.bytes();
            // SAFETY: the caller's promise.
            unsafe { self.take(slot, member, into.wrapping_add(at)) }
        })
    }

    #[inline]
    fn wait_for(&self, member: u32) -> Result<()> {
        let (board, number) = (self.board, self.number);
        self.watch
            .watch(|| board.has_posted(member as usize, number, FILLED))?;
        in_agreement(self.shape, member, board.announced(member as usize, number))
    }

    #[inline]
    fn wait_for_all(&self) -> Result<()> {
        (0..self.shape.size).try_for_each(|member| self.wait_for(member))
    }

    /// Combines the data of the members that this one wants, from the last to the first, so that
    /// each operand goes to the left of what there is. `own`: this member's, which in place lies
    /// where the result goes to, so that its slot is read instead.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes.
    #[inline]
    unsafe fn combine(
        &self,
        collective: Collective,
        slot: Slot,
        own: *const u8,
        into: *mut u8,
        reduction: Option<&Reduction>,
    ) -> Result<()> {
        let operands = collective.operands(self.shape);
        (0..operands).try_for_each(|member| self.wait_for(member))?;
        let reduction = reduction.expect("a call that reduces has an operation");
        let shape = self.shape;
        let operand = |member| match member == shape.rank && !shape.in_place {
            true => own,
            false => self.slot(slot, member).cast_const(),
        };
        let last = match operands {
            0 => return Ok(()),
            // It is there already.
            1 if shape.in_place && shape.rank == 0 => return Ok(()),
            1 => {
                // SAFETY: the caller's promise; the slot is written and stays so until this turn is
                // finished.
                unsafe { copy_nonoverlapping(operand(0), into, shape.bytes()) };
                return Ok(());
            }
            operands => operands - 1,
        };
        let strip = (STRIP / shape.width).max(1);
        for first in (0..shape.count).step_by(strip) {
            let (items, at) = (strip.min(shape.count - first), first * shape.width);
            let result = into.wrapping_add(at);
            let operand = |member| operand(member).wrapping_add(at);
            // SAFETY: the caller's promise; all slots are written and stay so until this turn is
            // finished.
            unsafe {
                let (left, right) = (operand(last - 1), operand(last));
                reduction.combine(left, right, result, (items, shape.width));
                for member in (0..last - 1).rev() {
                    reduction.apply(operand(member), result, items);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
