//! Blocking collectives of one turn on a board, as straight code: what [`OnBoard`](super::board) generates for a call whose data fit the
//! slots and that is not cut into slices. Generating and looking up the operations of so short a call takes as long as the call.
//!
//! Members that go this way and members that run the operations can meet in one turn: a test mixes them.

use core::ptr::copy_nonoverlapping;

use ferrite_fabric::{RawBuf, RawBufMut};
use ferrite_shm::Board;

use super::board::{FILLED, What, fits_line, in_agreement};
use super::shape::Shape;
use crate::Result;
use crate::op::Reduction;

/// Who waits for what others do in memory, and does useful things meanwhile.
pub trait Watch {
    /// Returns when `done` has said so, which may become true without anything arriving.
    fn watch(&self, done: impl FnMut() -> bool);
}

/// One turn of a board, as one member plays it.
pub struct Turn<'a, W> {
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
    /// Does the call. After an error (members do not agree about its length) the turn is over, too.
    ///
    /// # Safety
    /// The buffers are valid for what the shape says and do not overlap, but for `input` in place. All members play the turn with the
    /// same `what`. No lock is held.
    pub unsafe fn play(
        &self,
        what: What,
        buffers: (RawBuf, RawBufMut),
        reduction: Option<&Reduction>,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        let done = unsafe { self.exchange(what, buffers, reduction) };
        self.board.finish(self.number);
        done
    }

    /// # Safety
    /// As [`Turn::play`].
    #[inline]
    unsafe fn exchange(
        &self,
        what: What,
        (input, output): (RawBuf, RawBufMut),
        reduction: Option<&Reduction>,
    ) -> Result<()> {
        let shape = self.shape;
        let is_root = shape.rank == shape.root;
        // SAFETY: the caller's promise; slots are written once they may be, and read after their members have posted.
        unsafe {
            match what {
                What::Barrier => {
                    self.board.post(self.number, FILLED);
                    return self.wait_for_all();
                }
                What::Bcast if is_root => self.fill(output.ptr),
                What::Bcast => return self.take(shape.root, output.ptr),
                What::Reduce | What::Allreduce => {
                    self.fill(input.ptr);
                    if what == What::Allreduce || is_root {
                        return self.combine(output.ptr, reduction);
                    }
                }
                What::Gather if !is_root => self.fill(input.ptr),
                What::Gather | What::Allgather => {
                    let own = output.ptr.wrapping_add(shape.rank as usize * shape.bytes());
                    if !shape.in_place {
                        copy_nonoverlapping(input.ptr, own, shape.bytes());
                    }
                    if what == What::Allgather {
                        self.fill(own);
                    }
                    for left in (1..shape.size).rev() {
                        let member = shape.below(left);
                        let at = member as usize * shape.bytes();
                        self.take(member, output.ptr.wrapping_add(at))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn slot(&self, member: u32) -> *mut u8 {
        self.board
            .bytes(member as usize, self.number, fits_line(self.shape))
    }

    /// Puts this member's data into its slot, once it may.
    ///
    /// # Safety
    /// `from` is readable for the shape's bytes.
    #[inline]
    unsafe fn fill(&self, from: *const u8) {
        let (board, number, bytes) = (self.board, self.number, self.shape.bytes());
        self.watch.watch(|| board.is_free(number));
        // SAFETY: the caller's promise; nobody reads the slot any more.
        unsafe { copy_nonoverlapping(from, self.slot(self.shape.rank), bytes) };
        board.announce(number, bytes as u64);
        board.post(number, FILLED);
    }

    /// Copies a member's data, once they are there.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes.
    #[inline]
    unsafe fn take(&self, member: u32, into: *mut u8) -> Result<()> {
        self.wait_for(member)?;
        // SAFETY: the caller's promise; the member has written its slot, and does not again before this turn is finished.
        unsafe { copy_nonoverlapping(self.slot(member), into, self.shape.bytes()) };
        Ok(())
    }

    #[inline]
    fn wait_for(&self, member: u32) -> Result<()> {
        let (board, number) = (self.board, self.number);
        self.watch
            .watch(|| board.has_posted(member as usize, number, FILLED));
        in_agreement(self.shape, member, board.announced(member as usize, number))
    }

    #[inline]
    fn wait_for_all(&self) -> Result<()> {
        (0..self.shape.size).try_for_each(|member| self.wait_for(member))
    }

    /// Combines all members' data, from the last to the first, so that each operand goes to the left of what there is.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes.
    #[inline]
    unsafe fn combine(&self, into: *mut u8, reduction: Option<&Reduction>) -> Result<()> {
        self.wait_for_all()?;
        let reduction = reduction.expect("a call that reduces has an operation");
        let last = self.shape.size - 1;
        // SAFETY: the caller's promise; all slots are written and stay so until this turn is finished.
        unsafe {
            copy_nonoverlapping(self.slot(last), into, self.shape.bytes());
            for member in (0..last).rev() {
                reduction.apply(self.slot(member), into, self.shape.count);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
