//! Types whose values can be sent.
//!
//! A value's *packed form* is its fields, one after the other, without padding. A type without
//! padding, all of whose bit patterns are values, is *plain*: its values are sent from where they
//! lie. All others are packed before they leave and unpacked after they arrive, so padding is never
//! read.

use core::marker::PhantomData;

/// The engine's name of a predefined type.
pub(crate) use ferrite_engine::Datatype as Predefined;
use ferrite_fabric::{OwnedBuf, RawBuf, RawBufMut};

/// A type whose values can be sent, received and reduced. Derive it: `#[derive(Clone, Copy,
/// Datatype)]`.
///
/// Implemented for integers, floating-point numbers, `bool`, arrays and tuples of such types.
/// `char`, references, pointers and enums are not such types, because what a peer sends need not be
/// a valid value of them.
///
/// All ranks must have the same definition: a plain type travels as its bytes, in the order that
/// the compiler chose for its fields. Ranks that run different programs should share a `#[repr(C)]`
/// type.
///
/// ```
/// use mpi_core::Datatype;
///
/// #[derive(Clone, Copy, Datatype)]
/// struct Particle<const D: usize, T: Datatype> {
///     position: [T; D],
///     alive: bool,
/// }
/// ```
///
/// What could become an invalid value is rejected: enums, references, pointers, and fields that are
/// no [`Datatype`].
///
/// ```compile_fail
/// #[derive(Clone, Copy, mpi_core::Datatype)]
/// enum State { On, Off }
/// ```
/// ```compile_fail
/// #[derive(Clone, Copy, mpi_core::Datatype)]
/// struct Name<'a> { text: &'a str }
/// ```
/// ```compile_fail
/// #[derive(Clone, Copy, mpi_core::Datatype)]
/// struct Node { next: *const u8 }
/// ```
/// ```compile_fail,E0277
/// #[derive(Clone, Copy, mpi_core::Datatype)]
/// struct Letter { letter: char }
/// ```
///
/// # Safety
/// * `pack` initialises `PACKED` bytes from every value.
/// * `unpack` makes a valid value of any `PACKED` initialised bytes.
/// * If `PLAIN`, the type has no padding, every bit pattern of its size is a valid value, and
///   `PACKED` is its size.
/// * If `ELEMENT` is `Some`, the packed form is a row of items of that type.
pub unsafe trait Datatype: Copy + Send + Sync + 'static {
    /// Bytes of the packed form.
    const PACKED: usize;
    /// Whether the bytes of a value are its packed form, and any bytes are a value.
    const PLAIN: bool;
    /// The one predefined type that the packed form is a row of, if there is one, and its size in
    /// bytes.
    #[doc(hidden)]
    const ELEMENT: Option<(Predefined, usize)> = None;

    /// Writes the packed form of a value.
    ///
    /// # Safety
    /// `from` is a value, aligned; `to` is writable for `PACKED` bytes.
    unsafe fn pack(from: *const Self, to: *mut u8);

    /// Makes a value of its packed form.
    ///
    /// # Safety
    /// `from` is readable for `PACKED` initialised bytes; `to` is writable and aligned.
    unsafe fn unpack(from: *const u8, to: *mut Self);
}

macro_rules! plain {
    ($($type:ty = $element:expr;)*) => {$(
        // SAFETY: a number has no padding, and all bit patterns are numbers.
        unsafe impl Datatype for $type {
            const PACKED: usize = size_of::<$type>();
            const PLAIN: bool = true;
            const ELEMENT: Option<(Predefined, usize)> = match $element {
                Some(element) => Some((element, size_of::<$type>())),
                None => None,
            };

            #[inline]
            unsafe fn pack(from: *const Self, to: *mut u8) {
                // SAFETY: the caller's promise.
                unsafe { to.cast::<Self>().write_unaligned(from.read()) }
            }

            #[inline]
            unsafe fn unpack(from: *const u8, to: *mut Self) {
                // SAFETY: the caller's promise.
                unsafe { to.write(from.cast::<Self>().read_unaligned()) }
            }
        }
    )*};
}

plain! {
    i8 = Some(Predefined::INT8_T);
    u8 = Some(Predefined::UINT8_T);
    i16 = Some(Predefined::INT16_T);
    u16 = Some(Predefined::UINT16_T);
    i32 = Some(Predefined::INT32_T);
    u32 = Some(Predefined::UINT32_T);
    i64 = Some(Predefined::INT64_T);
    u64 = Some(Predefined::UINT64_T);
    isize = Some(if size_of::<isize>() == 8 { Predefined::INT64_T } else { Predefined::INT32_T });
    usize = Some(if size_of::<usize>() == 8 { Predefined::UINT64_T } else { Predefined::UINT32_T });
    f32 = Some(Predefined::FLOAT);
    f64 = Some(Predefined::DOUBLE);
    i128 = None;
    u128 = None;
}

