//! What can be sent and received: single values, slices, vectors.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::slice;
use std::alloc::alloc_zeroed;

use crate::{Datatype, Error, ErrorClass, Result};

/// Items to send: a single value, a slice or a vector. No other types can be made buffers, as calls
/// rely on [`Buffer::items`] being the same each time.
pub trait Buffer: sealed::Sealed {
    /// What it consists of.
    type Item: Datatype;
    /// What a reduction of such a buffer gives: a value for a value, a vector for a slice.
    type Owned;

    /// The items.
    fn items(&self) -> &[Self::Item];

    /// A result of as many items, which `fill` writes to memory that is zeroed.
    ///
    /// # Safety
    /// If `fill` returns `Ok`, it has written all items, or they are plain.
    #[doc(hidden)]
    unsafe fn collect(
        &self,
        fill: impl FnOnce(*mut Self::Item) -> Result<()>,
    ) -> Result<Self::Owned>;
}

/// Items to receive into.
pub trait BufferMut: Buffer {
    /// The items.
    fn items_mut(&mut self) -> &mut [Self::Item];
}

mod sealed {
    pub trait Sealed {}
}

impl<T: Datatype> sealed::Sealed for T {}

impl<T: Datatype> Buffer for T {
    type Item = T;
    type Owned = T;

    #[inline(always)]
    fn items(&self) -> &[T] {
        slice::from_ref(self)
    }

    unsafe fn collect(&self, fill: impl FnOnce(*mut T) -> Result<()>) -> Result<T> {
        let mut item = MaybeUninit::zeroed();
        fill(item.as_mut_ptr())?;
        // SAFETY: the caller's promise.
        Ok(unsafe { item.assume_init() })
    }
}

impl<T: Datatype> BufferMut for T {
    #[inline(always)]
    fn items_mut(&mut self) -> &mut [T] {
        slice::from_mut(self)
    }
}

/// A vector of `count` items that `fill` writes; their memory is zeroed before. How many there are
/// may be what another member has said in a call that does not fit this one, so more than there is
/// memory for is an error.
///
/// # Safety
/// If `fill` returns `Ok`, it has written all items, or they are plain.
pub(crate) unsafe fn collect_vec<T: Datatype>(
    count: usize,
    fill: impl FnOnce(*mut T) -> Result<()>,
) -> Result<Vec<T>> {
    let mut items = zeroed::<T>(count)?;
    fill(items.as_mut_ptr())?;
    // SAFETY: the caller's promise; zeros are a value of a plain type.
    unsafe { items.set_len(count) };
    Ok(items)
}

/// An empty vector with room for `count` items, which is zero. Memory is used only where something
/// is written: it is for the system to have so much, not for this process.
fn zeroed<T>(count: usize) -> Result<Vec<T>> {
    let layout = Layout::array::<T>(count).map_err(|_| too_many::<T>(count))?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout has a size.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return Err(too_many::<T>(count));
    }
    // SAFETY: allocated as a vector does it, with room for so many items, none of which is there
    // yet.
    Ok(unsafe { Vec::from_raw_parts(start.cast(), 0, count) })
}

#[cold]
pub(crate) fn too_many<T>(count: usize) -> Error {
    let sentence = format!(
        "there is no memory for {count} items of {} bytes, as many as this call is to receive; do \
         all members make the same call?",
        size_of::<T>()
    );
    Error::new(ErrorClass::NO_MEM, sentence)
}

macro_rules! rows {
    ($($type:ty),*) => {$(
        impl<T: Datatype> sealed::Sealed for $type {}

        impl<T: Datatype> Buffer for $type {
            type Item = T;
            type Owned = Vec<T>;

            #[inline(always)]
            fn items(&self) -> &[T] {
                self
            }

            unsafe fn collect(&self, fill: impl FnOnce(*mut T) -> Result<()>) -> Result<Vec<T>> {
                // SAFETY: the caller's promise.
                unsafe { collect_vec(self.len(), fill) }
            }
        }

        impl<T: Datatype> BufferMut for $type {
            #[inline(always)]
            fn items_mut(&mut self) -> &mut [T] {
                self
            }
        }
    )*};
}

rows!([T], Vec<T>, Box<[T]>);
