//! Loops: one per operation and representation, chosen once.
//!
//! A loop is written once, generic over the representation and the operation, and left to the
//! compiler to vectorise; it is compiled for the base instruction set and, on x86-64, for AVX2 and
//! AVX-512, from which the processor chooses at run time. Buffers need no alignment.

use core::marker::PhantomData;
use core::mem::offset_of;

#[cfg(target_arch = "x86_64")]
use super::number::F80;
use super::number::{F16, F128, Number};
use crate::datatype::Scalar;

/// A loop over a number of numbers: `result = left OP right`.
type Loop = unsafe fn(left: *const u8, right: *const u8, result: *mut u8, count: usize);

/// The loops of an operation on a representation.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    onto: Loop,
    apart: Loop,
}

impl Kernel {
    /// Computes `inout = input OP inout` for a number of numbers.
    ///
    /// # Safety
    /// `input` is readable and `inout` writable for `count` numbers; they do not overlap.
    #[inline]
    pub(super) unsafe fn onto(self, input: *const u8, inout: *mut u8, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { (self.onto)(input, inout, inout, count) }
    }

    /// Computes `result = left OP right` for a number of numbers.
    ///
    /// # Safety
    /// `left` and `right` are readable and `result` writable for `count` numbers; it overlaps
    /// neither.
    #[inline]
    pub(super) unsafe fn apart(
        self,
        left: *const u8,
        right: *const u8,
        result: *mut u8,
        count: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { (self.apart)(left, right, result, count) }
    }
}

/// An operation on a representation: `input OP inout`.
trait Combine<T> {
    fn combine(input: T, inout: T) -> T;
}

macro_rules! operations {
    ($($name:ident<$t:ident: $bound:path> = |$input:ident, $inout:ident| $result:expr;)*) => {$(
        struct $name;
        impl<$t: $bound> Combine<$t> for $name {
            #[inline(always)]
            fn combine($input: $t, $inout: $t) -> $t {
                $result
            }
        }
    )*};
}

operations! {
    Sum<T: Number> = |input, inout| input.sum(inout);
    Product<T: Number> = |input, inout| input.product(inout);
    Minimum<T: Number> = |input, inout| if input.is_less(inout) { input } else { inout };
    Maximum<T: Number> = |input, inout| if inout.is_less(input) { input } else { inout };
    LogicalAnd<T: Truth> = |input, inout| T::of(input.is_true() & inout.is_true());
    LogicalOr<T: Truth> = |input, inout| T::of(input.is_true() | inout.is_true());
    LogicalXor<T: Truth> = |input, inout| T::of(input.is_true() ^ inout.is_true());
}

macro_rules! bitwise_operations {
    ($($name:ident, $operator:tt;)*) => {$(
        struct $name;
        impl Combine<u8> for $name {
            #[inline(always)]
            fn combine(input: u8, inout: u8) -> u8 {
                input $operator inout
            }
        }
    )*};
}

bitwise_operations! {
    BitwiseAnd, &;
    BitwiseOr, |;
    BitwiseXor, ^;
}

/// A representation of true and false: zero is false, everything else true.
trait Truth: Copy {
    fn is_true(self) -> bool;
    fn of(truth: bool) -> Self;
}

macro_rules! truths {
    ($($type:ty),*) => {$(
        impl Truth for $type {
            #[inline(always)]
            fn is_true(self) -> bool {
                self != 0
            }
            #[inline(always)]
            fn of(truth: bool) -> $type {
                <$type>::from(truth)
            }
        }
    )*};
}

truths!(u8, u16, u32, u64, u128);

/// A complex number as it lies in memory.
#[repr(C)]
#[derive(Clone, Copy)]
struct Complex<T> {
    real: T,
    imaginary: T,
}

