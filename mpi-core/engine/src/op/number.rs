//! Arithmetic on every representation that a predefined type has.
//!
//! Integers wrap. The formats that the language lacks are computed by the x87 (80 bits) and in
//! software (16 and 128 bits: only Fortran's `REAL*2` and `REAL*16` have them here).

use rustc_apfloat::Float;
use rustc_apfloat::ieee::{Half, Quad};

/// A number that can be summed, multiplied and compared.
pub(super) trait Number: Copy {
    fn sum(self, other: Self) -> Self;
    fn difference(self, other: Self) -> Self;
    fn product(self, other: Self) -> Self;
    fn is_less(self, other: Self) -> bool;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            #[inline(always)]
            fn sum(self, other: $type) -> $type {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn difference(self, other: $type) -> $type {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn product(self, other: $type) -> $type {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn is_less(self, other: $type) -> bool {
                self < other
            }
        }
    )*};
}

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Number for $type {
            #[inline(always)]
            fn sum(self, other: $type) -> $type {
                self + other
            }
            #[inline(always)]
            fn difference(self, other: $type) -> $type {
                self - other
            }
            #[inline(always)]
            fn product(self, other: $type) -> $type {
                self * other
            }
            #[inline(always)]
            fn is_less(self, other: $type) -> bool {
                self < other
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128);
floats!(f32, f64);

macro_rules! software_floats {
    ($($(#[$doc:meta])* $name:ident($bits:ty) = $format:ty;)*) => {$(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name(pub(super) $bits);

        impl $name {
            fn float(self) -> $format {
                <$format>::from_bits(self.0.into())
            }
            fn of(float: $format) -> $name {
                $name(float.to_bits() as $bits)
            }
        }

        impl Number for $name {
            fn sum(self, other: $name) -> $name {
                $name::of((self.float() + other.float()).value)
            }
            fn difference(self, other: $name) -> $name {
                $name::of((self.float() - other.float()).value)
            }
            fn product(self, other: $name) -> $name {
                $name::of((self.float() * other.float()).value)
            }
            fn is_less(self, other: $name) -> bool {
                self.float() < other.float()
            }
        }
    )*};
}

software_floats! {
    /// IEEE 754 binary16.
    F16(u16) = Half;
    /// IEEE 754 binary128.
    F128(u128) = Quad;
}

#[cfg(target_arch = "x86_64")]
pub(super) use x87::F80;

#[cfg(target_arch = "x86_64")]
mod x87 {
    use core::arch::asm;

    use super::Number;

    /// The x87's 80-bit format in 16 bytes; the last six mean nothing.
    #[repr(C, align(16))]
    #[derive(Clone, Copy, Debug)]
    pub(in crate::op) struct F80(pub(in crate::op) [u8; 16]);

    macro_rules! arithmetic {
        ($left:expr, $right:expr, $instruction:literal) => {{
            let mut result = $left;
            // SAFETY: reads 10 of the 16 bytes of both operands, writes 10 of the 16 bytes of the
            // result, and leaves the register stack as empty as it was.
            unsafe {
                asm!(
                    "fld tbyte ptr [{left}]",
                    "fld tbyte ptr [{right}]",
                    concat!($instruction, " st(1), st"),
                    "fstp tbyte ptr [{left}]",
                    left = in(reg) &raw mut result.0,
                    right = in(reg) &raw const $right.0,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                    options(nostack, preserves_flags),
                );
            }
            result
        }};
    }

    impl Number for F80 {
        #[inline(always)]
        fn sum(self, other: F80) -> F80 {
            arithmetic!(self, other, "faddp")
        }

        #[inline(always)]
        fn difference(self, other: F80) -> F80 {
            arithmetic!(self, other, "fsubp")
        }

        #[inline(always)]
        fn product(self, other: F80) -> F80 {
            arithmetic!(self, other, "fmulp")
        }

        #[inline(always)]
        fn is_less(self, other: F80) -> bool {
            let less: u8;
            // SAFETY: reads 10 of the 16 bytes of both operands and leaves the register stack as
            // empty as it was.
            unsafe {
                asm!(
                    "fld tbyte ptr [{left}]",
                    "fld tbyte ptr [{right}]",
                    // Above: `other` > `self`. Not so when they cannot be ordered.
                    "fcomip st, st(1)",
                    "seta {less}",
                    "fstp st(0)",
                    left = in(reg) &raw const self.0,
                    right = in(reg) &raw const other.0,
                    less = out(reg_byte) less,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                    options(nostack, readonly),
                );
            }
            less != 0
        }
    }
}
