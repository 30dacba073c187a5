//! Addresses and the binary interface itself (chapters 5 and 20).

use std::sync::{Mutex, MutexGuard, PoisonError};

use ferrite_engine::{Error, ErrorClass, Info, Result, info};

use super::{null, set, set_handle};
use crate::convert::narrow;
use crate::interface::ABI_VERSION;
use crate::types::{MPI_Aint, MPI_Info, c_int, c_void};

pub(crate) unsafe fn aint_add(base: MPI_Aint, disp: MPI_Aint) -> MPI_Aint {
    base.wrapping_add(disp)
}

pub(crate) unsafe fn aint_diff(addr1: MPI_Aint, addr2: MPI_Aint) -> MPI_Aint {
    addr1.wrapping_sub(addr2)
}

pub(crate) unsafe fn abi_get_version(major: *mut c_int, minor: *mut c_int) -> Result<()> {
    // SAFETY: the program's pointers, checked for null in `set`.
    unsafe {
        set(major, ABI_VERSION[0], "abi_major")?;
        set(minor, ABI_VERSION[1], "abi_minor")
    }
}

/// What this library's binary interface is, beyond what the standard fixes.
pub(crate) unsafe fn abi_get_info(to: *mut MPI_Info) -> Result<()> {
    let made = info::create()?;
    let facts = [
        ("mpi_aint_size", size_of::<MPI_Aint>()),
        ("mpi_count_size", size_of::<i64>()),
        ("mpi_offset_size", size_of::<i64>()),
    ];
    for (key, bytes) in facts {
        info::set(made, key.as_bytes(), bytes.to_string().as_bytes())?;
    }
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "info") }
}

/// What the program, or a Fortran compiler's library, has told about Fortran's types (MPI 5.0,
/// section 20.5).
struct Fortran {
    /// A copy of the object that `MPI_Abi_set_fortran_info` got.
    info: Option<Info>,
    booleans: Vec<Booleans>,
}

/// The truth values of a Fortran logical: its size in bytes, true, false.
type Booleans = (c_int, Box<[u8]>, Box<[u8]>);

static FORTRAN: Mutex<Fortran> = Mutex::new(Fortran {
    info: None,
    booleans: Vec::new(),
});

fn fortran() -> MutexGuard<'static, Fortran> {
    FORTRAN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
fn told_already(what: &str) -> Error {
    let sentence = format!("{what} were set already, which may be done once");
    Error::new(ErrorClass::ABI, sentence)
}

/// Sizes of a Fortran logical in bytes.
fn logical_size(size: c_int) -> Result<usize> {
    match size {
        1 | 2 | 4 | 8 | 16 => Ok(size as usize),
        _ => Err(Error::new(
            ErrorClass::ARG,
            format!("a Fortran logical has 1, 2, 4, 8 or 16 bytes, not {size}"),
        )),
    }
}

pub(crate) unsafe fn abi_get_fortran_info(to: *mut MPI_Info) -> Result<()> {
    let made = match fortran().info {
        Some(told) => info::dup(told)?,
        None => Info::NULL,
    };
    // SAFETY: the program's pointer.
    unsafe { set_handle(to, made.0, "info") }
}

pub(crate) unsafe fn abi_set_fortran_info(from: MPI_Info) -> Result<()> {
    let mut fortran = fortran();
    if fortran.info.is_some() {
        return Err(told_already("the facts about Fortran"));
    }
    fortran.info = Some(info::dup(Info(narrow(from)))?);
    Ok(())
}

pub(crate) unsafe fn abi_get_fortran_booleans(
    size: c_int,
    logical_true: *mut c_void,
    logical_false: *mut c_void,
    is_set: *mut c_int,
) -> Result<()> {
    let bytes = logical_size(size)?;
    let fortran = fortran();
    let told = fortran.booleans.iter().find(|told| told.0 == size);
    if let Some((_, yes, no)) = told {
        for (to, value, name) in [
            (logical_true, yes, "logical_true"),
            (logical_false, no, "logical_false"),
        ] {
            if to.is_null() {
                return Err(null(name));
            }
            // SAFETY: the program's variable has `bytes` bytes, and so has the value.
            unsafe {
                to.cast::<u8>()
                    .copy_from_nonoverlapping(value.as_ptr(), bytes)
            };
        }
    }
    // SAFETY: the program's pointer.
    unsafe { set(is_set, c_int::from(told.is_some()), "is_set") }
}

pub(crate) unsafe fn abi_set_fortran_booleans(
    size: c_int,
    logical_true: *mut c_void,
    logical_false: *mut c_void,
) -> Result<()> {
    let bytes = logical_size(size)?;
    if logical_true.is_null() || logical_false.is_null() {
        return Err(null("logical_true or logical_false"));
    }
    let mut fortran = fortran();
    if fortran.booleans.iter().any(|told| told.0 == size) {
        return Err(told_already("the truth values of logicals of this size"));
    }
    let value = |from: *mut c_void| {
        let mut copy = vec![0u8; bytes].into_boxed_slice();
        // SAFETY: the program's variable has `bytes` bytes, and so has the copy.
        unsafe {
            copy.as_mut_ptr()
                .copy_from_nonoverlapping(from.cast(), bytes)
        };
        copy
    };
    let told = (size, value(logical_true), value(logical_false));
    fortran.booleans.push(told);
    Ok(())
}
