use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{FallocateFlags, SealFlags, fallocate, fcntl_add_seals, fstat, ftruncate};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::process::{PTracer, Pid, set_ptracer};

/// The memory file of a node, which this process keeps open to map parts of it.
#[derive(Debug)]
pub(crate) struct File {
    fd: OwnedFd,
    /// Device and inode number.
    identity: (u64, u64),
}

/// Why a file is not as long as it should be.
#[derive(Debug)]
pub(crate) enum Short {
    /// The limit of this process forbids it (`RLIMIT_FSIZE`, to exceed which would be its death by
    /// SIGXFSZ).
    Limit,
    Refused,
}

impl File {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> io::Result<File> {
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
        let stat = fstat(&fd)?;
        Ok(File {
            fd,
            identity: (stat.st_dev, stat.st_ino),
        })
    }

    pub(crate) fn bytes(&self) -> io::Result<u64> {
        Ok(fstat(&self.fd)?.st_size as u64)
    }

    /// Bytes of memory that the file occupies.
    #[cfg(test)]
    pub(crate) fn occupied(&self) -> u64 {
        fstat(&self.fd).map_or(0, |stat| stat.st_blocks as u64 * 512)
    }

    /// Makes the file at least so long. Other ranks may be about to do the same: it never gets
    /// shorter, and what they have written stays.
    pub(crate) fn extend(&self, bytes: usize) -> Result<(), Short> {
        let has = |file: &File| file.bytes().is_ok_and(|now| now >= bytes as u64);
        if has(self) {
            return Ok(());
        }
        if longest_file() < bytes as u64 {
            return Err(Short::Limit);
        }
        // A file that has the seal cannot be cut off. One without seals gets a byte where there is
        // none yet, as that does not cut off what another rank has appended meanwhile.
        let done = fcntl_add_seals(&self.fd, SealFlags::SHRINK)
            .and_then(|()| ftruncate(&self.fd, bytes as u64))
            .or_else(|_| fallocate(&self.fd, FallocateFlags::empty(), bytes as u64 - 1, 1));
        // Refused where another rank has made it longer.
        match done.is_ok() || has(self) {
            true => Ok(()),
            false => Err(Short::Refused),
        }
    }

    /// Fixes the length of the file for good. Refused for a file without seals, where nobody but
    /// the job's own ranks could shrink it.
    pub(crate) fn fix_length(&self) {
        let _ = fcntl_add_seals(&self.fd, SealFlags::SHRINK | SealFlags::GROW);
    }

    /// Whether the descriptor is still the memory file's: a program may have closed all descriptors
    /// that it does not know, and opened a file of its own since.
    fn is_open(&self) -> bool {
        fstat(&self.fd).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == self.identity)
    }

    /// Gives the memory of a part of the file back, which reads as zeros then. May be refused: then
    /// nothing happens.
    pub(crate) fn give_back(&self, offset: usize, bytes: usize) {
        if !self.is_open() {
            return;
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&self.fd, flags, offset as u64, bytes as u64);
    }
}

/// How long a file of this process may get, in bytes.
pub(crate) fn longest_file() -> u64 {
    // SAFETY: see `limit`.
    limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit) })
}

/// Whether the address space of this process has a limit.
pub(crate) fn is_address_space_limited() -> bool {
    // SAFETY: see `limit`.
    limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_AS, limit) }) != libc::RLIM_INFINITY
}

/// A limit that is asked for with a pointer that may be written to. Infinity is the largest number.
fn limit(ask: impl FnOnce(*mut libc::rlimit) -> libc::c_int) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // Where the call is refused, it stays what it is.
    ask(&raw mut limit);
    limit.rlim_cur
}

