//! Predefined datatypes: name, size, extent and what their elements are to a reduction (MPI 5.0,
//! sections 3.2.2, 5.1 and 6.9.2, appendix A).
//!
//! Handles of predefined types are 0x200..0x300, the standard ABI's values, so everything about
//! them is an array indexed by the low eight bits, made by the compiler. Sizes are those of the
//! platform's C compiler and of its Fortran compiler's default kinds (`INTEGER`, `REAL` and
//! `LOGICAL` are 4 bytes).
//!
//! Four pair types have gaps between or after their parts (`MPI_DOUBLE_INT`, `MPI_LONG_INT`,
//! `MPI_SHORT_INT`, `MPI_LONG_DOUBLE_INT` on 64-bit Unix): in a buffer they lie an extent apart, in
//! a message only their bytes travel. [`contiguous_size`] therefore knows nothing of them.
//!
//! This module does not know derived types.

use core::ffi::{c_int, c_long, c_longlong, c_short, c_uint, c_ulong, c_ulonglong, c_ushort};
use core::mem;

use crate::handle::Datatype;

/// The representation of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Signed integer of 1 byte
    I8,
    /// Signed integer of 2 bytes
    I16,
    /// Signed integer of 4 bytes
    I32,
    /// Signed integer of 8 bytes
    I64,
    /// Signed integer of 16 bytes
    I128,
    /// Unsigned integer of 1 byte
    U8,
    /// Unsigned integer of 2 bytes
    U16,
    /// Unsigned integer of 4 bytes
    U32,
    /// Unsigned integer of 8 bytes
    U64,
    /// Unsigned integer of 16 bytes
    U128,
    /// IEEE 754 binary16
    F16,
    /// IEEE 754 binary32
    F32,
    /// IEEE 754 binary64
    F64,
    /// The x87's 80-bit format, stored in 16 bytes
    F80,
    /// IEEE 754 binary128
    F128,
}

impl Scalar {
    /// Bytes that a number takes in memory, which is also its alignment.
    pub const fn size(self) -> u32 {
        match self {
            Scalar::I8 | Scalar::U8 => 1,
            Scalar::I16 | Scalar::U16 | Scalar::F16 => 2,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => 4,
            Scalar::I64 | Scalar::U64 | Scalar::F64 => 8,
            Scalar::I128 | Scalar::U128 | Scalar::F80 | Scalar::F128 => 16,
        }
    }
}

/// What one element of a datatype is to a reduction (the groups of MPI 5.0, section 6.9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// C integer
    Integer(Scalar),
    /// Fortran integer
    FortranInteger(Scalar),
    /// Multi-language type: `MPI_AINT`, `MPI_COUNT`, `MPI_OFFSET`
    MultiLanguage(Scalar),
    /// Floating point
    Floating(Scalar),
    /// Complex: real part, imaginary part
    Complex(Scalar),
    /// Logical: zero is false, everything else true, the result is 0 or 1
    Logical(Scalar),
    /// `MPI_BYTE`
    Byte,
    /// A value and an index in the layout of a C struct, for `MPI_MINLOC` and `MPI_MAXLOC`
    Pair(Scalar, Scalar),
    /// Characters, which no predefined operation takes
    Text(Scalar),
    /// `MPI_PACKED`
    Packed,
}

impl Element {
    /// Bytes of data.
    pub const fn size(self) -> u32 {
        match self {
            Element::Integer(scalar)
            | Element::FortranInteger(scalar)
            | Element::MultiLanguage(scalar)
            | Element::Floating(scalar)
            | Element::Logical(scalar)
            | Element::Text(scalar) => scalar.size(),
            Element::Complex(scalar) => 2 * scalar.size(),
            Element::Pair(value, index) => value.size() + index.size(),
            Element::Byte | Element::Packed => 1,
        }
    }

    /// Bytes from one element to the next.
    pub const fn extent(self) -> u32 {
        match self {
            Element::Pair(value, index) => {
                let (value, index) = (value.size(), index.size());
                let align = if value > index { value } else { index };
                (value.next_multiple_of(index) + index).next_multiple_of(align)
            }
            _ => self.size(),
        }
    }
}

