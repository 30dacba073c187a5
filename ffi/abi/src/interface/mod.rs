//! The binary interface that the library has: one of these, chosen when it is built.
//!
//! Inside, everything is numbered as the standard ABI does. What goes in passes through `..._in`,
//! `narrow` and `status_in`, what goes out through `..._out`, `widen` and [`MPI_Status::write`].

#[cfg(mpich)]
mod mpich;
#[cfg(not(mpich))]
mod standard;

#[cfg(mpich)]
pub(crate) use mpich::*;
#[cfg(not(mpich))]
pub(crate) use standard::*;

use core::ffi::c_int;

/// No object's handle, as the engine sees one that it cannot be: bit 31 of the engine's handles is
/// zero.
pub(crate) const INVALID: u32 = u32::MAX;

/// The argument of a distribution; `None` for the default.
pub(crate) fn argument_in(size: c_int) -> Option<c_int> {
    (size != DEFAULT_ARGUMENT).then_some(size)
}

/// Converts an output where it stands.
///
/// # Safety
/// `to` is null or points to a value that may be read and written.
#[inline(always)]
pub(crate) unsafe fn convert_out(to: *mut c_int, convert: impl FnOnce(c_int) -> c_int) {
    // SAFETY: the caller's promise.
    if let Some(value) = unsafe { to.as_mut() } {
        *value = convert(*value);
    }
}
