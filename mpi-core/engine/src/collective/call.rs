//! A collective call whose arguments have been checked: what to run, on which memory, with which
//! operation.
//!
//! Schedules work on bytes in a row. Data that are not travel by way of memory of the call's own,
//! filled before it starts and emptied when it has ended; the plain cases have none of it.

use ferrite_fabric::{RawBuf, RawBufMut};

use super::schedule::Schedule;
use super::scratch::Scratch;
use super::{Function, Unequal};
use crate::datatype::{Held, Type};
use crate::op::Reduction;

/// A checked call.
pub struct Call {
    pub(crate) function: Function,
    pub(crate) schedule: Schedule,
    pub(crate) input: RawBuf,
    pub(crate) output: RawBufMut,
    pub(crate) reduction: Option<Reduction>,
    /// Keeps the datatype's handle valid that the program's function gets.
    pub(crate) _held: Option<Held>,
    pub(crate) staging: Option<Box<Staging>>,
    /// Turns on a board that are played before the schedule, which has what they have no room for.
    pub(crate) unequal: Option<Box<Unequal>>,
}

// SAFETY: the buffers are the program's, which has promised them until the operation ends,
// whichever thread drives it.
unsafe impl Send for Call {}

/// Memory between the program's buffers and the schedule's.
#[derive(Default)]
pub(crate) struct Staging {
    memory: Vec<Scratch>,
    before: Vec<StagedItems>,
    after: Vec<StagedItems>,
}

/// Data of the program and where they are for the schedule.
pub(crate) struct StagedItems {
    pub(crate) items: Type,
    pub(crate) count: usize,
    pub(crate) user: *mut u8,
    pub(crate) staged: Staged,
}

/// The call's own place for some items.
#[derive(Clone, Copy)]
pub(crate) enum Staged {
    /// Packed.
    Packed(*mut u8),
    /// As in the program's buffer, the first item at this address.
    Unpacked(*mut u8),
}

impl StagedItems {
    fn bytes(&self) -> usize {
        self.items.size() as usize * self.count
    }

    /// # Safety
    /// The program's buffer is readable for the items, and the call's own place is writable.
    unsafe fn fill(&self) {
        let (count, bytes) = (self.count, self.bytes());
        // SAFETY: the caller's promise; `packed` has room for the items.
        unsafe {
            match self.staged {
                Staged::Packed(to) => self.items.pack(count, self.user, 0..bytes, to),
                Staged::Unpacked(to) => relay(&self.items, count, self.user, to),
            }
        }
    }

    /// # Safety
    /// The program's buffer is writable for the items, and the call's own place is readable.
    unsafe fn empty(&self) {
        let (count, bytes) = (self.count, self.bytes());
        // SAFETY: the caller's promise; `packed` holds the items.
        unsafe {
            match self.staged {
                Staged::Packed(from) => self.items.unpack(count, self.user, 0..bytes, from),
                Staged::Unpacked(from) => relay(&self.items, count, from, self.user),
            }
        }
    }
}

/// Copies the data of items, and not their gaps.
///
/// # Safety
/// `from` is readable and `to` writable for `count` items.
unsafe fn relay(items: &Type, count: usize, from: *const u8, to: *mut u8) {
    let bytes = items.size() as usize * count;
    let mut packed = vec![0; bytes];
    // SAFETY: the caller's promise; `packed` has room for the items.
    unsafe {
        items.pack(count, from, 0..bytes, packed.as_mut_ptr());
        items.unpack(count, to, 0..bytes, packed.as_ptr());
    }
}

impl Staging {
    /// More memory, for as long as the call lives.
    pub(crate) fn memory(&mut self, bytes: usize) -> RawBufMut {
        let mut memory = Scratch::default();
        let ptr = memory.reserve(bytes).ptr;
        self.memory.push(memory);
        RawBufMut { ptr, len: bytes }
    }

    /// Items to be moved before the schedule starts.
    pub(crate) fn add_before(&mut self, items: StagedItems) {
        self.before.push(items);
    }

    /// Items to be moved after the schedule has ended well.
    pub(crate) fn add_after(&mut self, items: StagedItems) {
        self.after.push(items);
    }

    /// Before the schedule starts.
    ///
    /// # Safety
    /// The program's send buffers are readable.
    pub(crate) unsafe fn fill(&self) {
        // SAFETY: the caller's promise; the memory is the call's own.
        self.before.iter().for_each(|part| unsafe { part.fill() });
    }

    /// After the schedule has ended well.
    ///
    /// # Safety
    /// The program's receive buffers are writable.
    pub(crate) unsafe fn empty(&self) {
        // SAFETY: the caller's promise; the memory is the call's own.
        self.after.iter().for_each(|part| unsafe { part.empty() });
    }
}