/// Address space of this process, with nothing or with parts of a file in it.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: what the memory is used for is the business of whoever asks for `start`.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Address space that nothing is in.
    pub(crate) fn reserve(bytes: usize) -> io::Result<Mapping> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: the system chooses the place, so no mapping is replaced.
        let start = unsafe { mmap_anonymous(null_mut(), bytes, ProtFlags::empty(), flags)? };
        Ok(Mapping {
            start: NonNull::new(start.cast()).expect("mmap does not return null"),
            bytes,
        })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Puts a part of a file to a place within, and keeps it out of core dumps.
    pub(crate) fn show(
        &self,
        at: usize,
        file: &File,
        offset: usize,
        bytes: usize,
    ) -> io::Result<()> {
        assert!(
            at + bytes <= self.bytes,
            "{at} and {bytes} bytes of {self:?}"
        );
        if !file.is_open() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: within the mapping.
        let place = unsafe { self.start.add(at) }.as_ptr().cast();
        let map = || {
            let access = ProtFlags::READ | ProtFlags::WRITE;
            let flags = MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED;
            // SAFETY: the place is within this mapping, where the caller has nothing yet.
            unsafe { mmap(place, bytes, access, flags, &file.fd, offset as u64) }
        };
        match map() {
            // Where all memory is locked (mlockall), the limit (ulimit -l) has room for the part
            // only without the place in which it will be.
            Err(Errno::AGAIN) => {
                // SAFETY: as above.
                let _ = unsafe { munmap(place, bytes) };
                map().inspect_err(|_| {
                    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
                    // SAFETY: nothing is replaced. It succeeds, for the place had room before.
                    let _ = unsafe { mmap_anonymous(place, bytes, ProtFlags::empty(), flags) };
                })?;
            }
            mapped => drop(mapped?),
        }
        // SAFETY: just mapped; what is advised changes no content. A kernel that does not know it
        // dumps what it always has.
        let _ = unsafe { madvise(place, bytes, Advice::LinuxDontDump) };
        Ok(())
    }

    /// Gives the end of the address space back, from `bytes` on.
    pub(crate) fn cut(&mut self, bytes: usize) {
        assert!(0 < bytes && bytes <= self.bytes);
        if bytes == self.bytes {
            return;
        }
        // SAFETY: within the mapping, where the caller has nothing.
        let _ = unsafe { munmap(self.start.add(bytes).as_ptr().cast(), self.bytes - bytes) };
        self.bytes = bytes;
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: whatever points into it holds it, or a reference count of what holds it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// Lets the descendants of process `ancestor` read and write this process's memory where Yama would
/// forbid it.
pub(crate) fn permit_access_to_descendants_of(ancestor: u32) {
    if let Some(pid) = i32::try_from(ancestor).ok().and_then(Pid::from_raw) {
        // EINVAL where there is no Yama: then nothing forbids it.
        let _ = set_ptracer(PTracer::ProcessID(pid));
    }
}

/// Copies from another process's memory. Returns how many bytes were copied, which may be fewer
/// than asked.
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
    // SAFETY: the caller's promise covers the local vector; the remote one is checked by the
    // system.
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
    // SAFETY: the caller's promise covers the local vector, which is only read; the remote one is
    // checked by the system.
    result(unsafe { libc::process_vm_writev(pid as libc::pid_t, &local, 1, &remote, 1, 0) })
}

fn result(copied: isize) -> io::Result<usize> {
    usize::try_from(copied).map_err(|_| io::Error::last_os_error())
}

/// Whether an error means that the system forbids or lacks the call, rather than that the memory is
/// not there.
pub(crate) fn forbidden(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS)
    )
}

/// Whether an error means that there is no such process any more.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn a_file_that_the_program_has_opened_in_our_place_is_left_alone() {
        let made = || memfd_create("ferrite-test", MemfdFlags::CLOEXEC).expect("a memory file");
        let (ours, theirs) = (made(), made());
        rustix::io::pwrite(&theirs, &[7; 4096], 0).expect("room");
        // As after close and open: our descriptor's number is that of another file.
        let lost = File {
            identity: File::new(ours.as_fd()).expect("a descriptor").identity,
            fd: theirs.try_clone().expect("a descriptor"),
        };
        lost.give_back(0, 4096);
        let mut found = [0; 4096];
        assert_eq!(rustix::io::pread(&theirs, &mut found, 0), Ok(4096));
        assert_eq!(found, [7; 4096]);
        let mapping = Mapping::reserve(4096).expect("address space");
        assert!(mapping.show(0, &lost, 0, 4096).is_err());
    }
}