/// Facts about a datatype.
#[derive(Clone, Copy, Debug)]
pub struct TypeInfo {
    /// The initial name (MPI 5.0, section 7.8).
    pub name: &'static str,
    /// Bytes of data in one item.
    pub size: u64,
    /// Lower bound in bytes.
    pub lb: i64,
    /// Bytes from one item to the next.
    pub extent: i64,
    /// What an item consists of.
    pub element: Element,
}

impl TypeInfo {
    const fn predefined(name: &'static str, element: Element) -> TypeInfo {
        TypeInfo {
            name,
            size: element.size() as u64,
            lb: 0,
            extent: element.extent() as i64,
            element,
        }
    }

    /// Whether items in a row are bytes in a row.
    pub const fn is_contiguous(&self) -> bool {
        self.lb == 0 && self.size as i64 == self.extent
    }
}

pub(super) const FIRST: u32 = 0x200;
const COUNT: usize = 0x100;

const fn signed(bytes: usize) -> Scalar {
    match bytes {
        1 => Scalar::I8,
        2 => Scalar::I16,
        4 => Scalar::I32,
        8 => Scalar::I64,
        _ => Scalar::I128,
    }
}

const fn unsigned(bytes: usize) -> Scalar {
    match bytes {
        1 => Scalar::U8,
        2 => Scalar::U16,
        4 => Scalar::U32,
        8 => Scalar::U64,
        _ => Scalar::U128,
    }
}

/// C's `long double`.
const LONG_DOUBLE: Scalar = if cfg!(windows) {
    Scalar::F64
} else if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
    Scalar::F80
} else if cfg!(target_vendor = "apple") {
    Scalar::F64
} else {
    Scalar::F128
};

/// The standard has no operations on `MPI_CHAR`; all other implementations take it for a small
/// integer, and programs rely on that.
const CHAR: Scalar = if core::ffi::c_char::MIN == 0 {
    Scalar::U8
} else {
    Scalar::I8
};
const SHORT: Scalar = signed(mem::size_of::<c_short>());
const INT: Scalar = signed(mem::size_of::<c_int>());
const LONG: Scalar = signed(mem::size_of::<c_long>());
const LONG_LONG: Scalar = signed(mem::size_of::<c_longlong>());
const WCHAR: Scalar = unsigned(mem::size_of::<libc::wchar_t>());

