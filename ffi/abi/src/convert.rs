//! Values between the C interface and the engine.

use core::ffi::{CStr, c_char, c_int};

use ferrite_engine::status::ANY_SOURCE;
use ferrite_engine::{Error, ErrorClass, Result, Status};

use crate::interface::INVALID;
pub(crate) use crate::interface::{narrow, narrow_pointer, widen};
use crate::types::{Handle, MPI_Status, SUCCESS};

/// `MPI_UNDEFINED`
pub(crate) const UNDEFINED: c_int = -32766;

/// A count for a C `int`: `MPI_UNDEFINED` if it does not fit.
#[inline(always)]
pub(crate) fn count_as_int(count: i64) -> c_int {
    c_int::try_from(count).unwrap_or(UNDEFINED)
}

/// Stores a status where the program wants it; `MPI_STATUS_IGNORE` is null. `MPI_ERROR` stays as it
/// was, because single completions do not set it (MPI 5.0, section 3.2.5), but in an empty status
/// it is `MPI_SUCCESS` (section 3.7.3).
///
/// # Safety
/// `to` is null or points to a status that may be written.
#[inline(always)]
pub(crate) unsafe fn put_status(to: *mut MPI_Status, status: &Status) {
    if !to.is_null() {
        // SAFETY: not null, so a status by the caller's promise.
        unsafe {
            (*to).write(status);
            // No message has such a source.
            if status.source == ANY_SOURCE {
                (*to).set_error(SUCCESS);
            }
        }
    }
}

/// Stores the handle that a call which failed leaves. What names no object stays as it was: the
/// message tells what it may be.
///
/// # Safety
/// `to` points to a handle that may be written.
#[cold]
pub(crate) unsafe fn put_back(to: *mut Handle, handle: u32) {
    if handle != INVALID {
        // SAFETY: the caller's promise.
        unsafe { *to = widen(handle) };
    }
}

/// A string of the program.
///
/// # Safety
/// `from` is null or points to a string that ends with a zero byte and stays as it is for `'a`.
pub(crate) unsafe fn text<'a>(from: *const c_char, name: &str) -> Result<&'a str> {
    if from.is_null() {
        return Err(Error::new(
            ErrorClass::ARG,
            format!("{name} is a null pointer: pass a string"),
        ));
    }
    // SAFETY: not null, so a string by the caller's promise.
    let bytes = unsafe { CStr::from_ptr(from) };
    bytes.to_str().map_err(|_| {
        Error::new(
            ErrorClass::ARG,
            format!("{name} is not valid UTF-8: {bytes:?}"),
        )
    })
}

/// Stores a string in the program's buffer of `room` bytes, cut to fit with its zero byte, and
/// returns the bytes stored without that one.
///
/// # Safety
/// `to` points to `room` bytes that may be written.
pub(crate) unsafe fn put_text(to: *mut c_char, room: usize, text: &str) -> usize {
    let Some(limit) = room.checked_sub(1) else {
        return 0;
    };
    let mut length = text.len().min(limit);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    // SAFETY: `length` + 1 <= `room`, and the program's buffer is not inside a Rust string.
    unsafe {
        to.cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), length);
        to.add(length).write(0);
    }
    length
}
