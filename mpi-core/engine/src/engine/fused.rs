//! Blocking collectives of one turn on a board, as straight code: what the schedule of `collective::board` says for a call whose data fit
//! the slots and that is not cut into slices. Half the time of such a call would go into generating and looking up its operations.

use core::ptr::copy_nonoverlapping;

use ferrite_fabric::{RawBuf, RawBufMut};
use ferrite_shm::{Board, IN_LINE};

use super::Engine;
use super::comm::CommData;
use crate::collective::{Shape, What};
use crate::op::Reduction;

/// The only step.
const FILLED: u8 = 1;

impl Engine {
    /// Does the call.
    ///
    /// # Safety
    /// As [`Engine::run_collective`].
    pub(super) unsafe fn run_in_one_turn(
        &self,
        what: What,
        comm: &CommData,
        shape: &Shape,
        (input, output): (RawBuf, RawBufMut),
        reduction: Option<&Reduction>,
    ) {
        let board = comm.expect_board();
        let turn = Turn {
            engine: self,
            board,
            number: comm.next_turns(1),
            shape,
            in_line: shape.bytes() <= IN_LINE,
        };
        // SAFETY: the caller's promise; a turn's slots are written after `enter` and read after their members have posted.
        unsafe {
            match what {
                What::Barrier => {
                    board.post(turn.number, FILLED);
                    turn.wait_all();
                }
                What::Bcast if shape.rank == shape.root => turn.fill(output.ptr),
                What::Bcast => turn.take(shape.root, output.ptr),
                What::Reduce => {
                    turn.fill(input.ptr);
                    if shape.rank == shape.root {
                        turn.combine(output.ptr, reduction);
                    }
                }
                What::Allreduce => {
                    turn.fill(input.ptr);
                    turn.combine(output.ptr, reduction);
                }
                What::Gather if shape.rank != shape.root => turn.fill(input.ptr),
                What::Gather | What::Allgather => {
                    let own = output.ptr.wrapping_add(shape.rank as usize * shape.bytes());
                    if !shape.in_place {
                        copy_nonoverlapping(input.ptr, own, shape.bytes());
                    }
                    if what == What::Allgather {
                        turn.fill(own);
                    }
                    for left in (1..shape.size).rev() {
                        let member = shape.below(left);
                        let at = member as usize * shape.bytes();
                        turn.take(member, output.ptr.wrapping_add(at));
                    }
                }
            }
        }
        board.finish(turn.number);
    }
}

/// One turn of a board, as one member plays it.
struct Turn<'a> {
    engine: &'a Engine,
    board: &'a Board,
    number: u64,
    shape: &'a Shape,
    in_line: bool,
}

impl Turn<'_> {
    fn slot(&self, member: u32) -> *mut u8 {
        self.board.bytes(member as usize, self.number, self.in_line)
    }

    /// Puts this member's data into its slot, once it may.
    ///
    /// # Safety
    /// `from` is readable for the shape's bytes.
    #[inline]
    unsafe fn fill(&self, from: *const u8) {
        let (board, number) = (self.board, self.number);
        self.engine
            .wait_watching(|| (0..board.members()).all(|member| board.has_freed(member, number)));
        // SAFETY: the caller's promise; nobody reads the slot any more.
        unsafe { copy_nonoverlapping(from, self.slot(self.shape.rank), self.shape.bytes()) };
        board.post(number, FILLED);
    }

    /// Copies a member's data, once they are there.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes.
    #[inline]
    unsafe fn take(&self, member: u32, into: *mut u8) {
        let (board, number) = (self.board, self.number);
        self.engine
            .wait_watching(|| board.has_posted(member as usize, number, FILLED));
        // SAFETY: the caller's promise; the member has written its slot, and does not again before this turn is finished.
        unsafe { copy_nonoverlapping(self.slot(member), into, self.shape.bytes()) };
    }

    fn wait_all(&self) {
        let (board, number) = (self.board, self.number);
        self.engine.wait_watching(|| {
            (0..board.members()).all(|member| board.has_posted(member, number, FILLED))
        });
    }

    /// Combines all members' data, from the last to the first, so that each operand goes to the left of what there is.
    ///
    /// # Safety
    /// `into` is writable for the shape's bytes. No lock is held.
    #[inline]
    unsafe fn combine(&self, into: *mut u8, reduction: Option<&Reduction>) {
        self.wait_all();
        let reduction = reduction.expect("a call that reduces has an operation");
        let last = self.shape.size - 1;
        // SAFETY: the caller's promise; all slots are written and stay so until this turn is finished.
        unsafe {
            copy_nonoverlapping(self.slot(last), into, self.shape.bytes());
            for member in (0..last).rev() {
                reduction.apply(self.slot(member), into, self.shape.count);
            }
        }
    }
}
