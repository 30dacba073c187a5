//! Info objects: keys and values are strings of bytes, not necessarily UTF-8 (chapters 10 and 16).

use core::ffi::CStr;

use ferrite_engine::{Info, Result, info};

use super::{null, read, set, set_handle};
use crate::convert::narrow;
use crate::sys;
use crate::types::{MPI_Info, c_char, c_int};

/// A string of the program.
///
/// # Safety
/// `from` is null or points to a string that stays as it is for `'a`.
unsafe fn bytes<'a>(from: *const c_char, name: &str) -> Result<&'a [u8]> {
    if from.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, so a string by the caller's promise.
    Ok(unsafe { CStr::from_ptr(from) }.to_bytes())
}

/// Stores bytes and a zero byte, cut to `room` bytes.
///
/// # Safety
/// `to` is null or points to `room` bytes that may be written.
unsafe fn put(to: *mut c_char, room: usize, text: &[u8], name: &str) -> Result<()> {
    let Some(limit) = room.checked_sub(1) else {
        return Ok(());
    };
    if to.is_null() {
        return Err(null(name));
    }
    let length = text.len().min(limit);
    // SAFETY: `length` + 1 <= `room`, and the program's buffer is not inside the library.
    unsafe {
        to.cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), length);
        to.add(length).write(0);
    }
    Ok(())
}

fn of(handle: MPI_Info) -> Info {
    Info(narrow(handle))
}

pub(crate) unsafe fn info_free(handle: *mut MPI_Info) -> Result<()> {
    // SAFETY: the program's pointer.
    unsafe {
        info::free(of(read(handle, "info")?))?;
        set_handle(handle, Info::NULL.0, "info")
    }
}

pub(crate) unsafe fn info_create_env(
    argc: c_int,
    argv: *mut *mut c_char,
    to: *mut MPI_Info,
) -> Result<()> {
    let number = if argv.is_null() {
        0
    } else {
        argc.max(0) as usize
    };
    let arguments = (0..number).map_while(|at| {
        // SAFETY: what main got: `argc` strings, or fewer and a null pointer.
        let argument = unsafe { argv.add(at).read() };
        // SAFETY: a string of the program, if it is one.
        (!argument.is_null()).then(|| unsafe { CStr::from_ptr(argument) })
    });
    let made = info::create_env(arguments.map(|text| sys::os_string(text.to_bytes())))?;
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "info") }
}

pub(crate) unsafe fn info_set(
    handle: MPI_Info,
    key: *const c_char,
    value: *const c_char,
) -> Result<()> {
    // SAFETY: the program's strings.
    unsafe { info::set(of(handle), bytes(key, "key")?, bytes(value, "value")?) }
}

pub(crate) unsafe fn info_delete(handle: MPI_Info, key: *const c_char) -> Result<()> {
    // SAFETY: the program's string.
    info::delete(of(handle), unsafe { bytes(key, "key")? })
}

pub(crate) unsafe fn info_get_nkeys(handle: MPI_Info, number: *mut c_int) -> Result<()> {
    let keys = info::nkeys(of(handle))? as c_int;
    // SAFETY: the program's pointer.
    unsafe { set(number, keys, "nkeys") }
}

pub(crate) unsafe fn info_get_nthkey(handle: MPI_Info, n: c_int, key: *mut c_char) -> Result<()> {
    // A negative number is beyond every key, too.
    let found = info::nth_key(of(handle), usize::try_from(n).unwrap_or(usize::MAX))?;
    // SAFETY: the program's buffer has room for the longest key.
    unsafe { put(key, info::MAX_KEY + 1, &found, "key") }
}

pub(crate) unsafe fn info_get_string(
    handle: MPI_Info,
    key: *const c_char,
    length: *mut c_int,
    value: *mut c_char,
    flag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's strings and pointers; the buffer has room for `length` bytes.
    unsafe {
        let found = info::get(of(handle), bytes(key, "key")?)?;
        if let Some(found) = &found {
            let room = read(length, "buflen")?.max(0) as usize;
            put(value, room, found, "value")?;
            set(length, found.len() as c_int + 1, "buflen")?;
        }
        set(flag, c_int::from(found.is_some()), "flag")
    }
}

pub(crate) unsafe fn info_get(
    handle: MPI_Info,
    key: *const c_char,
    length: c_int,
    value: *mut c_char,
    flag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's strings and pointers; the buffer has room for `length` bytes and a zero
    // byte.
    unsafe {
        let found = info::get(of(handle), bytes(key, "key")?)?;
        if let Some(found) = &found {
            put(value, length.max(0) as usize + 1, found, "value")?;
        }
        set(flag, c_int::from(found.is_some()), "flag")
    }
}

pub(crate) unsafe fn info_get_valuelen(
    handle: MPI_Info,
    key: *const c_char,
    length: *mut c_int,
    flag: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's string and pointers.
    unsafe {
        let found = info::get(of(handle), bytes(key, "key")?)?;
        if let Some(found) = &found {
            set(length, found.len() as c_int, "valuelen")?;
        }
        set(flag, c_int::from(found.is_some()), "flag")
    }
}
