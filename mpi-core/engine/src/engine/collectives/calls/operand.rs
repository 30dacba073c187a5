//! The operand of a reduction: elements of a predefined type, or whole vectors of a derived one.

use ferrite_fabric::{RawBuf, RawBufMut};

use super::Waits;
use super::builder::{Builder, Items};
use crate::collective::Shape;
use crate::collective::call::Staged;
use crate::datatype::{Argument, Type};
use crate::handle::{Datatype, Op};
use crate::op::{self, Reduction, Vector};
use crate::{Error, ErrorClass, Result};

/// What is reduced.
pub(super) struct Operand {
    pub(super) count: usize,
    pub(super) width: usize,
    pub(super) commutative: bool,
    pub(super) reduction: Reduction,
    /// A vector of a derived type that counts as one element of the schedule.
    vector: Option<DerivedVector>,
}

struct DerivedVector {
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
            vector: Some(DerivedVector {
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

    /// Who waits, as far as boards are concerned: none is for vectors, whose memory is aligned
    /// better than a slot's.
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
            Some(vector) => {
                let memory = builder.memory(self.bytes());
                let staged = Staged::Unpacked(memory.ptr.wrapping_offset(vector.address));
                builder.add(&vector.items(buf.cast_mut(), 0, vector.count), staged, true);
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
            Some(vector) => {
                let memory = builder.memory(self.bytes());
                let staged = Staged::Unpacked(memory.ptr.wrapping_offset(vector.address));
                let items = vector.items(buf, 0, vector.count);
                if in_place {
                    builder.add(&items, staged, true);
                }
                builder.add(&items, staged, false);
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
        if let Some(vector) = &self.vector {
            let before = (first * vector.items.extent()) as isize;
            let staged = Staged::Unpacked(memory.ptr.wrapping_offset(vector.address + before));
            builder.add(&vector.items(buf, 0, count), staged, false);
        }
        memory
    }
}

impl DerivedVector {
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
