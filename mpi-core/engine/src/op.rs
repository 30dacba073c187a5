//! Reduction operations (MPI 5.0, section 6.9).
//!
//! A [`Reduction`] is an operation on a datatype with its loop already chosen: cheap to copy, to be
//! made once and applied to every piece of a message. Which pairs are legal follows the table of
//! section 6.9.2. Buffers are raw and need no alignment.
//!
//! Operations of the program are static and behind a mutex of their own. A [`Reduction`] keeps the
//! program's function, so freeing the operation changes nothing for a collective that is under way;
//! who keeps a `Reduction` beyond a call keeps `Reduction::held`, too.

use core::ptr::copy_nonoverlapping;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::callback::{Callback, ReduceFunction};
use crate::datatype::{self, Element, Held};
use crate::error::{Error, ErrorClass, Result};
use crate::handle::{Datatype, HandleKind, Op};
use crate::slab::Slab;

mod kernel;
mod number;
#[cfg(test)]
mod tests;

use kernel::Kernel;

macro_rules! predefined {
    ($($name:ident = $value:literal, $mpi:literal, $takes:literal;)*) => {
        impl Op {
            $(#[doc = concat!("`", $mpi, "`")] pub const $name: Op = Op($value);)*
        }

        /// Handle, name, and the types of section 6.9.2.
        const PREDEFINED: &[(Op, &str, &str)] = &[$((Op::$name, $mpi, $takes),)*];
    };
}

predefined! {
    SUM = 0x21, "MPI_SUM", "integer, floating-point and complex types";
    MIN = 0x22, "MPI_MIN", "integer and floating-point types";
    MAX = 0x23, "MPI_MAX", "integer and floating-point types";
    PROD = 0x24, "MPI_PROD", "integer, floating-point and complex types";
    BAND = 0x28, "MPI_BAND", "integer types and MPI_BYTE";
    BOR = 0x29, "MPI_BOR", "integer types and MPI_BYTE";
    BXOR = 0x2a, "MPI_BXOR", "integer types and MPI_BYTE";
    LAND = 0x30, "MPI_LAND", "C integer, multi-language and logical types";
    LOR = 0x31, "MPI_LOR", "C integer, multi-language and logical types";
    LXOR = 0x32, "MPI_LXOR", "C integer, multi-language and logical types";
    MINLOC = 0x38, "MPI_MINLOC", "types of pairs, for example MPI_2INT";
    MAXLOC = 0x39, "MPI_MAXLOC", "types of pairs, for example MPI_2INT";
    REPLACE = 0x3c, "MPI_REPLACE", "any type, in one-sided operations only";
    NO_OP = 0x3d, "MPI_NO_OP", "any type, in one-sided operations only";
}

fn entry(op: Op) -> Option<&'static (Op, &'static str, &'static str)> {
    PREDEFINED.iter().find(|entry| entry.0 == op)
}

/// The name of a predefined operation in C.
pub fn name(op: Op) -> Option<&'static str> {
    entry(op).map(|entry| entry.1)
}

/// An operation of the program.
#[derive(Clone, Copy)]
struct Defined {
    function: Callback<ReduceFunction>,
    commutative: bool,
}

static DEFINED: Slab<Defined> = Slab::new(HandleKind::Op);

/// Taken around every access to `DEFINED`: unlike the slab's own lock it never collapses.
static ACCESS: Mutex<()> = Mutex::new(());

fn access() -> MutexGuard<'static, ()> {
    ACCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn defined(op: Op) -> Result<Defined> {
    let _access = access();
    DEFINED.get(op.0).copied().ok_or_else(|| invalid(op))
}

#[cold]
fn invalid(op: Op) -> Error {
    let sentence = match op {
        Op::NULL => String::from("MPI_OP_NULL is not an operation"),
        _ => format!("{:#x} is not an operation, or one that was freed", op.0),
    };
    Error::new(ErrorClass::OP, sentence)
}

/// Makes an operation (`MPI_Op_create`). The program vouches for its function being associative,
/// and `commutative` if so.
pub fn create(function: Callback<ReduceFunction>, commutative: bool) -> Result<Op> {
    let _access = access();
    let handle = DEFINED.insert(Defined {
        function,
        commutative,
    });
    handle
        .map(Op)
        .map_err(|_| Error::new(ErrorClass::NO_MEM, "there are too many operations"))
}

