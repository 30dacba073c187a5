//! What only MPICH's binary interface has: statuses of Fortran, and bounds of types as MPI 1 asked
//! for them.

use ferrite_engine::{Engine, Result};

use super::datatypes::find;
use super::set;
use super::status::{status, status_mut};
use crate::interface::status_in;
use crate::types::{MPI_Aint, MPI_Datatype, MPI_Status, c_int};

pub(crate) unsafe fn status_copy(from: *const MPI_Status, to: *mut MPI_Status) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { *status_mut(to)? = *status(from)? };
    Ok(())
}

pub(crate) unsafe fn status_c2f(from: *const MPI_Status, to: *mut c_int) -> Result<()> {
    // SAFETY: the program's array is as long as a status, or it is `MPI_F_STATUS_IGNORE`, which is
    // no place.
    unsafe { status_copy(from, status_in(to.cast())) }
}

pub(crate) unsafe fn status_f2c(from: *const c_int, to: *mut MPI_Status) -> Result<()> {
    // SAFETY: as of `status_c2f`.
    unsafe { status_copy(status_in(from.cast::<MPI_Status>()), to) }
}

pub(crate) unsafe fn type_extent(
    _engine: &Engine,
    datatype: MPI_Datatype,
    extent: *mut MPI_Aint,
) -> Result<()> {
    let found = find(datatype)?;
    // SAFETY: the program's pointer.
    unsafe { set(extent, found.extent() as MPI_Aint, "extent") }
}

pub(crate) unsafe fn type_lb(
    _engine: &Engine,
    datatype: MPI_Datatype,
    displacement: *mut MPI_Aint,
) -> Result<()> {
    let found = find(datatype)?;
    // SAFETY: the program's pointer.
    unsafe { set(displacement, found.lb() as MPI_Aint, "displacement") }
}

pub(crate) unsafe fn type_ub(
    _engine: &Engine,
    datatype: MPI_Datatype,
    displacement: *mut MPI_Aint,
) -> Result<()> {
    let found = find(datatype)?;
    let ub = found.lb() + found.extent();
    // SAFETY: the program's pointer.
    unsafe { set(displacement, ub as MPI_Aint, "displacement") }
}
