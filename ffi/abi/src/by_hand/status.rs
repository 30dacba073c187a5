//! Statuses: their fields, and how many elements a message had (chapters 3, 5 and 13).

use ferrite_engine::datatype::{Element, TypeInfo};
use ferrite_engine::{Datatype, Engine, Error, ErrorClass, Result};

use super::{Count, null, set};
use crate::convert::{UNDEFINED, narrow, read_status};
use crate::types::{MPI_Datatype, MPI_Status, c_int};

/// The program's status.
///
/// # Safety
/// The pointer is null or points to a status that lives for `'a`.
unsafe fn status<'a>(status: *const MPI_Status) -> Result<&'a MPI_Status> {
    // SAFETY: the caller's promise.
    unsafe { status.as_ref() }.ok_or_else(|| null("status"))
}

/// The program's status, to be changed.
///
/// # Safety
/// The pointer is null or points to a status that nobody else looks at during `'a`.
unsafe fn status_mut<'a>(status: *mut MPI_Status) -> Result<&'a mut MPI_Status> {
    // SAFETY: the caller's promise.
    unsafe { status.as_mut() }.ok_or_else(|| null("status"))
}

fn info(handle: MPI_Datatype) -> Result<&'static TypeInfo> {
    super::datatypes::info(Datatype(narrow(handle)))
}

/// Basic elements in one item of a type.
fn elements_per_item(element: Element) -> i64 {
    match element {
        Element::Pair(..) => 2,
        _ => 1,
    }
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
        let bytes = read_status(status(from)?).bytes;
        let items = items(bytes, info(handle)?.size);
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
        let bytes = read_status(status(from)?).bytes;
        let info = info(handle)?;
        let elements = match (items(bytes, info.size), info.element) {
            (Some(items), element) => items * elements_per_item(element),
            // A pair whose value has come, and whose index has not.
            (None, Element::Pair(value, _))
                if bytes % info.size as i64 == i64::from(value.size()) =>
            {
                bytes / info.size as i64 * 2 + 1
            }
            _ => i64::from(UNDEFINED),
        };
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
    unsafe { set(error, status(from)?.error, "error") }
}

pub(crate) unsafe fn status_get_source(
    _engine: &Engine,
    from: *const MPI_Status,
    source: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { set(source, status(from)?.source, "source") }
}

pub(crate) unsafe fn status_get_tag(
    _engine: &Engine,
    from: *const MPI_Status,
    tag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { set(tag, status(from)?.tag, "tag") }
}

pub(crate) unsafe fn test_cancelled(
    _engine: &Engine,
    from: *const MPI_Status,
    flag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers.
    unsafe { set(flag, c_int::from(status(from)?.cancelled != 0), "flag") }
}

pub(crate) unsafe fn status_set_error(
    _engine: &Engine,
    to: *mut MPI_Status,
    error: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.error = error };
    Ok(())
}

pub(crate) unsafe fn status_set_source(
    _engine: &Engine,
    to: *mut MPI_Status,
    source: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.source = source };
    Ok(())
}

pub(crate) unsafe fn status_set_tag(
    _engine: &Engine,
    to: *mut MPI_Status,
    tag: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.tag = tag };
    Ok(())
}

pub(crate) unsafe fn status_set_cancelled(
    _engine: &Engine,
    to: *mut MPI_Status,
    flag: c_int,
) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.cancelled = c_int::from(flag != 0) };
    Ok(())
}

pub(crate) unsafe fn status_set_elements<C: Count>(
    _engine: &Engine,
    to: *mut MPI_Status,
    handle: MPI_Datatype,
    count: C,
) -> Result<()> {
    let info = info(handle)?;
    let per_item = elements_per_item(info.element);
    let bytes = match (count.wide(), info.element) {
        (count, _) if count < 0 => {
            return Err(Error::new(
                ErrorClass::COUNT,
                format!("the number of elements {count} is negative"),
            ));
        }
        (count, Element::Pair(value, _)) => {
            count / per_item * info.size as i64 + count % per_item * i64::from(value.size())
        }
        (count, _) => count.saturating_mul(info.size as i64),
    };
    // SAFETY: the program's pointer.
    unsafe { status_mut(to)?.bytes = [bytes as u32, (bytes >> 32) as u32] };
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
