//! Tool support (chapter 15). Outputs that a tool does not want are null pointers in the functions
//! that inform; elsewhere they are errors.

mod categories;
mod controls;
mod events;
mod performance;

pub(crate) use categories::*;
pub(crate) use controls::*;
pub(crate) use events::*;
pub(crate) use performance::*;

use ferrite_engine::{Datatype, Error, ErrorClass, Result, tools};

use super::processes::{level_for, value_of};
use crate::convert::{self, narrow_pointer, put_text};
use crate::types::{MPI_T_enum, PointerHandle, c_char, c_int};

/// `MPI_T_BIND_NO_OBJECT`
const NO_OBJECT: c_int = 1;

/// Type of numbers: `MPI_UNSIGNED_LONG_LONG`.
const NUMBER: Datatype = Datatype::UNSIGNED_LONG_LONG;

/// Type of small numbers: `MPI_INT`.
const SMALL: Datatype = Datatype::INT;

/// `MPI_T_ENUM_NULL`
const NO_ENUM: MPI_T_enum = 0;

/// A call for profiling tools to intercept: it does nothing by itself (MPI 5.0, section 15.2.4).
pub(crate) unsafe fn pcontrol(_level: c_int) -> Result<()> {
    Ok(())
}

pub(crate) unsafe fn t_init_thread(required: c_int, provided: *mut c_int) -> Result<()> {
    if provided.is_null() {
        return Err(invalid(super::null("provided")));
    }
    let level = tools::init(level_for(required))?;
    // SAFETY: the tool's pointer.
    unsafe { demand(provided, value_of(level), "provided") }
}

pub(crate) unsafe fn t_finalize() -> Result<()> {
    tools::finalize()
}

pub(crate) unsafe fn t_enum_get_info(
    enumtype: MPI_T_enum,
    num: *mut c_int,
    name: *mut c_char,
    name_len: *mut c_int,
) -> Result<()> {
    let enumeration = tools::enumeration(narrow_pointer(enumtype))?;
    // SAFETY: the tool's pointers.
    unsafe {
        wish(num, enumeration.items.len() as c_int);
        wish_text(name, name_len, enumeration.name);
    }
    Ok(())
}

pub(crate) unsafe fn t_enum_get_item(
    enumtype: MPI_T_enum,
    index: c_int,
    value: *mut c_int,
    name: *mut c_char,
    name_len: *mut c_int,
) -> Result<()> {
    let enumeration = tools::enumeration(narrow_pointer(enumtype))?;
    let (number, text) = tools::item(enumeration, index)?;
    // SAFETY: the tool's pointers.
    unsafe {
        wish(value, number);
        wish_text(name, name_len, text);
    }
    Ok(())
}

/// The same error with the class that the tool interface has for bad arguments.
fn invalid(error: Error) -> Error {
    Error::new(ErrorClass::T_INVALID, error.sentence().to_owned())
}

/// A name that a tool asks for.
///
/// # Safety
/// As [`convert::text`].
unsafe fn name<'a>(from: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { convert::text(from, "name") }.map_err(invalid)
}

/// Sets an output if the tool wants it.
///
/// # Safety
/// `to` is null or points to a value that may be written.
unsafe fn wish<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: not null, so it may be written by the caller's promise.
        unsafe { to.write(value) };
    }
}

/// Sets an output that a tool cannot do without.
///
/// # Safety
/// As [`wish`].
unsafe fn demand<T>(to: *mut T, value: T, name: &str) -> Result<()> {
    if to.is_null() {
        return Err(invalid(super::null(name)));
    }
    // SAFETY: the caller's promise.
    unsafe { wish(to, value) };
    Ok(())
}

/// An input or output that a tool must give.
///
/// # Safety
/// As [`super::read`].
unsafe fn given<T: Copy>(from: *const T, name: &str) -> Result<T> {
    // SAFETY: the caller's promise.
    unsafe { super::read(from, name) }.map_err(invalid)
}

/// Stores a text, cut to the room that `length` says, and there how much room it needs (MPI 5.0,
/// section 15.3.3).
///
/// # Safety
/// `length` is as in [`wish`]; `to` is null or points to as many bytes as it says.
unsafe fn wish_text(to: *mut c_char, length: *mut c_int, text: &str) {
    if length.is_null() {
        return;
    }
    // SAFETY: not null, and the caller's promise.
    unsafe {
        let room = usize::try_from(*length).unwrap_or(0);
        if !to.is_null() && room > 0 {
            put_text(to, room, text);
        }
        *length = text.len() as c_int + 1;
    }
}

/// Stores the numbers of what a category has, or as many as there is room for.
///
/// # Safety
/// `to` points to `length` numbers that may be written.
unsafe fn put_numbers(to: *mut c_int, length: c_int, numbers: &[c_int]) -> Result<()> {
    let room = usize::try_from(length)
        .map_err(|_| Error::new(ErrorClass::T_INVALID, "the length is negative"))?;
    let count = room.min(numbers.len());
    if count > 0 && to.is_null() {
        return Err(invalid(super::null("indices")));
    }
    for (at, number) in numbers[..count].iter().enumerate() {
        // SAFETY: not null, and below the length.
        unsafe { to.add(at).write(*number) };
    }
    Ok(())
}

/// A handle of the interface, as tools see it.
fn shown(handle: u32) -> PointerHandle {
    handle as PointerHandle
}
