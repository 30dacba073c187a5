use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{SealFlags, fcntl_add_seals, fstat, ftruncate};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use rustix::process::{PTracer, Pid, set_ptracer};

/// Makes an empty memory file `bytes` long, or finds that another rank has, and fixes its length for good. Returns the length that
/// it has now.
pub(crate) fn size_file(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    if fstat(fd)?.st_size == 0 {
        ftruncate(fd, bytes as u64)?;
    }
    let size = fstat(fd)?.st_size as usize;
    if size == bytes {
        // Refused for a file that was made without seals, where nobody but the job's own ranks could shrink it.
        let _ = fcntl_add_seals(fd, SealFlags::SHRINK | SealFlags::GROW);
    }
    Ok(size)
}

/// Maps a memory file.
pub(crate) fn map_file(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<NonNull<u8>> {
    let (access, flags) = (
        ProtFlags::READ | ProtFlags::WRITE,
        MapFlags::SHARED | MapFlags::NORESERVE,
    );
    // SAFETY: the system chooses the place, so no mapping is replaced.
    let memory = unsafe { mmap(null_mut(), bytes, access, flags, fd, 0)? };
    Ok(NonNull::new(memory.cast()).expect("mmap does not return null"))
}

/// Maps memory of this process alone.
pub(crate) fn map_private(bytes: usize) -> io::Result<NonNull<u8>> {
    let (access, flags) = (
        ProtFlags::READ | ProtFlags::WRITE,
        MapFlags::PRIVATE | MapFlags::NORESERVE,
    );
    // SAFETY: as above.
    let memory = unsafe { mmap_anonymous(null_mut(), bytes, access, flags)? };
    Ok(NonNull::new(memory.cast()).expect("mmap does not return null"))
}

/// Takes a mapping away.
///
/// # Safety
/// `memory` was returned for `bytes` by one of the functions above and nothing points into it any more.
pub(crate) unsafe fn unmap(memory: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { munmap(memory.as_ptr().cast(), bytes) };
}

/// Lets the descendants of process `ancestor` read and write this process's memory where Yama would forbid it.
pub(crate) fn permit_access_to_descendants_of(ancestor: u32) {
    if let Some(pid) = i32::try_from(ancestor).ok().and_then(Pid::from_raw) {
        // EINVAL where there is no Yama: then nothing forbids it.
        let _ = set_ptracer(PTracer::ProcessID(pid));
    }
}

/// Copies from another process's memory. Returns how many bytes were copied, which may be fewer than asked.
///
/// # Safety
/// `to` is writable for `len` bytes.
pub(crate) unsafe fn read_process(
    pid: u32,
    from: u64,
    to: *mut u8,
    len: usize,
) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: to.cast(),
        iov_len: len,
    };
    let remote = libc::iovec {
        iov_base: from as *mut c_void,
        iov_len: len,
    };
    // SAFETY: the caller's promise covers the local vector; the remote one is checked by the system.
    result(unsafe { libc::process_vm_readv(pid as libc::pid_t, &local, 1, &remote, 1, 0) })
}

/// Copies to another process's memory, otherwise as [`read_process`].
///
/// # Safety
/// `from` is readable for `len` bytes.
pub(crate) unsafe fn write_process(
    pid: u32,
    to: u64,
    from: *const u8,
    len: usize,
) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: from.cast_mut().cast(),
        iov_len: len,
    };
    let remote = libc::iovec {
        iov_base: to as *mut c_void,
        iov_len: len,
    };
    // SAFETY: the caller's promise covers the local vector, which is only read; the remote one is checked by the system.
    result(unsafe { libc::process_vm_writev(pid as libc::pid_t, &local, 1, &remote, 1, 0) })
}

fn result(copied: isize) -> io::Result<usize> {
    usize::try_from(copied).map_err(|_| io::Error::last_os_error())
}

/// Whether an error means that the system forbids or lacks the call, rather than that the memory is not there.
pub(crate) fn forbidden(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS)
    )
}
