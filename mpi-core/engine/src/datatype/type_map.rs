//! A datatype as such: its data, bounds and elements, apart from any handle (MPI 5.0, section 5.1).

use core::ops::Range;
use std::sync::Arc;

use super::bounds::Bounds;
use super::copy::Items;
use super::layout::Placed;
use super::predefined::{Element, TypeInfo};
use super::recipe::Recipe;
use super::signature::Signature;
use crate::handle::Datatype;
use crate::{Error, ErrorClass, Result};

/// A datatype. Cheap to clone; it lives as long as a handle, an operation or another type uses it.
#[derive(Clone, Debug)]
pub struct Type(Arc<TypeMap>);

#[derive(Debug)]
struct TypeMap {
    bounds: Bounds,
    layout: Placed,
    signature: Signature,
    element: Option<Element>,
    recipe: Recipe,
}

impl Type {
    pub(super) fn new(
        bounds: Bounds,
        layout: Placed,
        signature: Signature,
        recipe: Recipe,
    ) -> Type {
        debug_assert_eq!(layout.node.size, signature.bytes);
        Type(Arc::new(TypeMap {
            bounds,
            layout,
            signature,
            element: None,
            recipe,
        }))
    }

    /// A predefined type.
    pub(super) fn predefined(datatype: Datatype, info: &TypeInfo) -> Type {
        let (parts, align) = match info.element {
            Element::Pair(value, index) => {
                let (value, index) = (u64::from(value.size()), u64::from(index.size()));
                let second = value.next_multiple_of(index);
                (vec![(0, value), (second, index)], value.max(index))
            }
            // A complex number is aligned as its parts are.
            Element::Complex(part) => (vec![(0, info.size)], part.size().into()),
            _ => (vec![(0, info.size)], info.size),
        };
        let end = parts.last().map_or(0, |(at, size)| at + size);
        let runs = parts.iter().map(|&(at, size)| Placed::run(at as i64, size));
        Type(Arc::new(TypeMap {
            bounds: Bounds::predefined(end as i64, info.extent, align as u32),
            layout: Placed::sequence(runs),
            signature: Signature::predefined(datatype),
            element: Some(info.element),
            recipe: Recipe::named(datatype),
        }))
    }

    /// `MPI_BYTE`
    pub(crate) fn byte() -> Type {
        super::get(Datatype::BYTE).expect("a predefined type")
    }

    /// The same type made in another way: a duplicate, or a Fortran type by its range.
    pub(super) fn again(&self, recipe: Recipe) -> Type {
        Type(Arc::new(TypeMap {
            bounds: self.0.bounds,
            layout: self.0.layout.clone(),
            signature: self.0.signature.clone(),
            element: self.0.element,
            recipe,
        }))
    }

    /// Bytes of data in one item.
    pub fn size(&self) -> u64 {
        self.0.layout.node.size
    }

    /// Lower bound in bytes.
    pub fn lb(&self) -> i64 {
        self.0.bounds.lb
    }

    /// Bytes from one item to the next; may be negative.
    pub fn extent(&self) -> i64 {
        self.0.bounds.extent()
    }

    /// Where the data of an item begin, in bytes from its address.
    pub fn true_lb(&self) -> i64 {
        self.0.bounds.true_lb
    }

    /// Bytes from the first to the last byte of data, gaps included.
    pub fn true_extent(&self) -> i64 {
        self.0.bounds.true_ub - self.0.bounds.true_lb
    }

    /// Whether items in a row are bytes in a row, from the address of the first.
    pub fn is_contiguous(&self) -> bool {
        self.0.layout.is_run() && self.0.layout.offset == 0 && self.extent() == self.size() as i64
    }

    /// Where the data of `count` items begin, in bytes from the address of the first, when they are
    /// one run of bytes.
    pub fn as_run(&self, count: u64) -> Option<i64> {
        let layout = &self.0.layout;
        let touching = count <= 1 || self.extent() == self.size() as i64;
        (layout.is_run() && touching).then_some(layout.offset)
    }

    /// What an item is to a predefined reduction: only predefined types, duplicates of them and
    /// Fortran types by range are something.
    pub fn element(&self) -> Option<Element> {
        self.0.element
    }

    /// How the type was made.
    pub fn recipe(&self) -> &Recipe {
        &self.0.recipe
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.0.bounds
    }

    pub(super) fn layout(&self) -> &Placed {
        &self.0.layout
    }

    pub(super) fn signature(&self) -> &Signature {
        &self.0.signature
    }

    /// Basic elements in `bytes` bytes of items in a row (`MPI_Get_elements`); `None` when the last
    /// is not whole.
    pub fn elements_in(&self, bytes: u64) -> Option<u64> {
        self.0.signature.elements_in(bytes)
    }

    /// Bytes of the first `elements` basic elements of items in a row (`MPI_Status_set_elements`);
    /// `None` when there are none in an item, or more than 64 bits hold.
    pub fn bytes_of(&self, elements: u64) -> Option<u64> {
        self.0.signature.bytes_of(elements)
    }

    /// Bytes of data in `count` items. `MPI_ERR_COUNT` for a negative count, and for more bytes
    /// than memory can hold.
    pub fn bytes(&self, count: i64) -> Result<usize> {
        bytes(count, self.size())
    }

    /// Copies the bytes `range` of the packed data of `count` items at `user` to `out`.
    ///
    /// # Safety
    /// The data of the items at `user` that lie in `range` are readable, `out` is writable for as
    /// many bytes; they do not overlap. `range` ends within the data of `count` items.
    pub unsafe fn pack(&self, count: usize, user: *const u8, range: Range<usize>, out: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.items(count).pack(user, wide(range), out) };
    }

    /// Copies from `from`, the bytes `range` of packed data, to their places in `count` items at
    /// `user`; gaps stay as they are.
    ///
    /// # Safety
    /// As of [`Type::pack`], with reading and writing exchanged.
    pub unsafe fn unpack(&self, count: usize, user: *mut u8, range: Range<usize>, from: *const u8) {
        // SAFETY: the caller's promise.
        unsafe { self.items(count).unpack(user, wide(range), from) };
    }

    fn items(&self, count: usize) -> Items<'_> {
        Items {
            count: count as u64,
            extent: self.extent(),
            layout: &self.0.layout,
        }
    }
}

fn wide(range: Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}

/// Bytes of `count` items of `size` bytes.
pub(crate) fn bytes(count: i64, size: u64) -> Result<usize> {
    if count < 0 {
        return Err(Error::new(
            ErrorClass::COUNT,
            format!("count {count} is negative"),
        ));
    }
    (count as u64)
        .checked_mul(size)
        .filter(|bytes| *bytes <= isize::MAX as u64)
        .map(|bytes| bytes as usize)
        .ok_or_else(|| {
            Error::new(
                ErrorClass::COUNT,
                format!("{count} items of {size} bytes are more than memory can hold"),
            )
        })
}
