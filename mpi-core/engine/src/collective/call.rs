//! A collective call whose arguments have been checked: what to run, on which memory, with which operation.
//!
//! Schedules work on bytes in a row. Data that are not travel by way of memory of the call's own, filled before it starts and
//! emptied when it has ended; the plain cases have none of it.

use ferrite_fabric::{RawBuf, RawBufMut};

use super::arguments::check_buffer;
use super::schedule::Schedule;
use super::scratch::Scratch;
use super::{Function, IN_PLACE, Shape, Unequal, Waits};
use crate::datatype::{Argument, Held, Type};
use crate::handle::{Datatype, Op};
use crate::op::{self, Reduction, Vector};
use crate::{Error, ErrorClass, Result};

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

// SAFETY: the buffers are the program's, which has promised them until the operation ends, whichever thread drives it.
unsafe impl Send for Call {}

/// Memory between the program's buffers and the schedule's.
#[derive(Default)]
pub(crate) struct Staging {
    memory: Vec<Scratch>,
    before: Vec<Move>,
    after: Vec<Move>,
}

/// Data of the program and where they are for the schedule.
struct Move {
    items: Type,
    count: usize,
    user: *mut u8,
    own: Own,
}

/// The call's own place for some items.
#[derive(Clone, Copy)]
enum Own {
    /// Packed.
    Packed(*mut u8),
    /// As in the program's buffer, the first item at this address.
    Same(*mut u8),
}

impl Move {
    fn bytes(&self) -> usize {
        self.items.size() as usize * self.count
    }

    /// # Safety
    /// The program's buffer is readable for the items, and the call's own place is writable.
    unsafe fn fill(&self) {
        let (count, bytes) = (self.count, self.bytes());
        // SAFETY: the caller's promise; `packed` has room for the items.
        unsafe {
            match self.own {
                Own::Packed(to) => self.items.pack(count, self.user, 0..bytes, to),
                Own::Same(to) => relay(&self.items, count, self.user, to),
            }
        }
    }