// SAFETY: a bool is a byte; only 0 and 1 are bools, so it is not plain, and any byte but 0 becomes
// `true`.
unsafe impl Datatype for bool {
    const PACKED: usize = 1;
    const PLAIN: bool = false;
    const ELEMENT: Option<(Predefined, usize)> = Some((Predefined::UINT8_T, 1));

    #[inline]
    unsafe fn pack(from: *const Self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.write(u8::from(from.read())) }
    }

    #[inline]
    unsafe fn unpack(from: *const u8, to: *mut Self) {
        // SAFETY: the caller's promise.
        unsafe { to.write(from.read() != 0) }
    }
}

// SAFETY: an array is its items in a row.
unsafe impl<T: Datatype, const N: usize> Datatype for [T; N] {
    const PACKED: usize = N * T::PACKED;
    const PLAIN: bool = T::PLAIN;
    const ELEMENT: Option<(Predefined, usize)> = T::ELEMENT;

    #[inline]
    unsafe fn pack(from: *const Self, to: *mut u8) {
        // SAFETY: the caller's promise, item by item.
        unsafe { pack_items(from.cast::<T>(), N, to) }
    }

    #[inline]
    unsafe fn unpack(from: *const u8, to: *mut Self) {
        // SAFETY: the caller's promise, item by item.
        unsafe { unpack_items(from, N, to.cast::<T>()) }
    }
}

// SAFETY: nothing is written or read.
unsafe impl<T: Send + Sync + 'static> Datatype for PhantomData<T> {
    const PACKED: usize = 0;
    const PLAIN: bool = true;

    unsafe fn pack(_: *const Self, _: *mut u8) {}
    unsafe fn unpack(_: *const u8, _: *mut Self) {}
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),+);)*) => {$(
        // SAFETY: field by field; plain only if the fields are and fill the tuple.
        unsafe impl<$($name: Datatype),+> Datatype for ($($name,)+) {
            const PACKED: usize = 0 $(+ $name::PACKED)+;
            const PLAIN: bool = true $(&& $name::PLAIN)+ && Self::PACKED == size_of::<Self>();

            #[inline]
            #[allow(unused_assignments)]
            unsafe fn pack(from: *const Self, to: *mut u8) {
                let mut at = 0;
                // SAFETY: the caller's promise, field by field.
                unsafe {
                    $($name::pack(&raw const (*from).$at, to.add(at)); at += $name::PACKED;)+
                }
            }

            #[inline]
            #[allow(unused_assignments)]
            unsafe fn unpack(from: *const u8, to: *mut Self) {
                let mut at = 0;
                // SAFETY: the caller's promise, field by field.
                unsafe {
                    $($name::unpack(from.add(at), &raw mut (*to).$at); at += $name::PACKED;)+
                }
            }
        }
    )*};
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
}

/// Packs items in a row.
///
/// # Safety
/// `from` is `count` values; `to` is writable for their packed forms.
#[inline]
pub(crate) unsafe fn pack_items<T: Datatype>(from: *const T, count: usize, to: *mut u8) {
    for at in 0..count {
        // SAFETY: the caller's promise.
        unsafe { T::pack(from.add(at), to.add(at * T::PACKED)) }
    }
}

/// Unpacks items in a row.
///
/// # Safety
/// `from` is readable for `count` packed forms; `to` is writable for as many items.
#[inline]
pub(crate) unsafe fn unpack_items<T: Datatype>(from: *const u8, count: usize, to: *mut T) {
    for at in 0..count {
        // SAFETY: the caller's promise.
        unsafe { T::unpack(from.add(at * T::PACKED), to.add(at)) }
    }
}

/// The packed form of items.
pub(crate) fn packed<T: Datatype>(items: &[T]) -> OwnedBuf {
    let bytes = OwnedBuf::zeroed(items.len() * T::PACKED);
    // SAFETY: the items are values, and there is room for their packed forms.
    unsafe { pack_items(items.as_ptr(), items.len(), bytes.buf_mut().ptr) };
    bytes
}

/// Bytes as the engine wants to be told of them to send them.
pub(crate) fn sent_bytes(bytes: &OwnedBuf) -> (*const u8, (i64, Predefined)) {
    let RawBuf { ptr, len } = bytes.buf();
    (ptr, (len as i64, Predefined::BYTE))
}

/// The same to receive into them.
pub(crate) fn room(bytes: &OwnedBuf) -> (*mut u8, (i64, Predefined)) {
    let RawBufMut { ptr, len } = bytes.buf_mut();
    (ptr, (len as i64, Predefined::BYTE))
}

/// How the engine is told of `items` items: a predefined type and how many of it.
#[inline(always)]
pub(crate) const fn engine_items<T: Datatype>(items: usize) -> (i64, Predefined) {
    match T::ELEMENT {
        // The division is of constants.
        Some((element, size)) => ((items * (T::PACKED / size)) as i64, element),
        None => ((items * T::PACKED) as i64, Predefined::BYTE),
    }
}
