//! Unix: the monotonic clock, the host's name, strings of the system, and memory from the C
//! library.

use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
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
    // SAFETY: `time` is a timespec to write; this clock exists on every system that Rust's own
    // `Instant` runs on.
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

/// Memory that starts on a cache line; null when there is none. A size of 0 gives an address that
/// may be freed.
pub(crate) fn allocate(bytes: usize) -> *mut c_void {
    let mut memory = null_mut();
    // SAFETY: `memory` may be written, and the alignment is a power of two and a multiple of a
    // pointer's size.
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

/// The exported name that begins at an address, which need not be one.
pub(crate) fn symbol_at(address: usize) -> Option<String> {
    let mut found = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: the address is compared and never followed, and `found` may be written.
    if unsafe { libc::dladdr(address as *const c_void, found.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: the call has succeeded, so it has filled in everything.
    let found = unsafe { found.assume_init() };
    if found.dli_sname.is_null() || found.dli_saddr as usize != address {
        return None;
    }
    // SAFETY: not null, so a string of the dynamic linker's, which is there for as long as the file
    // is loaded.
    let name = unsafe { CStr::from_ptr(found.dli_sname) };
    Some(name.to_string_lossy().into_owned())
}

/// The address of a name that the program or one of its libraries exports.
pub(crate) fn address_of(name: &CStr) -> Option<usize> {
    // SAFETY: a string, and the handle that stands for everything that is loaded globally.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address as usize)
}

/// The eight bytes at an address that may not be one, read without harm; `None` where there is no
/// memory, or the system does not allow to ask.
pub(crate) fn word_at(address: usize) -> Option<u64> {
    let mut word = 0u64;
    let local = libc::iovec {
        iov_base: (&raw mut word).cast(),
        iov_len: size_of::<u64>(),
    };
    let remote = libc::iovec {
        iov_base: address as *mut c_void,
        iov_len: size_of::<u64>(),
    };
    // SAFETY: the kernel writes into `word`, which has the room, and checks the other address
    // itself.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    (read == size_of::<u64>() as isize).then_some(word)
}