/// Frees an operation (`MPI_Op_free`). `MPI_ERR_OP` for a predefined or stale one.
pub fn free(op: Op) -> Result<()> {
    if let Some(name) = name(op) {
        return Err(Error::new(
            ErrorClass::OP,
            format!("{name} is predefined and cannot be freed"),
        ));
    }
    let _access = access();
    DEFINED.remove(op.0).map(drop).ok_or_else(|| invalid(op))
}

/// Whether the order of the operands is free (`MPI_Op_commutative`). `MPI_ERR_OP` for what is not
/// an operation.
pub fn is_commutative(op: Op) -> Result<bool> {
    match op {
        Op::REPLACE | Op::NO_OP => Ok(false),
        _ if name(op).is_some() => Ok(true),
        _ => defined(op).map(|defined| defined.commutative),
    }
}

/// An operation on a datatype.
#[derive(Clone, Copy)]
pub struct Reduction(Way);

/// A vector of items whose data may lie anywhere around their addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vector {
    /// How many items.
    pub(crate) items: usize,
    /// From the beginning of the memory that holds the vector to the address of the first item, in
    /// bytes.
    pub(crate) address: isize,
}

#[derive(Clone, Copy)]
enum Way {
    /// A loop over this many numbers per item.
    Loop { kernel: Kernel, numbers: usize },
    /// The program's function.
    Function(Callback<ReduceFunction>, Datatype),
    /// The program's function on a whole vector of a derived type, which counts as one item.
    Whole(Callback<ReduceFunction>, Datatype, Vector),
    /// `inout = input`, for items of this extent in bytes.
    Replace(usize),
    /// `inout` stays.
    Keep,
}

impl Reduction {
    /// An operation of a collective. `MPI_ERR_TYPE` or `MPI_ERR_OP` for what is not a datatype or
    /// an operation, or when the operation does not take the type.
    pub fn new(op: Op, datatype: Datatype) -> Result<Reduction> {
        let object = datatype::object(datatype)?;
        let Some(&(_, name, takes)) = entry(op) else {
            return Ok(Reduction(Way::Function(defined(op)?.function, datatype)));
        };
        let kernel = object
            .type_map()
            .element()
            .and_then(|element| kernel(op, element));
        match kernel {
            Some((kernel, numbers)) => Ok(Reduction(Way::Loop { kernel, numbers })),
            None => {
                let named = object.name();
                let what = if named.is_empty() {
                    "a derived type"
                } else {
                    &named
                };
                Err(Error::new(
                    ErrorClass::OP,
                    format!("{name} is not defined for {what}: it takes {takes}"),
                ))
            }
        }
    }

    /// What keeps the datatype that the program's function gets valid after its handle was freed.
    pub(crate) fn held(&self) -> Option<Held> {
        match self.0 {
            Way::Function(_, datatype) | Way::Whole(_, datatype, _) => Held::new(datatype),
            Way::Loop { .. } | Way::Replace(_) | Way::Keep => None,
        }
    }

    /// The program's operation on vectors of a derived type, each of which counts as one item.
    /// `MPI_ERR_OP` for a predefined operation, which takes no derived types, otherwise errors as
    /// of [`Reduction::new`].
    pub(crate) fn of_vectors(op: Op, datatype: Datatype, vector: Vector) -> Result<Reduction> {
        match Reduction::new(op, datatype)? {
            Reduction(Way::Function(function, datatype)) => {
                Ok(Reduction(Way::Whole(function, datatype, vector)))
            }
            other => Ok(other),
        }
    }

    /// An operation of a one-sided accumulate: any predefined one, `MPI_REPLACE` and `MPI_NO_OP`
    /// included. Errors as of [`Reduction::new`], and for an operation of the program.
    pub fn of_accumulate(op: Op, datatype: Datatype) -> Result<Reduction> {
        let extent = datatype::info(datatype).map(|info| info.extent as usize);
        match (op, extent) {
            (Op::REPLACE, Some(extent)) => Ok(Reduction(Way::Replace(extent))),
            (Op::NO_OP, Some(_)) => Ok(Reduction(Way::Keep)),
            _ => match Reduction::new(op, datatype)? {
                Reduction(Way::Function(..) | Way::Whole(..)) => Err(Error::new(
                    ErrorClass::OP,
                    "one-sided operations take predefined operations only",
                )),
                reduction => Ok(reduction),
            },
        }
    }