impl<T: Number> Combine<Complex<T>> for Product {
    #[inline(always)]
    fn combine(input: Complex<T>, inout: Complex<T>) -> Complex<T> {
        let (a, b) = (input, inout);
        Complex {
            real: a
                .real
                .product(b.real)
                .difference(a.imaginary.product(b.imaginary)),
            imaginary: a.real.product(b.imaginary).sum(a.imaginary.product(b.real)),
        }
    }
}

/// The loop. `ONTO`: the result takes the place of the right operand, which the compiler should
/// know.
///
/// # Safety
/// `left` and `right` are readable and `result` writable for `count` values. `result` is `right`
/// with `ONTO`; other buffers do not overlap.
#[inline(always)]
unsafe fn each<T: Copy, C: Combine<T>, const ONTO: bool>(
    left: *const u8,
    right: *const u8,
    result: *mut u8,
    count: usize,
) {
    let right = if ONTO { result.cast_const() } else { right };
    let (left, right, result) = (left.cast::<T>(), right.cast::<T>(), result.cast::<T>());
    for i in 0..count {
        // SAFETY: value `i` lies within all buffers, which the caller vouches for; all bits are a
        // value of `T`.
        unsafe {
            let combined = C::combine(left.add(i).read_unaligned(), right.add(i).read_unaligned());
            result.add(i).write_unaligned(combined);
        }
    }
}

