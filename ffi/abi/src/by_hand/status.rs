//! Statuses: their fields, and how many elements a message had (chapters 3, 5 and 13).

use ferrite_engine::{Engine, Error, ErrorClass, Result};

use super::datatypes::find;
use super::{Count, null, set};
use crate::convert::UNDEFINED;
use crate::types::{MPI_Datatype, MPI_Status, c_int};

/// The program's status.
///
/// # Safety
/// The pointer is null or points to a status that lives for `'a`.
pub(super) unsafe fn status<'a>(status: *const MPI_Status) -> Result<&'a MPI_Status> {
    // SAFETY: the caller's promise.
    unsafe { status.as_ref() }.ok_or_else(|| null("status"))
}

/// The program's status, to be changed.
///
/// # Safety
/// The pointer is null or points to a status that nobody else looks at during `'a`.
pub(super) unsafe fn status_mut<'a>(status: *mut MPI_Status) -> Result<&'a mut MPI_Status> {
    // SAFETY: the caller's promise.
    unsafe { status.as_mut() }.ok_or_else(|| null("status"))
}

/// Whole items in a number of bytes, if they are whole.
fn items(bytes: i64, size: u64) -> Option<i64> {
    match size as i64 {
        0 => (bytes == 0).then_some(0),
        size => (bytes % size == 0).then_some(bytes / size),
    }
}

pub(crate) unsafe fn get_count<C: Count>(
    _engine: &Engine,
    from: *const MPI_Status,
    handle: MPI_Datatype,
    count: *mut C,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe {
        let bytes = status(from)?.without_error().bytes;
        let items = items(bytes, find(handle)?.size());
        let items = items.unwrap_or(i64::from(UNDEFINED));
        set(count, C::from_wide(items), "count")
    }
}

pub(crate) unsafe fn get_elements<C: Count>(
    _engine: &Engine,
    from: *const MPI_Status,
    handle: MPI_Datatype,
    count: *mut C,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe {
        let bytes = status(from)?.without_error().bytes;
        let elements = match u64::try_from(bytes) {
            Ok(bytes) => find(handle)?.elements_in(bytes),
            Err(_) => None,
        };
        let elements = elements.map_or(i64::from(UNDEFINED), |elements| elements as i64);
        set(count, C::from_wide(elements), "count")
    }
}

pub(crate) unsafe fn get_elements_x(
    engine: &Engine,
    from: *const MPI_Status,
    handle: MPI_Datatype,
    count: *mut i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { get_elements(engine, from, handle, count) }
}

pub(crate) unsafe fn status_get_error(
    _engine: &Engine,
    from: *const MPI_Status,
    error: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { set(error, status(from)?.read().error, "error") }
}

pub(crate) unsafe fn status_get_source(
    _engine: &Engine,
    from: *const MPI_Status,
    source: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { set(source, status(from)?.without_error().source, "source") }
}

pub(crate) unsafe fn status_get_tag(
    _engine: &Engine,
    from: *const MPI_Status,
    tag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { set(tag, status(from)?.without_error().tag, "tag") }
}

pub(crate) unsafe fn test_cancelled(
    _engine: &Engine,
    from: *const MPI_Status,
    flag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe {
        set(
            flag,
            c_int::from(status(from)?.without_error().cancelled),
            "flag",
        )
    }
}

pub(crate) unsafe fn status_set_error(
    _engine: &Engine,
    to: *mut MPI_Status,
    error: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.set_error(error) };
    Ok(())
}

pub(crate) unsafe fn status_set_source(
    _engine: &Engine,
    to: *mut MPI_Status,
    source: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.set_source(source) };
    Ok(())
}

pub(crate) unsafe fn status_set_tag(
    _engine: &Engine,
    to: *mut MPI_Status,
    tag: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.set_tag(tag) };
    Ok(())
}

pub(crate) unsafe fn status_set_cancelled(
    _engine: &Engine,
    to: *mut MPI_Status,
    flag: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.set_cancelled(flag != 0) };
    Ok(())
}

pub(crate) unsafe fn status_set_elements<C: Count>(
    _engine: &Engine,
    to: *mut MPI_Status,
    handle: MPI_Datatype,
    count: C,
) -> Result<()> {
    let (found, count) = (find(handle)?, count.wide());
    let Ok(elements) = u64::try_from(count) else {
        return Err(Error::new(
            ErrorClass::COUNT,
            format!("the number of elements {count} is negative"),
        ));
    };
    let bytes = found.bytes_of(elements).ok_or_else(|| {
        Error::new(
            ErrorClass::COUNT,
            format!("{count} elements are more than the type has, or more than 2^64 bytes"),
        )
    })?;
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.set_bytes(bytes) };
    Ok(())
}

pub(crate) unsafe fn status_set_elements_x(
    engine: &Engine,
    to: *mut MPI_Status,
    handle: MPI_Datatype,
    count: i64,
) -> Result<()> {
    // SAFETY: as this function's.
    unsafe { status_set_elements(engine, to, handle, count) }
}
