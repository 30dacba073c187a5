//! The representation external32: big-endian, sizes fixed by the standard (MPI 5.0, sections 5.3
//! and 14.5.2).
//!
//! Numbers keep their values as far as the smaller format holds them: of a C `long` of 8 bytes the
//! lower 4 bytes travel, of a wide character the lower 2; a `long double` travels as IEEE
//! binary128.

use core::mem;

use rustc_apfloat::ieee::{Quad, X87DoubleExtended};
use rustc_apfloat::{Float, FloatConvert};

use super::Type;
use super::predefined::{Element, Scalar, info};
use crate::handle::Datatype;
use crate::{Error, ErrorClass, Result};

/// How the numbers of a type are converted.
#[derive(Clone, Copy)]
struct Numbers {
    /// Numbers in one element: two of a complex one.
    each: u64,
    native: Scalar,
    /// Bytes of a number in external32.
    external: u64,
}

impl Numbers {
    fn of(datatype: Datatype) -> Numbers {
        let element = info(datatype).expect("a predefined type").element;
        let (each, native) = match element {
            Element::Integer(scalar)
            | Element::FortranInteger(scalar)
            | Element::MultiLanguage(scalar)
            | Element::Floating(scalar)
            | Element::Logical(scalar)
            | Element::Text(scalar) => (1, scalar),
            Element::Complex(scalar) => (2, scalar),
            Element::Byte | Element::Packed => (1, Scalar::U8),
            Element::Pair(..) => unreachable!("a signature has the parts of pairs"),
        };
        let external = match datatype {
            Datatype::LONG | Datatype::UNSIGNED_LONG => 4,
            Datatype::WCHAR => 2,
            // Where C's long double is a double, too.
            Datatype::LONG_DOUBLE
            | Datatype::C_LONG_DOUBLE_COMPLEX
            | Datatype::CXX_LONG_DOUBLE_COMPLEX => 16,
            _ => native.size().into(),
        };
        Numbers {
            each,
            native,
            external,
        }
    }

    /// From native bytes to external ones.
    fn encode(self, native: &[u8], out: &mut [u8]) {
        let external = self.external as usize;
        let each = native.chunks_exact(self.native.size() as usize);
        for (native, out) in each.zip(out.chunks_exact_mut(external)) {
            let mut number = [0; 16];
            number[..native.len()].copy_from_slice(native);
            let number = u128::from_le_bytes(number);
            let bits = match self.native {
                Scalar::F80 => {
                    let wide: Quad = X87DoubleExtended::from_bits(number & X87)
                        .convert(&mut false)
                        .value;
                    wide.to_bits()
                }
                Scalar::F64 if external == 16 => {
                    let wide: Quad = rustc_apfloat::ieee::Double::from_bits(number)
                        .convert(&mut false)
                        .value;
                    wide.to_bits()
                }
                _ => number,
            };
            out.copy_from_slice(&bits.to_be_bytes()[16 - external..]);
        }
    }

    /// From external bytes to native ones.
    fn decode(self, external: &[u8], out: &mut [u8]) {
        let size = self.native.size() as usize;
        let each = external.chunks_exact(self.external as usize);
        for (external, out) in each.zip(out.chunks_exact_mut(size)) {
            let mut number = [0; 16];
            number[16 - external.len()..].copy_from_slice(external);
            let number = u128::from_be_bytes(number);
            let bits = match self.native {
                Scalar::F80 => {
                    let narrow: X87DoubleExtended =
                        Quad::from_bits(number).convert(&mut false).value;
                    narrow.to_bits()
                }
                Scalar::F64 if external.len() == 16 => {
                    let narrow: rustc_apfloat::ieee::Double =
                        Quad::from_bits(number).convert(&mut false).value;
                    narrow.to_bits()
                }
                Scalar::I64 if external.len() == 4 => i64::from(number as u32 as i32) as u128,
                _ => number,
            };
            out.copy_from_slice(&bits.to_le_bytes()[..size]);
        }
    }
}

/// The bits of an x87 number; the other 48 of its 16 bytes mean nothing.
const X87: u128 = (1 << 80) - 1;

const _: () = assert!(
    cfg!(target_endian = "little") && mem::size_of::<usize>() == 8,
    "the conversion takes native numbers for little-endian ones"
);

/// Bytes of `count` items in external32 (`MPI_Pack_external_size`). `MPI_ERR_COUNT` for a negative
/// count and more than memory can hold.
pub fn external_size(type_map: &Type, count: i64) -> Result<usize> {
    let each = type_map.signature().sum(&|datatype| {
        let numbers = Numbers::of(datatype);
        numbers.each * numbers.external
    });
    super::type_map::bytes(count, each.unwrap_or(u64::MAX))
}

/// Packs `count` items in external32 to the beginning of `out` and returns the bytes written
/// (`MPI_Pack_external`). `MPI_ERR_TRUNCATE` when they do not fit, otherwise errors as of
/// [`external_size`].
///
/// # Safety
/// `user` is readable for the data of `count` items.
pub unsafe fn pack_external(
    type_map: &Type,
    count: i64,
    user: *const u8,
    out: &mut [u8],
) -> Result<usize> {
    let len = external_size(type_map, count)?;
    if len > out.len() {
        return Err(does_not_fit("packed", len, out.len()));
    }
    let bytes = type_map.bytes(count)?;
    let mut native = vec![0; bytes];
    // SAFETY: the caller's promise; `native` has room for all of it.
    unsafe { type_map.pack(count as usize, user, 0..bytes, native.as_mut_ptr()) };
    let (mut native, mut out) = (&native[..], out);
    type_map
        .signature()
        .repeat(count as u64)
        .for_each(&mut |datatype, elements| {
            let numbers = Numbers::of(datatype);
            let all = (numbers.each * elements) as usize;
            let (now, rest) = native.split_at(all * numbers.native.size() as usize);
            let (to, after) = mem::take(&mut out).split_at_mut(all * numbers.external as usize);
            numbers.encode(now, to);
            (native, out) = (rest, after);
        });
    Ok(len)
}

/// Unpacks `count` items in external32 from the beginning of `from` and returns the bytes read
/// (`MPI_Unpack_external`). `MPI_ERR_TRUNCATE` when `from` has fewer, otherwise errors as of
/// [`external_size`].
///
/// # Safety
/// `user` is writable for the data of `count` items.
pub unsafe fn unpack_external(
    type_map: &Type,
    count: i64,
    user: *mut u8,
    from: &[u8],
) -> Result<usize> {
    let len = external_size(type_map, count)?;
    if len > from.len() {
        return Err(does_not_fit("unpacked", len, from.len()));
    }
    let bytes = type_map.bytes(count)?;
    let mut native = vec![0; bytes];
    let (mut to, mut from) = (&mut native[..], from);
    type_map
        .signature()
        .repeat(count as u64)
        .for_each(&mut |datatype, elements| {
            let numbers = Numbers::of(datatype);
            let all = (numbers.each * elements) as usize;
            let (now, rest) = from.split_at(all * numbers.external as usize);
            let (out, after) =
                mem::take(&mut to).split_at_mut(all * numbers.native.size() as usize);
            numbers.decode(now, out);
            (from, to) = (rest, after);
        });
    // SAFETY: the caller's promise; `native` holds all of it.
    unsafe { type_map.unpack(count as usize, user, 0..bytes, native.as_ptr()) };
    Ok(len)
}

#[cold]
pub(super) fn does_not_fit(what: &str, len: usize, room: usize) -> Error {
    Error::new(
        ErrorClass::TRUNCATE,
        format!("{len} bytes are to be {what}, but the buffer has {room} from its position on"),
    )
}