/// The loop for representations that vector instructions know.
///
/// # Safety
/// As of [`each`].
unsafe fn vector_loop<T: Copy, C: Combine<T>, const ONTO: bool>(
    left: *const u8,
    right: *const u8,
    result: *mut u8,
    count: usize,
) {
    #[cfg(target_arch = "x86_64")]
    {
        /// # Safety
        /// As of [`each`], and the processor has AVX2.
        #[target_feature(enable = "avx2")]
        unsafe fn avx2<T: Copy, C: Combine<T>, const ONTO: bool>(
            left: *const u8,
            right: *const u8,
            result: *mut u8,
            count: usize,
        ) {
            // SAFETY: the caller's promise.
            unsafe { each::<T, C, ONTO>(left, right, result, count) }
        }
        /// # Safety
        /// As of [`each`], and the processor has these parts of AVX-512.
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn avx512<T: Copy, C: Combine<T>, const ONTO: bool>(
            left: *const u8,
            right: *const u8,
            result: *mut u8,
            count: usize,
        ) {
            // SAFETY: the caller's promise.
            unsafe { each::<T, C, ONTO>(left, right, result, count) }
        }
        // A cache line or two are done before a choice is made.
        if count * size_of::<T>() > 128 {
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            // SAFETY: the processor has been asked; otherwise the caller's promise.
            unsafe {
                if has_avx512 {
                    return avx512::<T, C, ONTO>(left, right, result, count);
                }
                if is_x86_feature_detected!("avx2") {
                    return avx2::<T, C, ONTO>(left, right, result, count);
                }
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe { each::<T, C, ONTO>(left, right, result, count) }
}

/// The loop for representations that vector instructions do not know.
///
/// # Safety
/// As of [`each`].
unsafe fn plain_loop<T: Copy, C: Combine<T>, const ONTO: bool>(
    left: *const u8,
    right: *const u8,
    result: *mut u8,
    count: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { each::<T, C, ONTO>(left, right, result, count) }
}

const fn vectorised<T: Copy, C: Combine<T>>() -> Kernel {
    Kernel {
        onto: vector_loop::<T, C, true>,
        apart: vector_loop::<T, C, false>,
    }
}

const fn one_by_one<T: Copy, C: Combine<T>>() -> Kernel {
    Kernel {
        onto: plain_loop::<T, C, true>,
        apart: plain_loop::<T, C, false>,
    }
}

pub(super) const BITWISE_AND: Kernel = vectorised::<u8, BitwiseAnd>();
pub(super) const BITWISE_OR: Kernel = vectorised::<u8, BitwiseOr>();
pub(super) const BITWISE_XOR: Kernel = vectorised::<u8, BitwiseXor>();

/// Chooses the loop of an operation that does not tell signed from unsigned integers.
macro_rules! modular {
    ($operation:ty, $scalar:expr) => {
        Some(match $scalar {
            Scalar::I8 | Scalar::U8 => vectorised::<u8, $operation>(),
            Scalar::I16 | Scalar::U16 => vectorised::<u16, $operation>(),
            Scalar::I32 | Scalar::U32 => vectorised::<u32, $operation>(),
            Scalar::I64 | Scalar::U64 => vectorised::<u64, $operation>(),
            Scalar::I128 | Scalar::U128 => one_by_one::<u128, $operation>(),
            floating => return floating!($operation, floating),
        })
    };
}

/// Chooses the loop of an operation that orders numbers.
macro_rules! ordered {
    ($operation:ty, $scalar:expr) => {
        Some(match $scalar {
            Scalar::I8 => vectorised::<i8, $operation>(),
            Scalar::I16 => vectorised::<i16, $operation>(),
            Scalar::I32 => vectorised::<i32, $operation>(),
            Scalar::I64 => vectorised::<i64, $operation>(),
            Scalar::I128 => one_by_one::<i128, $operation>(),
            Scalar::U8 => vectorised::<u8, $operation>(),
            Scalar::U16 => vectorised::<u16, $operation>(),
            Scalar::U32 => vectorised::<u32, $operation>(),
            Scalar::U64 => vectorised::<u64, $operation>(),
            Scalar::U128 => one_by_one::<u128, $operation>(),
            floating => return floating!($operation, floating),
        })
    };
}

macro_rules! floating {
    ($operation:ty, $scalar:expr) => {
        match $scalar {
            Scalar::F16 => Some(one_by_one::<F16, $operation>()),
            Scalar::F32 => Some(vectorised::<f32, $operation>()),
            Scalar::F64 => Some(vectorised::<f64, $operation>()),
            #[cfg(target_arch = "x86_64")]
            Scalar::F80 => Some(one_by_one::<F80, $operation>()),
            Scalar::F128 => Some(one_by_one::<F128, $operation>()),
            _ => None,
        }
    };
}

macro_rules! logical {
    ($operation:ty, $scalar:expr) => {
        match $scalar {
            Scalar::I8 | Scalar::U8 => Some(vectorised::<u8, $operation>()),
            Scalar::I16 | Scalar::U16 => Some(vectorised::<u16, $operation>()),
            Scalar::I32 | Scalar::U32 => Some(vectorised::<u32, $operation>()),
            Scalar::I64 | Scalar::U64 => Some(vectorised::<u64, $operation>()),
            Scalar::I128 | Scalar::U128 => Some(one_by_one::<u128, $operation>()),
            _ => None,
        }
    };
}

pub(super) fn sum(scalar: Scalar) -> Option<Kernel> {
    modular!(Sum, scalar)
}

pub(super) fn product(scalar: Scalar) -> Option<Kernel> {
    modular!(Product, scalar)
}

pub(super) fn minimum(scalar: Scalar) -> Option<Kernel> {
    ordered!(Minimum, scalar)
}

pub(super) fn maximum(scalar: Scalar) -> Option<Kernel> {
    ordered!(Maximum, scalar)
}

pub(super) fn logical_and(scalar: Scalar) -> Option<Kernel> {
    logical!(LogicalAnd, scalar)
}

pub(super) fn logical_or(scalar: Scalar) -> Option<Kernel> {
    logical!(LogicalOr, scalar)
}

pub(super) fn logical_xor(scalar: Scalar) -> Option<Kernel> {
    logical!(LogicalXor, scalar)
}

pub(super) fn complex_product(part: Scalar) -> Option<Kernel> {
    match part {
        Scalar::F16 => Some(one_by_one::<Complex<F16>, Product>()),
        Scalar::F32 => Some(vectorised::<Complex<f32>, Product>()),
        Scalar::F64 => Some(vectorised::<Complex<f64>, Product>()),
        #[cfg(target_arch = "x86_64")]
        Scalar::F80 => Some(one_by_one::<Complex<F80>, Product>()),
        Scalar::F128 => Some(one_by_one::<Complex<F128>, Product>()),
        _ => None,
    }
}

/// A value and its index as they lie in memory. The gaps are the program's: they are neither read
/// nor written.
#[repr(C)]
struct Pair<V, I> {
    value: V,
    index: I,
}

/// Whether a value is better than another.
trait Better<V> {
    fn is_better(value: V, other: V) -> bool;
}

struct Least;

struct Greatest;

impl<V: Number> Better<V> for Least {
    #[inline(always)]
    fn is_better(value: V, other: V) -> bool {
        value.is_less(other)
    }
}

impl<V: Number> Better<V> for Greatest {
    #[inline(always)]
    fn is_better(value: V, other: V) -> bool {
        other.is_less(value)
    }
}

/// The loop over pairs: the better value with its index, of equal values the one with the smaller
/// index.
struct WithIndex<V, I, B>(PhantomData<(V, I, B)>);

impl<V: Number, I: Number, B: Better<V>> WithIndex<V, I, B> {
    const KERNEL: Kernel = Kernel {
        onto: Self::each,
        apart: Self::each,
    };

    /// # Safety
    /// As of [`each`], for pairs in the layout of C.
    unsafe fn each(left: *const u8, right: *const u8, result: *mut u8, count: usize) {
        let value = offset_of!(Pair<V, I>, value);
        let index = offset_of!(Pair<V, I>, index);
        for i in 0..count {
            let at = i * size_of::<Pair<V, I>>();
            // SAFETY: pair `i` lies within all buffers, which the caller vouches for; all bits are
            // values of `V`, `I`.
            unsafe {
                let pair = |from: *const u8| {
                    let (value, index) = (from.add(at + value), from.add(at + index));
                    let value: V = value.cast::<V>().read_unaligned();
                    let index: I = index.cast::<I>().read_unaligned();
                    (value, index)
                };
                let (ours, theirs) = (pair(left), pair(right));
                let better = B::is_better(ours.0, theirs.0);
                let equal = !better && !B::is_better(theirs.0, ours.0);
                let best = match better || equal && ours.1.is_less(theirs.1) {
                    true => ours,
                    false => theirs,
                };
                let result = result.add(at);
                result.add(value).cast::<V>().write_unaligned(best.0);
                result.add(index).cast::<I>().write_unaligned(best.1);
            }
        }
    }
}

macro_rules! with_index {
    ($better:ty, $value:expr, $index:expr) => {
        match ($value, $index) {
            (Scalar::F32, Scalar::I32) => Some(WithIndex::<f32, i32, $better>::KERNEL),
            (Scalar::F64, Scalar::I32) => Some(WithIndex::<f64, i32, $better>::KERNEL),
            (Scalar::I64, Scalar::I32) => Some(WithIndex::<i64, i32, $better>::KERNEL),
            (Scalar::I32, Scalar::I32) => Some(WithIndex::<i32, i32, $better>::KERNEL),
            (Scalar::I16, Scalar::I32) => Some(WithIndex::<i16, i32, $better>::KERNEL),
            #[cfg(target_arch = "x86_64")]
            (Scalar::F80, Scalar::I32) => Some(WithIndex::<F80, i32, $better>::KERNEL),
            (Scalar::F128, Scalar::I32) => Some(WithIndex::<F128, i32, $better>::KERNEL),
            (Scalar::F32, Scalar::F32) => Some(WithIndex::<f32, f32, $better>::KERNEL),
            (Scalar::F64, Scalar::F64) => Some(WithIndex::<f64, f64, $better>::KERNEL),
            _ => None,
        }
    };
}

pub(super) fn least_with_index(value: Scalar, index: Scalar) -> Option<Kernel> {
    with_index!(Least, value, index)
}

pub(super) fn greatest_with_index(value: Scalar, index: Scalar) -> Option<Kernel> {
    with_index!(Greatest, value, index)
}
