//! Linux.

use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, getrlimit};

/// Whether the memory of a node's ranks can be a file without a name.
pub(crate) fn memory_file() -> Result<(), String> {
    const BYTES: usize = 4096;
    let file = memfd_create("ferrite-info", MemfdFlags::CLOEXEC)
        .map_err(|error| format!("memfd_create: {error}"))?;
    let longest = getrlimit(Resource::Fsize).current;
    if longest.is_some_and(|longest| longest < BYTES as u64) {
        // Trying it out would end this process.
        return Err(String::from("the length of files is limited (ulimit -f)"));
    }
    ftruncate(&file, BYTES as u64).map_err(|error| format!("ftruncate: {error}"))?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice, unmapped below and not used in
    // between.
    unsafe {
        let memory = mmap(
            std::ptr::null_mut(),
            BYTES,
            protection,
            MapFlags::SHARED,
            &file,
            0,
        )
        .map_err(|error| format!("mmap: {error}"))?;
        munmap(memory, BYTES).map_err(|error| format!("munmap: {error}"))
    }
}

/// Whether a sleeper can have every other process's stores become visible, so that a sender needs
/// no fence.
pub(crate) fn membarrier() -> Result<(), String> {
    // SAFETY: a query, which touches no memory of this process.
    let commands = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_QUERY, 0, 0) };
    if commands < 0 {
        return Err(format!("membarrier: {}", io::Error::last_os_error()));
    }
    let expedited = i64::from(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    match commands & expedited {
        0 => Err(String::from("membarrier: the kernel is too old")),
        _ => Ok(()),
    }
}

/// Whether processes can read and write each other's memory: tried between this process and a child
/// of its own, which permits it to this one's descendants as ranks do to their launcher's.
pub(crate) fn cross_memory_attach() -> Result<(), String> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| format!("pipe: {error}"));
    let (report, told) = pipe()?;
    let mut word = 0u64;
    let address = &raw mut word as usize;
    // SAFETY: asks for this process's own number.
    let parent = unsafe { libc::getpid() };
    // SAFETY: permits access to this process's memory by its descendants; refusal means that nobody
    // needs permission.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, parent, 0, 0, 0) };
    // SAFETY: this program has one thread, and the child does nothing but system calls.
    let child = unsafe { libc::fork() };
    match child {
        -1 => return Err(format!("fork: {}", io::Error::last_os_error())),
        0 => {
            let error = child_exchanges(parent, address);
            // SAFETY: writes four bytes from the stack, then ends the child without running
            // anything of the parent's.
            unsafe {
                libc::write(
                    told.as_raw_fd(),
                    (&raw const error).cast(),
                    size_of::<i32>(),
                );
                libc::_exit(0);
            }
        }
        _ => drop(told),
    }
    let mut error = [0; size_of::<i32>()];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(&report, &mut error));
    // SAFETY: waits for the child made above, which ends by itself.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    // SAFETY: `word` is alive; the child, which may have written it, has ended.
    let word = unsafe { std::ptr::read_volatile(address as *const u64) };
    match (read, i32::from_ne_bytes(error)) {
        (Ok(4), 0) if word == CHANGED => Ok(()),
        (Ok(4), 0) => Err(String::from("process_vm_writev wrote elsewhere")),
        (Ok(4), code) => Err(format!(
            "process_vm_readv: {}",
            io::Error::from_raw_os_error(code)
        )),
        _ => Err(String::from("the probe's child ended early")),
    }
}

/// What the child leaves in its parent's word.
const CHANGED: u64 = 0x6665_7272_6974_6521;

/// Reads the parent's word and writes another value to it. Returns 0 or the system's error number.
/// Makes system calls only.
fn child_exchanges(parent: i32, address: usize) -> i32 {
    let mut before = 1u64;
    let mut after = CHANGED;
    let span = |address: *mut u64| libc::iovec {
        iov_base: address.cast(),
        iov_len: size_of::<u64>(),
    };
    let remote = span(address as *mut u64);
    // SAFETY: reads 8 bytes of the parent, whose word is alive while it waits for the child, into
    // `before`.
    let read = unsafe { libc::process_vm_readv(parent, &span(&raw mut before), 1, &remote, 1, 0) };
    if read != 8 {
        return last_error();
    }
    if before != 0 {
        return libc::EIO;
    }
    // SAFETY: writes 8 bytes from `after` to the parent's word; the parent waits.
    let written =
        unsafe { libc::process_vm_writev(parent, &span(&raw mut after), 1, &remote, 1, 0) };
    match written {
        8 => 0,
        _ => last_error(),
    }
}

fn last_error() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}
