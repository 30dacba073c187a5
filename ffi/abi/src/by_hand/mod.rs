//! Bodies that the generator cannot write: arrays of handles and statuses, callbacks, strings with
//! a limit, and the few functions that need no engine. One file per subject. A function that
//! returns an error code gets its arguments as the program passed them, after the engine unless it
//! is legal at any time.

mod abi;
mod collectives;
mod communicators;
mod completion;
mod datatypes;
mod environment;
mod errhandlers;
mod grequests;
mod groups;
mod info;
mod keyvals;
#[cfg(mpich)]
mod mpich;
mod neighbours;
mod ops;
mod packing;
mod processes;
mod sessions;
mod status;
mod tools;
mod topologies;
mod type_constructors;

pub(crate) use abi::*;
pub(crate) use collectives::*;
pub(crate) use communicators::*;
pub(crate) use completion::*;
pub(crate) use datatypes::*;
pub(crate) use environment::*;
pub(crate) use errhandlers::*;
pub(crate) use grequests::*;
pub(crate) use groups::*;
pub(crate) use info::*;
pub(crate) use keyvals::*;
#[cfg(mpich)]
pub(crate) use mpich::*;
pub(crate) use neighbours::*;
pub(crate) use ops::*;
pub(crate) use packing::*;
pub(crate) use processes::*;
pub(crate) use sessions::*;
pub(crate) use status::*;
pub(crate) use tools::*;
pub(crate) use topologies::*;
pub(crate) use type_constructors::*;

use core::ffi::{c_char, c_int};

use ferrite_engine::datatype::Form;
use ferrite_engine::{Error, ErrorClass, Result};

use crate::convert::{count_as_int, put_text};
use crate::types::Handle;

/// `MPI_MAX_OBJECT_NAME`
const MAX_OBJECT_NAME: usize = 128;

/// A count that the program asked for, in the width of the function's form.
pub(crate) trait Count: Copy {
    /// The form of the functions that count so.
    const FORM: Form;
    /// From 64 bits; `MPI_UNDEFINED` if it does not fit.
    fn from_wide(count: i64) -> Self;
    /// To 64 bits.
    fn wide(self) -> i64;
}

impl Count for c_int {
    const FORM: Form = Form::Int;
    fn from_wide(count: i64) -> c_int {
        count_as_int(count)
    }
    fn wide(self) -> i64 {
        self.into()
    }
}

impl Count for i64 {
    const FORM: Form = Form::Large;
    fn from_wide(count: i64) -> i64 {
        count
    }
    fn wide(self) -> i64 {
        self
    }
}

impl Count for isize {
    const FORM: Form = Form::Int;
    fn from_wide(count: i64) -> isize {
        isize::try_from(count).unwrap_or(crate::convert::UNDEFINED as isize)
    }
    fn wide(self) -> i64 {
        self as i64
    }
}

#[cold]
fn null(name: &str) -> Error {
    let sentence = format!("{name} is a null pointer: pass the address of a variable");
    Error::new(ErrorClass::ARG, sentence)
}

/// Sets an output of the program.
///
/// # Safety
/// `to` is null or points to a value that may be written.
#[inline]
unsafe fn set<T>(to: *mut T, value: T, name: &str) -> Result<()> {
    if to.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, so it may be written by the caller's promise.
    unsafe { to.write(value) };
    Ok(())
}

/// Reads an input or output of the program.
///
/// # Safety
/// `from` is null or points to a value.
#[inline]
unsafe fn read<T: Copy>(from: *const T, name: &str) -> Result<T> {
    if from.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, so a value by the caller's promise.
    Ok(unsafe { from.read() })
}

/// An array of the program.
///
/// # Safety
/// `from` points to `length` values that stay as they are for `'a`, or `length` is not positive.
unsafe fn array<'a, T>(from: *const T, length: c_int, name: &str) -> Result<&'a [T]> {
    match usize::try_from(length) {
        Ok(0) => Ok(&[]),
        Ok(_) if from.is_null() => Err(null(name)),
        // SAFETY: not null, and the caller's promise.
        Ok(length) => Ok(unsafe { core::slice::from_raw_parts(from, length) }),
        Err(_) => Err(Error::new(
            ErrorClass::ARG,
            format!("the length {length} of {name} is negative"),
        )),
    }
}

/// Sets an output string of the program and its length, cut to the room that the standard gives it.
///
/// # Safety
/// `to` is null or points to `room` bytes that may be written; `length` as in [`set`].
unsafe fn set_text(
    to: *mut c_char,
    room: usize,
    text: &str,
    length: *mut c_int,
    name: &str,
) -> Result<()> {
    if to.is_null() {
        return Err(null(name));
    }
    // SAFETY: the caller's promise.
    unsafe {
        let stored = put_text(to, room, text);
        set(length, stored as c_int, "resultlen")
    }
}

/// Sets an output handle.
///
/// # Safety
/// As of [`set`].
unsafe fn set_handle(to: *mut Handle, handle: u32, name: &str) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { set(to, crate::convert::widen(handle), name) }
}