macro_rules! predefined {
    ($($name:ident = $value:literal, $mpi:literal, $kind:ident $(($($scalar:expr),*))?;)*) => {
        impl Datatype {
            $(#[doc = concat!("`", $mpi, "`")] pub const $name: Datatype = Datatype($value);)*
        }

        static PREDEFINED: [Option<TypeInfo>; COUNT] = {
            let mut table = [const { None }; COUNT];
            $(table[$value - FIRST as usize] =
                Some(TypeInfo::predefined($mpi, Element::$kind $(($($scalar),*))?));)*
            table
        };
    };
}

predefined! {
    AINT = 0x201, "MPI_AINT", MultiLanguage(signed(mem::size_of::<isize>()));
    COUNT = 0x202, "MPI_COUNT", MultiLanguage(Scalar::I64);
    OFFSET = 0x203, "MPI_OFFSET", MultiLanguage(Scalar::I64);
    PACKED = 0x207, "MPI_PACKED", Packed;
    SHORT = 0x208, "MPI_SHORT", Integer(SHORT);
    INT = 0x209, "MPI_INT", Integer(INT);
    LONG = 0x20a, "MPI_LONG", Integer(LONG);
    LONG_LONG = 0x20b, "MPI_LONG_LONG_INT", Integer(LONG_LONG);
    UNSIGNED_SHORT = 0x20c, "MPI_UNSIGNED_SHORT", Integer(unsigned(mem::size_of::<c_ushort>()));
    UNSIGNED = 0x20d, "MPI_UNSIGNED", Integer(unsigned(mem::size_of::<c_uint>()));
    UNSIGNED_LONG = 0x20e, "MPI_UNSIGNED_LONG", Integer(unsigned(mem::size_of::<c_ulong>()));
    UNSIGNED_LONG_LONG = 0x20f, "MPI_UNSIGNED_LONG_LONG", Integer(unsigned(mem::size_of::<c_ulonglong>()));
    FLOAT = 0x210, "MPI_FLOAT", Floating(Scalar::F32);
    C_FLOAT_COMPLEX = 0x212, "MPI_C_COMPLEX", Complex(Scalar::F32);
    CXX_FLOAT_COMPLEX = 0x213, "MPI_CXX_FLOAT_COMPLEX", Complex(Scalar::F32);
    DOUBLE = 0x214, "MPI_DOUBLE", Floating(Scalar::F64);
    C_DOUBLE_COMPLEX = 0x216, "MPI_C_DOUBLE_COMPLEX", Complex(Scalar::F64);
    CXX_DOUBLE_COMPLEX = 0x217, "MPI_CXX_DOUBLE_COMPLEX", Complex(Scalar::F64);
    LOGICAL = 0x218, "MPI_LOGICAL", Logical(Scalar::U32);
    INTEGER = 0x219, "MPI_INTEGER", FortranInteger(Scalar::I32);
    REAL = 0x21a, "MPI_REAL", Floating(Scalar::F32);
    COMPLEX = 0x21b, "MPI_COMPLEX", Complex(Scalar::F32);
    DOUBLE_PRECISION = 0x21c, "MPI_DOUBLE_PRECISION", Floating(Scalar::F64);
    DOUBLE_COMPLEX = 0x21d, "MPI_DOUBLE_COMPLEX", Complex(Scalar::F64);
    CHARACTER = 0x21e, "MPI_CHARACTER", Text(Scalar::U8);
    LONG_DOUBLE = 0x220, "MPI_LONG_DOUBLE", Floating(LONG_DOUBLE);
    C_LONG_DOUBLE_COMPLEX = 0x224, "MPI_C_LONG_DOUBLE_COMPLEX", Complex(LONG_DOUBLE);
    CXX_LONG_DOUBLE_COMPLEX = 0x225, "MPI_CXX_LONG_DOUBLE_COMPLEX", Complex(LONG_DOUBLE);
    FLOAT_INT = 0x228, "MPI_FLOAT_INT", Pair(Scalar::F32, INT);
    DOUBLE_INT = 0x229, "MPI_DOUBLE_INT", Pair(Scalar::F64, INT);
    LONG_INT = 0x22a, "MPI_LONG_INT", Pair(LONG, INT);
    TWO_INT = 0x22b, "MPI_2INT", Pair(INT, INT);
    SHORT_INT = 0x22c, "MPI_SHORT_INT", Pair(SHORT, INT);
    LONG_DOUBLE_INT = 0x22d, "MPI_LONG_DOUBLE_INT", Pair(LONG_DOUBLE, INT);
    TWO_REAL = 0x230, "MPI_2REAL", Pair(Scalar::F32, Scalar::F32);
    TWO_DOUBLE_PRECISION = 0x231, "MPI_2DOUBLE_PRECISION", Pair(Scalar::F64, Scalar::F64);
    TWO_INTEGER = 0x232, "MPI_2INTEGER", Pair(Scalar::I32, Scalar::I32);
    C_BOOL = 0x238, "MPI_C_BOOL", Logical(Scalar::U8);
    CXX_BOOL = 0x239, "MPI_CXX_BOOL", Logical(Scalar::U8);
    WCHAR = 0x23c, "MPI_WCHAR", Text(WCHAR);
    INT8_T = 0x240, "MPI_INT8_T", Integer(Scalar::I8);
    UINT8_T = 0x241, "MPI_UINT8_T", Integer(Scalar::U8);
    CHAR = 0x243, "MPI_CHAR", Integer(CHAR);
    SIGNED_CHAR = 0x244, "MPI_SIGNED_CHAR", Integer(Scalar::I8);
    UNSIGNED_CHAR = 0x245, "MPI_UNSIGNED_CHAR", Integer(Scalar::U8);
    BYTE = 0x247, "MPI_BYTE", Byte;
    INT16_T = 0x248, "MPI_INT16_T", Integer(Scalar::I16);
    UINT16_T = 0x249, "MPI_UINT16_T", Integer(Scalar::U16);
    C_FLOAT16 = 0x24a, "MPIX_C_FLOAT16", Floating(Scalar::F16);
    INT32_T = 0x250, "MPI_INT32_T", Integer(Scalar::I32);
    UINT32_T = 0x251, "MPI_UINT32_T", Integer(Scalar::U32);
    INT64_T = 0x258, "MPI_INT64_T", Integer(Scalar::I64);
    UINT64_T = 0x259, "MPI_UINT64_T", Integer(Scalar::U64);
    LOGICAL1 = 0x2c0, "MPI_LOGICAL1", Logical(Scalar::U8);
    INTEGER1 = 0x2c1, "MPI_INTEGER1", FortranInteger(Scalar::I8);
    LOGICAL2 = 0x2c8, "MPI_LOGICAL2", Logical(Scalar::U16);
    INTEGER2 = 0x2c9, "MPI_INTEGER2", FortranInteger(Scalar::I16);
    REAL2 = 0x2ca, "MPI_REAL2", Floating(Scalar::F16);
    LOGICAL4 = 0x2d0, "MPI_LOGICAL4", Logical(Scalar::U32);
    INTEGER4 = 0x2d1, "MPI_INTEGER4", FortranInteger(Scalar::I32);
    REAL4 = 0x2d2, "MPI_REAL4", Floating(Scalar::F32);
    COMPLEX4 = 0x2d3, "MPI_COMPLEX4", Complex(Scalar::F16);
    LOGICAL8 = 0x2d8, "MPI_LOGICAL8", Logical(Scalar::U64);
    INTEGER8 = 0x2d9, "MPI_INTEGER8", FortranInteger(Scalar::I64);
    REAL8 = 0x2da, "MPI_REAL8", Floating(Scalar::F64);
    COMPLEX8 = 0x2db, "MPI_COMPLEX8", Complex(Scalar::F32);
    LOGICAL16 = 0x2e0, "MPI_LOGICAL16", Logical(Scalar::U128);
    INTEGER16 = 0x2e1, "MPI_INTEGER16", FortranInteger(Scalar::I128);
    REAL16 = 0x2e2, "MPI_REAL16", Floating(Scalar::F128);
    COMPLEX16 = 0x2e3, "MPI_COMPLEX16", Complex(Scalar::F64);
    COMPLEX32 = 0x2eb, "MPI_COMPLEX32", Complex(Scalar::F128);
}

/// Size of one item by the low byte of its handle; 0 where items in a row are not bytes in a row,
/// or where there is no type. 256 bytes: the part of this module that a send touches.
static CONTIGUOUS: [u8; COUNT] = {
    let mut sizes = [0; COUNT];
    let mut i = 0;
    while i < COUNT {
        if let Some(info) = &PREDEFINED[i]
            && info.is_contiguous()
        {
            sizes[i] = info.size as u8;
        }
        i += 1;
    }
    sizes
};

/// Bytes of one item of a type whose items lie without gaps: one table load. `None` for every other
/// type and for what is not a predefined type; [`info`] tells them apart.
#[inline(always)]
pub fn contiguous_size(datatype: Datatype) -> Option<u32> {
    match CONTIGUOUS.get(datatype.0.wrapping_sub(FIRST) as usize) {
        Some(&size) if size != 0 => Some(u32::from(size)),
        _ => None,
    }
}

/// Bytes of data in one item of a predefined type (`MPI_Type_size`); `None` when the handle names
/// none.
#[inline]
pub fn size_of(datatype: Datatype) -> Option<u32> {
    contiguous_size(datatype).or_else(|| info(datatype).map(|info| info.size as u32))
}

/// All facts about a predefined type; `None` when the handle names none.
pub fn info(datatype: Datatype) -> Option<&'static TypeInfo> {
    let index = datatype.0.wrapping_sub(FIRST) as usize;
    PREDEFINED.get(index)?.as_ref()
}

