//! Unix: the monotonic clock, the host's name, strings of the system, and memory from the C library.

use core::ffi::c_void;
use core::ptr::null_mut;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Bytes of a cache line, or of two that are fetched together.
const LINE: usize = 128;

fn read(clock: impl FnOnce(&mut libc::timespec)) -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    clock(&mut time);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Seconds since some moment that all processes of this host share. Not adjusted when the date is.
#[inline]
pub(crate) fn seconds() -> f64 {
    // SAFETY: `time` is a timespec to write; this clock exists on every system that Rust's own `Instant` runs on.
    read(|time| unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, time);
    })
}

/// The resolution of [`seconds`].
pub(crate) fn tick() -> f64 {
    // SAFETY: as in `seconds`.
    read(|time| unsafe {
        libc::clock_getres(libc::CLOCK_MONOTONIC, time);
    })
}

/// The host's name as the kernel knows it. No name service is asked.
pub(crate) fn host_name() -> String {
    let mut name = [0u8; 256];
    // SAFETY: 255 bytes of `name` may be written; the last one stays zero.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    let length = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&name[..length]).into_owned()
}

/// Memory that starts on a cache line; null when there is none. A size of 0 gives an address that may be freed.
pub(crate) fn allocate(bytes: usize) -> *mut c_void {
    let mut memory = null_mut();
    // SAFETY: `memory` may be written, and the alignment is a power of two and a multiple of a pointer's size.
    match unsafe { libc::posix_memalign(&mut memory, LINE, bytes.max(1)) } {
        0 => memory,
        _ => null_mut(),
    }
}

/// Gives memory back.
///
/// # Safety
/// It came from [`allocate`] and was not given back yet.
pub(crate) unsafe fn free(memory: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { libc::free(memory) }
}

/// A string of the system, such as an argument of the program.
pub(crate) fn os_string(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
