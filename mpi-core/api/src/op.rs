//! Operations that reductions combine items with (MPI 5.0, section 6.9).

use core::ops::{BitAnd, BitOr, BitXor};

use ferrite_engine::Op as Handle;

use crate::Datatype;

/// How two items are combined into one, associatively. `left` is the item of the lower rank.
///
/// Made by the functions of [this module](self): [`sum`], [`product`], [`min`], [`max`], [`all`],
/// [`any`], and the like; of closures by [`function`] and [`commutative`].
pub struct Op<'f, T> {
    /// The engine's own loop for it, if it has one.
    pub(crate) predefined: Option<Handle>,
    pub(crate) is_commutative: bool,
    pub(crate) combine: Box<dyn Fn(T, T) -> T + Sync + 'f>,
}

/// Numbers, and arrays of them, which are combined item by item. Integers wrap around.
pub trait Number: Datatype {
    #[doc(hidden)]
    fn plus(self, other: Self) -> Self;
    #[doc(hidden)]
    fn times(self, other: Self) -> Self;
    #[doc(hidden)]
    fn lesser(self, other: Self) -> Self;
    #[doc(hidden)]
    fn greater(self, other: Self) -> Self;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn lesser(self, other: Self) -> Self {
                self.min(other)
            }
            fn greater(self, other: Self) -> Self {
                self.max(other)
            }
        }
    )*};
}
integers!(i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn lesser(self, other: Self) -> Self {
                self.min(other)
            }
            fn greater(self, other: Self) -> Self {
                self.max(other)
            }
        }
    )*};
}
floats!(f32, f64);

impl<T: Number, const N: usize> Number for [T; N] {
    fn plus(self, other: Self) -> Self {
        core::array::from_fn(|at| self[at].plus(other[at]))
    }
    fn times(self, other: Self) -> Self {
        core::array::from_fn(|at| self[at].times(other[at]))
    }
    fn lesser(self, other: Self) -> Self {
        core::array::from_fn(|at| self[at].lesser(other[at]))
    }
    fn greater(self, other: Self) -> Self {
        core::array::from_fn(|at| self[at].greater(other[at]))
    }
}

/// Integers.
pub trait Integer:
    Number + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self>
{
}
macro_rules! are_integers {
    ($($type:ty),*) => {$(impl Integer for $type {})*};
}
are_integers!(i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);

fn predefined<'f, T>(handle: Handle, combine: impl Fn(T, T) -> T + Sync + 'f) -> Op<'f, T> {
    Op {
        predefined: Some(handle),
        is_commutative: true,
        combine: Box::new(combine),
    }
}

/// The sum.
pub fn sum<T: Number>() -> Op<'static, T> {
    predefined(Handle::SUM, T::plus)
}

/// The product.
pub fn product<T: Number>() -> Op<'static, T> {
    predefined(Handle::PROD, T::times)
}

/// The least.
pub fn min<T: Number>() -> Op<'static, T> {
    predefined(Handle::MIN, T::lesser)
}

/// The greatest.
pub fn max<T: Number>() -> Op<'static, T> {
    predefined(Handle::MAX, T::greater)
}

/// Whether all are true.
pub fn all() -> Op<'static, bool> {
    predefined(Handle::LAND, |a, b| a && b)
}

/// Whether any is true.
pub fn any() -> Op<'static, bool> {
    predefined(Handle::LOR, |a, b| a || b)
}

/// Bits that all have.
pub fn bit_and<T: Integer>() -> Op<'static, T> {
    predefined(Handle::BAND, |a, b| a & b)
}

/// Bits that any has.
pub fn bit_or<T: Integer>() -> Op<'static, T> {
    predefined(Handle::BOR, |a, b| a | b)
}

/// Bits that an odd number has.
pub fn bit_xor<T: Integer>() -> Op<'static, T> {
    predefined(Handle::BXOR, |a, b| a ^ b)
}

/// An associative function of the program. Items are combined in the order of their ranks.
///
/// If it panics on some rank, that rank's call panics after the collective operation has ended;
/// what the others get is undefined but a value. It should not communicate (MPI 5.0, section
/// 6.9.5): the operation it is called for waits meanwhile, and so may be what it waits for. A
/// nonblocking operation may call it in any thread that waits for something.
pub fn function<'f, T>(combine: impl Fn(T, T) -> T + Sync + 'f) -> Op<'f, T> {
    Op {
        predefined: None,
        is_commutative: false,
        combine: Box::new(combine),
    }
}

/// An associative and commutative function of the program: the order in which items are combined is
/// free. As [`function`] otherwise.
pub fn commutative<'f, T>(combine: impl Fn(T, T) -> T + Sync + 'f) -> Op<'f, T> {
    Op {
        is_commutative: true,
        ..function(combine)
    }
}