/// Every predefined type in ascending order of the handles.
pub fn predefined() -> impl Iterator<Item = (Datatype, &'static TypeInfo)> {
    let numbered = PREDEFINED.iter().zip(FIRST..);
    numbered.filter_map(|(info, handle)| Some((Datatype(handle), info.as_ref()?)))
}

/// The pair types, each with the types of its value and its index.
const PAIRS: [(Datatype, Datatype, Datatype); 9] = [
    (Datatype::FLOAT_INT, Datatype::FLOAT, Datatype::INT),
    (Datatype::DOUBLE_INT, Datatype::DOUBLE, Datatype::INT),
    (Datatype::LONG_INT, Datatype::LONG, Datatype::INT),
    (Datatype::TWO_INT, Datatype::INT, Datatype::INT),
    (Datatype::SHORT_INT, Datatype::SHORT, Datatype::INT),
    (
        Datatype::LONG_DOUBLE_INT,
        Datatype::LONG_DOUBLE,
        Datatype::INT,
    ),
    (Datatype::TWO_REAL, Datatype::REAL, Datatype::REAL),
    (
        Datatype::TWO_DOUBLE_PRECISION,
        Datatype::DOUBLE_PRECISION,
        Datatype::DOUBLE_PRECISION,
    ),
    (Datatype::TWO_INTEGER, Datatype::INTEGER, Datatype::INTEGER),
];

