//! The constructors of derived types (chapters 5 and 19).

use core::ffi::c_int;

use ferrite_engine::datatype;
use ferrite_engine::{Datatype, Engine, Error, ErrorClass, Result};

use super::datatypes::handle;
use super::{Count, array, null, set_handle};
use crate::interface::{argument_in, distribution_in};
use crate::types::MPI_Datatype;

/// Gives the program a new type. The place is checked first, so that no type is lost.
///
/// # Safety
/// `to` is null or points to a handle that may be written.
unsafe fn give(to: *mut MPI_Datatype, make: impl FnOnce() -> Result<Datatype>) -> Result<()> {
    if to.is_null() {
        return Err(null("newtype"));
    }
    // SAFETY: the caller's promise.
    unsafe { set_handle(to, make()?.0, "newtype") }
}

/// An array of counts of the program, in 64 bits.
///
/// # Safety
/// `from` points to `length` values, or `length` is not positive.
unsafe fn counts<C: Count>(from: *const C, length: i64, name: &str) -> Result<Vec<i64>> {
    // SAFETY: the caller's promise.
    let all = unsafe { list(from, length, name)? };
    Ok(all.iter().map(|value| value.wide()).collect())
}

/// An array of the program that is as long as a count says.
///
/// # Safety
/// As of [`counts`]; the values stay as they are for `'a`.
unsafe fn list<'a, T>(from: *const T, length: i64, name: &str) -> Result<&'a [T]> {
    match usize::try_from(length) {
        Ok(0) => Ok(&[]),
        Ok(_) if from.is_null() => Err(null(name)),
        // SAFETY: not null, and the caller's promise.
        Ok(length) => Ok(unsafe { core::slice::from_raw_parts(from, length) }),
        Err(_) => Err(Error::new(
            ErrorClass::COUNT,
            format!("the count {length} is negative"),
        )),
    }
}

pub(crate) unsafe fn type_contiguous<C: Count>(
    _engine: &Engine,
    count: C,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        give(new, || {
            datatype::contiguous(C::FORM, count.wide(), handle(old))
        })
    }
}

pub(crate) unsafe fn type_vector<C: Count>(
    _engine: &Engine,
    count: C,
    length: C,
    stride: C,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    let (count, length, stride) = (count.wide(), length.wide(), stride.wide());
    // SAFETY: the program's pointer.
    unsafe {
        give(new, || {
            datatype::vector(C::FORM, count, length, stride, handle(old))
        })
    }
}

pub(crate) unsafe fn type_create_hvector<C: Count, B: Count>(
    _engine: &Engine,
    count: C,
    length: C,
    stride: B,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    let (count, length, stride) = (count.wide(), length.wide(), stride.wide());
    // SAFETY: the program's pointer.
    unsafe {
        give(new, || {
            datatype::hvector(C::FORM, count, length, stride, handle(old))
        })
    }
}

pub(crate) unsafe fn type_indexed<C: Count>(
    _engine: &Engine,
    count: C,
    lengths: *const C,
    displacements: *const C,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let lengths = counts(lengths, count.wide(), "array_of_blocklengths")?;
        let displacements = counts(displacements, count.wide(), "array_of_displacements")?;
        give(new, || {
            datatype::indexed(C::FORM, &lengths, &displacements, handle(old))
        })
    }
}

pub(crate) unsafe fn type_create_hindexed<C: Count, B: Count>(
    _engine: &Engine,
    count: C,
    lengths: *const C,
    displacements: *const B,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let lengths = counts(lengths, count.wide(), "array_of_blocklengths")?;
        let displacements = counts(displacements, count.wide(), "array_of_displacements")?;
        give(new, || {
            datatype::hindexed(C::FORM, &lengths, &displacements, handle(old))
        })
    }
}

pub(crate) unsafe fn type_create_indexed_block<C: Count>(
    _engine: &Engine,
    count: C,
    length: C,
    displacements: *const C,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's array and pointer.
    unsafe {
        let displacements = counts(displacements, count.wide(), "array_of_displacements")?;
        let length = length.wide();
        give(new, || {
            datatype::indexed_block(C::FORM, length, &displacements, handle(old))
        })
    }
}

pub(crate) unsafe fn type_create_hindexed_block<C: Count, B: Count>(
    _engine: &Engine,
    count: C,
    length: C,
    displacements: *const B,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's array and pointer.
    unsafe {
        let displacements = counts(displacements, count.wide(), "array_of_displacements")?;
        let length = length.wide();
        give(new, || {
            datatype::hindexed_block(C::FORM, length, &displacements, handle(old))
        })
    }
}

pub(crate) unsafe fn type_create_struct<C: Count, B: Count>(
    _engine: &Engine,
    count: C,
    lengths: *const C,
    displacements: *const B,
    types: *const MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let lengths = counts(lengths, count.wide(), "array_of_blocklengths")?;
        let displacements = counts(displacements, count.wide(), "array_of_displacements")?;
        let types = list(types, count.wide(), "array_of_types")?;
        let types: Vec<Datatype> = types.iter().map(|old| handle(*old)).collect();
        give(new, || {
            datatype::structure(C::FORM, &lengths, &displacements, &types)
        })
    }
}

pub(crate) unsafe fn type_create_resized<B: Count>(
    _engine: &Engine,
    old: MPI_Datatype,
    lb: B,
    extent: B,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        give(new, || {
            datatype::resized(B::FORM, lb.wide(), extent.wide(), handle(old))
        })
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn type_create_subarray<C: Count>(
    _engine: &Engine,
    ndims: c_int,
    sizes: *const C,
    subsizes: *const C,
    starts: *const C,
    order: c_int,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    let number = i64::from(ndims);
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let sizes = counts(sizes, number, "array_of_sizes")?;
        let subsizes = counts(subsizes, number, "array_of_subsizes")?;
        let starts = counts(starts, number, "array_of_starts")?;
        give(new, || {
            datatype::subarray(C::FORM, &sizes, &subsizes, &starts, order, handle(old))
        })
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
pub(crate) unsafe fn type_create_darray<C: Count>(
    _engine: &Engine,
    size: c_int,
    rank: c_int,
    ndims: c_int,
    sizes: *const C,
    distributions: *const c_int,
    arguments: *const c_int,
    grid: *const c_int,
    order: c_int,
    old: MPI_Datatype,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's arrays and pointer.
    unsafe {
        let sizes = counts(sizes, ndims.into(), "array_of_gsizes")?;
        let distributions = array(distributions, ndims, "array_of_distribs")?;
        let distributions: Vec<c_int> = distributions
            .iter()
            .map(|way| distribution_in(*way))
            .collect();
        let arguments = array(arguments, ndims, "array_of_dargs")?;
        let arguments: Vec<Option<c_int>> =
            arguments.iter().map(|size| argument_in(*size)).collect();
        let grid = array(grid, ndims, "array_of_psizes")?;
        give(new, || {
            datatype::darray(
                C::FORM,
                size,
                rank,
                &sizes,
                &distributions,
                &arguments,
                grid,
                order,
                handle(old),
            )
        })
    }
}

pub(crate) unsafe fn type_create_f90_real(
    _engine: &Engine,
    precision: c_int,
    range: c_int,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { give(new, || datatype::f90_real(precision, range)) }
}

pub(crate) unsafe fn type_create_f90_complex(
    _engine: &Engine,
    precision: c_int,
    range: c_int,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { give(new, || datatype::f90_complex(precision, range)) }
}

pub(crate) unsafe fn type_create_f90_integer(
    _engine: &Engine,
    range: c_int,
    new: *mut MPI_Datatype,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { give(new, || datatype::f90_integer(range)) }
}