    /// # Safety
    /// The program's buffer is writable for the items, and the call's own place is readable.
    unsafe fn empty(&self) {
        let (count, bytes) = (self.count, self.bytes());
        // SAFETY: the caller's promise; `packed` holds the items.
        unsafe {
            match self.own {
                Own::Packed(from) => self.items.unpack(count, self.user, 0..bytes, from),
                Own::Same(from) => relay(&self.items, count, from, self.user),
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

/// Items of the program, somewhere in a buffer.
#[derive(Clone)]
pub(super) struct Items {
    pub(super) at: *mut u8,
    pub(super) count: i64,
    pub(super) items: Argument,
    pub(super) bytes: usize,
}

impl Items {
    /// Checked: `name` says which buffer an error is about.
    pub(super) fn new(name: &str, at: *mut u8, count: i64, items: Argument) -> Result<Items> {
        let bytes = items.bytes(count)?;
        if bytes > 0 {
            let begin = match &items {
                Argument::Plain(_) => at,
                Argument::Typed(items) => at.wrapping_offset(items.true_lb() as isize),
            };
            // An address of MPI_IN_PLACE is wrong whatever the type.
            check_buffer(
                name,
                if at == IN_PLACE.cast_mut() { at } else { begin },
                bytes,
            )?;
        }
        Ok(Items {
            at,
            count,
            items,
            bytes,
        })
    }

    /// Where the data begin if they are bytes in a row.
    pub(super) fn as_run(&self) -> Option<*mut u8> {
        match &self.items {
            Argument::Plain(_) => Some(self.at),
            _ if self.bytes == 0 => Some(self.at),
            Argument::Typed(items) => {
                let offset = items.as_run(self.count as u64)?;
                Some(self.at.wrapping_offset(offset as isize))
            }
        }
    }

    /// The items from `first` on, `count` of them.
    pub(super) fn part(&self, first: i64, count: i64) -> Items {
        let (extent, size) = match &self.items {
            Argument::Plain(size) => (i64::from(*size), *size as usize),
            Argument::Typed(items) => (items.extent(), items.size() as usize),
        };
        Items {
            at: self.at.wrapping_offset((first * extent) as isize),
            count,
            items: self.items.clone(),
            bytes: size * count as usize,
        }
    }
}

/// Puts a call together.
pub(super) struct Builder {
    function: Function,
    staging: Option<Box<Staging>>,
    pub(super) unequal: Option<Box<Unequal>>,
}

impl Builder {
    /// Of a call of this function.
    pub(super) fn new(function: Function) -> Builder {
        Builder {
            function,
            staging: None,
            unequal: None,
        }
    }

    fn staging(&mut self) -> &mut Staging {
        self.staging.get_or_insert_default()
    }

    /// Memory of the call's own.
    pub(super) fn memory(&mut self, bytes: usize) -> RawBufMut {
        let mut memory = Scratch::default();
        let reserved = memory.reserve(bytes);
        self.staging().memory.push(memory);
        RawBufMut {
            ptr: reserved.ptr,
            len: bytes,
        }
    }

    /// Items to be packed to a place before the call starts.
    pub(super) fn pack(&mut self, items: &Items, to: *mut u8) {
        self.add(items, Own::Packed(to), true);
    }

    /// Items to be unpacked from a place when the call has ended.
    pub(super) fn unpack(&mut self, items: &Items, from: *mut u8) {
        self.add(items, Own::Packed(from), false);
    }

    fn add(&mut self, items: &Items, own: Own, before: bool) {
        if items.bytes == 0 {
            return;
        }
        let (type_map, count) = match &items.items {
            Argument::Typed(type_map) => (type_map.clone(), items.count as usize),
            Argument::Plain(_) => (Type::byte(), items.bytes),
        };
        let part = Move {
            items: type_map,
            count,
            user: items.at,
            own,
        };
        let staging = self.staging();
        match before {
            true => staging.before.push(part),
            false => staging.after.push(part),
        }
    }

    /// Items to send, as bytes in a row.
    pub(super) fn send(&mut self, items: &Items) -> RawBuf {
        if let Some(ptr) = items.as_run() {
            let len = items.bytes;
            return RawBuf { ptr, len };
        }
        self.copy_of(items).as_buf()
    }

    /// A copy of items to send, as bytes in a row.
    pub(super) fn copy_of(&mut self, items: &Items) -> RawBufMut {
        let memory = self.memory(items.bytes);
        self.pack(items, memory.ptr);
        memory
    }

    /// Items to receive, as bytes in a row.
    pub(super) fn receive(&mut self, items: &Items) -> RawBufMut {
        if let Some(ptr) = items.as_run() {
            let len = items.bytes;
            return RawBufMut { ptr, len };
        }
        let memory = self.memory(items.bytes);
        self.unpack(items, memory.ptr);
        memory
    }

    pub(super) fn call(
        self,
        schedule: Schedule,
        input: RawBuf,
        output: RawBufMut,
        reduction: Option<Reduction>,
    ) -> Call {
        Call {
            function: self.function,
            schedule,
            input,
            output,
            reduction,
            _held: reduction.and_then(|reduction| reduction.held()),
            staging: self.staging,
            unequal: self.unequal,
        }
    }
}

/// What is reduced.
pub(super) struct Operand {
    pub(super) count: usize,
    pub(super) width: usize,
    pub(super) commutative: bool,
    pub(super) reduction: Reduction,
    /// A vector of a derived type that counts as one element of the schedule.
    vector: Option<Whole>,
}

struct Whole {
    items: Type,
    count: i64,
    /// From the beginning of the memory to the address of the first item.
    address: isize,
}

impl Operand {
    /// Checks the arguments of a reduction.
    pub(super) fn new(count: i64, datatype: Datatype, op: Op) -> Result<Operand> {
        let commutative = op::is_commutative(op)?;
        let of_elements = |width: usize, reduction| {
            super::arguments::check_count("", count, width)?;
            Ok(Operand {
                count: count as usize,
                width,
                commutative,
                reduction,
                vector: None,
            })
        };
        match Argument::new(datatype)? {
            Argument::Plain(width) => of_elements(width as usize, Reduction::new(op, datatype)?),
            Argument::Typed(items) if items.element().is_some() => {
                of_elements(items.extent() as usize, Reduction::new(op, datatype)?)
            }
            Argument::Typed(items) => Operand::of_vector(count, datatype, items, op, commutative),
        }
    }

    fn of_vector(
        count: i64,
        datatype: Datatype,
        items: Type,
        op: Op,
        commutative: bool,
    ) -> Result<Operand> {
        items.bytes(count)?;
        // Where the data are, from the address of the first item on.
        let last = i128::from(items.extent()) * i128::from((count - 1).max(0));
        let low = i128::from(items.true_lb()) + last.min(0);
        // Numbers stay as they are aligned in the program's buffer.
        let pad = low.rem_euclid(16);
        let span = pad + last.abs() + i128::from(items.true_extent());
        let (Ok(width), Ok(address)) = (usize::try_from(span), isize::try_from(pad - low)) else {
            return Err(Error::new(
                ErrorClass::COUNT,
                format!("{count} items of this type reach over more than memory can hold"),
            ));
        };
        let vector = Vector {
            items: count as usize,
            address,
        };
        Ok(Operand {
            count: usize::from(count > 0 && items.size() > 0),
            width: width.max(1).next_multiple_of(16),
            commutative,
            reduction: Reduction::of_vectors(op, datatype, vector)?,
            vector: Some(Whole {
                items,
                count,
                address,
            }),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.count * self.width
    }

    /// Whether the schedule's elements are the program's items, so that it can split them.
    pub(super) fn is_split(&self) -> bool {
        self.vector.is_none()
    }

    /// Who waits, as far as boards are concerned: none is for vectors, whose memory is aligned better than a slot's.
    pub(super) fn waits(&self, waits: Waits) -> Waits {
        match self.is_split() {
            true => waits,
            false => Waits::Later,
        }
    }

    pub(super) fn shape(&self, shape: Shape) -> Shape {
        Shape {
            count: self.count,
            width: self.width,
            commutative: self.commutative,
            // A vector's memory is aligned better than a slot's.
            board: shape.board.filter(|_| self.is_split()),
            ..shape
        }
    }

    /// The operand to send.
    pub(super) fn send(&self, builder: &mut Builder, buf: *const u8) -> RawBuf {
        match &self.vector {
            None => RawBuf {
                ptr: buf,
                len: self.bytes(),
            },
            Some(whole) => {
                let memory = builder.memory(self.bytes());
                let own = Own::Same(memory.ptr.wrapping_offset(whole.address));
                builder.add(&whole.items(buf.cast_mut(), 0, whole.count), own, true);
                memory.as_buf()
            }
        }
    }

    /// The result.
    pub(super) fn receive(&self, builder: &mut Builder, buf: *mut u8, in_place: bool) -> RawBufMut {
        match &self.vector {
            None => RawBufMut {
                ptr: buf,
                len: self.bytes(),
            },
            Some(whole) => {
                let memory = builder.memory(self.bytes());
                let own = Own::Same(memory.ptr.wrapping_offset(whole.address));
                let items = whole.items(buf, 0, whole.count);
                if in_place {
                    builder.add(&items, own, true);
                }
                builder.add(&items, own, false);
                memory
            }
        }
    }

    /// The result's items from `first` on, which are all that the program gets.
    pub(super) fn receive_part(
        &self,
        builder: &mut Builder,
        buf: *mut u8,
        first: i64,
        count: i64,
    ) -> RawBufMut {
        let memory = builder.memory(self.bytes());
        if let Some(whole) = &self.vector {
            let before = (first * whole.items.extent()) as isize;
            let own = Own::Same(memory.ptr.wrapping_offset(whole.address + before));
            builder.add(&whole.items(buf, 0, count), own, false);
        }
        memory
    }
}

impl Whole {
    fn items(&self, at: *mut u8, first: i64, count: i64) -> Items {
        let all = Items {
            at,
            count: self.count,
            items: Argument::Typed(self.items.clone()),
            bytes: 0,
        };
        all.part(first, count)
    }
}