/// The predefined pair of a value and an index type (`MPI_Type_get_value_index`), if there is one.
pub fn value_index(value: Datatype, index: Datatype) -> Option<Datatype> {
    let found = PAIRS.iter().find(|pair| (pair.1, pair.2) == (value, index));
    found.map(|pair| pair.0)
}

/// The types of value and index of a pair type.
pub(super) fn pair_of(pair: Datatype) -> Option<(Datatype, Datatype)> {
    let found = PAIRS.iter().find(|known| known.0 == pair);
    found.map(|pair| (pair.1, pair.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_extents_are_those_of_c() {
        #[repr(C)]
        struct Pair<V, I>(V, I);
        let cases = [
            (
                Datatype::INT,
                mem::size_of::<c_int>(),
                mem::size_of::<c_int>(),
            ),
            (
                Datatype::LONG,
                mem::size_of::<c_long>(),
                mem::size_of::<c_long>(),
            ),
            (Datatype::DOUBLE_INT, 12, mem::size_of::<Pair<f64, c_int>>()),
            (Datatype::FLOAT_INT, 8, mem::size_of::<Pair<f32, c_int>>()),
            (
                Datatype::SHORT_INT,
                6,
                mem::size_of::<Pair<c_short, c_int>>(),
            ),
            (
                Datatype::LONG_INT,
                mem::size_of::<c_long>() + 4,
                mem::size_of::<Pair<c_long, c_int>>(),
            ),
            (Datatype::TWO_DOUBLE_PRECISION, 16, 16),
            (Datatype::C_DOUBLE_COMPLEX, 16, 16),
            (Datatype::COMPLEX32, 32, 32),
            (Datatype::REAL2, 2, 2),
            (Datatype::PACKED, 1, 1),
        ];
        for (datatype, size, extent) in cases {
            let info = info(datatype).unwrap();
            assert_eq!(
                (info.size, info.extent),
                (size as u64, extent as i64),
                "{}",
                info.name
            );
            assert_eq!(size_of(datatype), Some(size as u32));
        }
        #[cfg(all(unix, target_arch = "x86_64"))]
        {
            let pair = info(Datatype::LONG_DOUBLE_INT).unwrap();
            assert_eq!((pair.size, pair.extent), (20, 32));
            assert_eq!(size_of(Datatype::WCHAR), Some(4));
        }
    }

    #[test]
    fn the_fast_table_knows_types_without_gaps_only() {
        assert_eq!(predefined().count(), 71);
        for (datatype, info) in predefined() {
            let expected = info.is_contiguous().then_some(info.size as u32);
            assert_eq!(contiguous_size(datatype), expected, "{}", info.name);
        }
        assert_eq!(contiguous_size(Datatype::DOUBLE_INT), None);
        for invented in [0, 0x1ff, 0x200, 0x204, 0x2ff, 0x300, 0x1800_0000, u32::MAX] {
            assert_eq!(contiguous_size(Datatype(invented)), None);
            assert!(info(Datatype(invented)).is_none());
        }
    }

    #[test]
    fn the_abi_encodes_the_size_of_fixed_size_types_in_the_handle() {
        // MPI 5.0, appendix A: bits 3 to 5 of 0x240..0x300 are the logarithm of the size.
        for (datatype, info) in predefined().filter(|(datatype, _)| datatype.0 >= 0x240) {
            assert_eq!(info.size, 1 << (datatype.0 >> 3 & 7), "{}", info.name);
        }
    }

    #[test]
    fn pairs_are_found_by_their_parts() {
        for (datatype, info) in predefined() {
            let is_pair = matches!(info.element, Element::Pair(..));
            let found = predefined()
                .flat_map(|a| predefined().map(move |b| value_index(a.0, b.0)))
                .any(|pair| pair == Some(datatype));
            assert_eq!(found, is_pair, "{}", info.name);
        }
    }
}
