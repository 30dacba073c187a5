//! Environmental management (chapter 9): versions, clocks, error classes and codes.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrite_engine::hardware::RESOURCES;
use ferrite_engine::{Engine, Error, ErrorClass, Result, error_code, info};

use super::{null, set, set_handle, set_text};
use crate::interface::{MAX_PROCESSOR_NAME, NAME};
use crate::sys;
use crate::types::{MPI_Aint, MPI_Info, c_char, c_int, c_void};

/// `MPI_MAX_LIBRARY_VERSION_STRING`
const MAX_LIBRARY_VERSION_STRING: usize = 8192;
/// `MPI_MAX_ERROR_STRING`
const MAX_ERROR_STRING: usize = 512;
/// Versions of the standard: `MPI_VERSION` and `MPI_SUBVERSION`.
const VERSION: [c_int; 2] = [5, 0];

pub(crate) unsafe fn wtime() -> f64 {
    sys::seconds()
}

pub(crate) unsafe fn wtick() -> f64 {
    sys::tick()
}

pub(crate) unsafe fn get_version(version: *mut c_int, subversion: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointers, checked for null in `set`.
    unsafe {
        set(version, VERSION[0], "version")?;
        set(subversion, VERSION[1], "subversion")
    }
}

pub(crate) unsafe fn get_library_version(version: *mut c_char, length: *mut c_int) -> Result<()> {
    let text = format!("Ferrite MPI {}, MPI 5.0, {NAME}", env!("CARGO_PKG_VERSION"));
    // SAFETY: the program's pointers, checked for null in `set_text`; the standard gives the room.
    unsafe {
        set_text(
            version,
            MAX_LIBRARY_VERSION_STRING,
            &text,
            length,
            "version",
        )
    }
}

pub(crate) unsafe fn error_class(code: c_int, class: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer, checked for null in `set`.
    unsafe { set(class, error_code::error_class(code)?.0, "errorclass") }
}

pub(crate) unsafe fn error_string(
    code: c_int,
    string: *mut c_char,
    length: *mut c_int,
) -> Result<()> {
    let text = error_code::error_string(code)?;
    // SAFETY: the program's pointers, checked for null in `set_text`; the standard gives the room.
    unsafe { set_text(string, MAX_ERROR_STRING, &text, length, "string") }
}

pub(crate) unsafe fn add_error_class(class: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer, checked for null in `set`.
    unsafe { set(class, error_code::add_error_class()?.0, "errorclass") }
}

pub(crate) unsafe fn add_error_code(class: c_int, code: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointer, checked for null in `set`.
    unsafe {
        set(
            code,
            error_code::add_error_code(ErrorClass(class))?,
            "errorcode",
        )
    }
}

pub(crate) unsafe fn remove_error_class(class: c_int) -> Result<()> {
    error_code::remove_error_class(ErrorClass(class))
}

pub(crate) unsafe fn get_processor_name(
    _engine: &Engine,
    name: *mut c_char,
    length: *mut c_int,
) -> Result<()> {
    // SAFETY: the program's pointers, checked for null in `set_text`; the standard gives the room.
    unsafe { set_text(name, MAX_PROCESSOR_NAME, &sys::host_name(), length, "name") }
}

/// Where the memory is that the program has got and not freed: another address is found out instead
/// of freed.
static ALLOCATED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

fn allocated() -> MutexGuard<'static, BTreeSet<usize>> {
    ALLOCATED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory on a cache line of its own. No info key asks for more.
pub(crate) unsafe fn alloc_mem(
    _engine: &Engine,
    size: MPI_Aint,
    _info: MPI_Info,
    base: *mut c_void,
) -> Result<()> {
    if base.is_null() {
        return Err(null("baseptr"));
    }
    let Ok(bytes) = usize::try_from(size) else {
        let sentence = format!("the size {size} is negative");
        return Err(Error::new(ErrorClass::ARG, sentence));
    };
    let memory = sys::allocate(bytes);
    if memory.is_null() {
        let sentence = format!("there is no memory for {size} bytes");
        return Err(Error::new(ErrorClass::NO_MEM, sentence));
    }
    allocated().insert(memory as usize);
    // SAFETY: the argument is declared `void *`, but is the address of the program's pointer.
    unsafe { set(base.cast::<*mut c_void>(), memory, "baseptr") }
}

pub(crate) unsafe fn free_mem(_engine: &Engine, base: *mut c_void) -> Result<()> {
    if !allocated().remove(&(base as usize)) {
        let sentence = format!("{base:p} is not what MPI_Alloc_mem gave, or it was freed already");
        return Err(Error::new(ErrorClass::BASE, sentence));
    }
    // SAFETY: `alloc_mem` gave it, and it was not freed since.
    unsafe { sys::free(base) };
    Ok(())
}

/// The kinds of resources that are known here, and of which this process has one instance to
/// itself.
pub(crate) unsafe fn get_hw_resource_info(_engine: &Engine, to: *mut MPI_Info) -> Result<()> {
    if to.is_null() {
        return Err(null("hw_info"));
    }
    let made = info::create()?;
    for (name, resource) in RESOURCES {
        let value: &[u8] = match resource.instance() {
            Some(_) => b"true",
            None => b"false",
        };
        info::set(made, name.as_bytes(), value)?;
    }
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "hw_info") }
}
