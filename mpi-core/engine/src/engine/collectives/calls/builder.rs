//! Puts a collective [`Call`] together from items of the program.

use ferrite_fabric::{RawBuf, RawBufMut};

use super::arguments::check_buffer;
use crate::Result;
use crate::collective::call::{Call, Staged, StagedItems, Staging};
use crate::collective::{Function, IN_PLACE, Schedule, Unequal};
use crate::datatype::{Argument, Type};
use crate::op::Reduction;

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
        self.staging().memory(bytes)
    }

    /// Items to be packed to a place before the call starts.
    pub(super) fn pack(&mut self, items: &Items, to: *mut u8) {
        self.add(items, Staged::Packed(to), true);
    }

    /// Items to be unpacked from a place when the call has ended.
    pub(super) fn unpack(&mut self, items: &Items, from: *mut u8) {
        self.add(items, Staged::Packed(from), false);
    }

    pub(super) fn add(&mut self, items: &Items, staged: Staged, before: bool) {
        if items.bytes == 0 {
            return;
        }
        let (type_map, count) = match &items.items {
            Argument::Typed(type_map) => (type_map.clone(), items.count as usize),
            Argument::Plain(_) => (Type::byte(), items.bytes),
        };
        let part = StagedItems {
            items: type_map,
            count,
            user: items.at,
            staged,
        };
        let staging = self.staging();
        match before {
            true => staging.add_before(part),
            false => staging.add_after(part),
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