    /// Computes `inout = input OP inout` for `count` items.
    ///
    /// # Safety
    /// `input` is readable and `inout` writable for `count` items of the datatype (gaps excepted);
    /// they do not overlap. For an operation of the program, no lock is held.
    #[inline]
    pub unsafe fn apply(&self, input: *const u8, inout: *mut u8, count: usize) {
        // SAFETY: the caller's promise is what every way asks for; a kernel was chosen for the
        // datatype's layout.
        unsafe {
            match &self.0 {
                Way::Loop { kernel, numbers } => kernel.onto(input, inout, count * numbers),
                Way::Function(function, datatype) => function.call(input, inout, count, *datatype),
                Way::Whole(function, datatype, Vector { items, address }) => {
                    debug_assert_eq!(count, 1);
                    let input = input.wrapping_offset(*address);
                    let inout = inout.wrapping_offset(*address);
                    function.call(input, inout, *items, *datatype);
                }
                Way::Replace(extent) => copy_nonoverlapping(input, inout, count * extent),
                Way::Keep => {}
            }
        }
    }

    /// Computes `result = left OP right` for `count` items, each `width` bytes from the next.
    ///
    /// # Safety
    /// `left` and `right` are readable and `result` writable for `count` items of the datatype
    /// (gaps excepted); `result` overlaps neither. For an operation of the program, no lock is
    /// held.
    #[inline]
    pub(crate) unsafe fn combine(
        &self,
        left: *const u8,
        right: *const u8,
        result: *mut u8,
        (count, width): (usize, usize),
    ) {
        // SAFETY: the caller's promise; a copy of the right operand is one that the result may take
        // the place of.
        unsafe {
            if let Way::Loop { kernel, numbers } = &self.0 {
                return kernel.apart(left, right, result, count * numbers);
            }
            copy_nonoverlapping(right, result, count * width);
            self.apply(left, result, count);
        }
    }
}

/// Computes `inout = input OP inout` for `count` items (`MPI_Reduce_local`). Errors as of
/// [`Reduction::new`].
///
/// # Safety
/// As of [`Reduction::apply`].
pub unsafe fn reduce(
    op: Op,
    datatype: Datatype,
    input: *const u8,
    inout: *mut u8,
    count: usize,
) -> Result<()> {
    let reduction = Reduction::new(op, datatype)?;
    // SAFETY: the caller's promise.
    unsafe { reduction.apply(input, inout, count) };
    Ok(())
}

/// The loop for a predefined operation on an element, and how many numbers the loop counts per
/// element. `None` when the operation does not take the element (MPI 5.0, section 6.9.2).
fn kernel(op: Op, element: Element) -> Option<(Kernel, usize)> {
    use Element::{Byte, Complex, Floating, FortranInteger, Integer, Logical, MultiLanguage, Pair};
    let numeric = match element {
        Integer(scalar) | FortranInteger(scalar) | MultiLanguage(scalar) | Floating(scalar) => {
            Some(scalar)
        }
        _ => None,
    };
    match (op, element) {
        // The parts of a sum of complex numbers are sums.
        (Op::SUM, Complex(scalar)) => Some((kernel::sum(scalar)?, 2)),
        (Op::PROD, Complex(scalar)) => Some((kernel::complex_product(scalar)?, 1)),
        (Op::SUM, _) => Some((kernel::sum(numeric?)?, 1)),
        (Op::PROD, _) => Some((kernel::product(numeric?)?, 1)),
        (Op::MIN, _) => Some((kernel::minimum(numeric?)?, 1)),
        (Op::MAX, _) => Some((kernel::maximum(numeric?)?, 1)),
        (
            Op::BAND | Op::BOR | Op::BXOR,
            Integer(_) | FortranInteger(_) | MultiLanguage(_) | Byte,
        ) => {
            // Bits do not care where a number begins.
            let kernel = match op {
                Op::BAND => kernel::BITWISE_AND,
                Op::BOR => kernel::BITWISE_OR,
                _ => kernel::BITWISE_XOR,
            };
            Some((kernel, element.size() as usize))
        }
        (Op::LAND, Integer(scalar) | MultiLanguage(scalar) | Logical(scalar)) => {
            Some((kernel::logical_and(scalar)?, 1))
        }
        (Op::LOR, Integer(scalar) | MultiLanguage(scalar) | Logical(scalar)) => {
            Some((kernel::logical_or(scalar)?, 1))
        }
        (Op::LXOR, Integer(scalar) | MultiLanguage(scalar) | Logical(scalar)) => {
            Some((kernel::logical_xor(scalar)?, 1))
        }
        (Op::MINLOC, Pair(value, index)) => Some((kernel::least_with_index(value, index)?, 1)),
        (Op::MAXLOC, Pair(value, index)) => Some((kernel::greatest_with_index(value, index)?, 1)),
        _ => None,
    }
}
