//! What programs of MPICH's binary interface refer to by name beside the functions of the standard.

#![allow(non_upper_case_globals, reason = "the names are MPICH's")]

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicUsize;

use crate::types::SUCCESS;

/// Weights that have a meaning. What matters is the address that the program finds here: it is the
/// one of the standard ABI.
#[unsafe(no_mangle)]
pub(crate) static MPI_UNWEIGHTED: usize = 10;
#[unsafe(no_mangle)]
pub(crate) static MPI_WEIGHTS_EMPTY: usize = 11;

/// All handles of a session of the tool interface.
#[unsafe(no_mangle)]
pub(crate) static MPI_T_PVAR_ALL_HANDLES: usize = 1;

/// Statuses that Fortran ignores. A program may set them, so they are no constants.
#[unsafe(no_mangle)]
pub(crate) static MPI_F_STATUS_IGNORE: AtomicUsize = AtomicUsize::new(1);
#[unsafe(no_mangle)]
pub(crate) static MPI_F_STATUSES_IGNORE: AtomicUsize = AtomicUsize::new(1);
#[unsafe(no_mangle)]
pub(crate) static MPI_F08_STATUS_IGNORE: AtomicUsize = AtomicUsize::new(1);
#[unsafe(no_mangle)]
pub(crate) static MPI_F08_STATUSES_IGNORE: AtomicUsize = AtomicUsize::new(1);

/// `MPI_COMM_DUP_FN` and its siblings: the copy of an attribute is the value itself.
///
/// # Safety
/// The pointers are those of a copy function (MPI 5.0, section 7.7.2).
#[unsafe(no_mangle)]
unsafe extern "C" fn MPIR_Dup_fn(
    _object: c_int,
    _keyval: c_int,
    _extra_state: *mut c_void,
    value: *mut c_void,
    copy: *mut c_void,
    flag: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise; the copy is declared `void *`, but is the address of a pointer.
    unsafe {
        copy.cast::<*mut c_void>().write(value);
        flag.write(1);
    }
    SUCCESS
}
