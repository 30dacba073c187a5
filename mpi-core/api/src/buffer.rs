//! What can be sent and received: single values, slices, vectors.

use core::mem::MaybeUninit;
use core::slice;

use crate::{Datatype, Result};

/// Items to send: a single value, a slice or a vector. No other types can be made buffers, as calls rely on [`Buffer::items`] being
/// the same each time.
pub trait Buffer: sealed::Sealed {
    /// What it consists of.
    type Item: Datatype;
    /// What a reduction of such a buffer gives: a value for a value, a vector for a slice.
    type Owned;

    /// The items.
    fn items(&self) -> &[Self::Item];

    /// A result of as many items, which `fill` writes.
    ///
    /// # Safety
    /// If `fill` returns `Ok`, it has written all items.
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
        let mut item = MaybeUninit::uninit();
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

/// A vector of `count` items that `fill` writes.
///
/// # Safety
/// If `fill` returns `Ok`, it has written all items.
pub(crate) unsafe fn collect_vec<T: Datatype>(
    count: usize,
    fill: impl FnOnce(*mut T) -> Result<()>,
) -> Result<Vec<T>> {
    let mut items = Vec::with_capacity(count);
    fill(items.as_mut_ptr())?;
    // SAFETY: the caller's promise.
    unsafe { items.set_len(count) };
    Ok(items)
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
