//! Linux: affinity, topology, cross-memory attach, sizes of sockets' buffers.

use std::fs;
use std::io;
use std::net::TcpStream;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use rustix::net::sockopt;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this thread may run on, ascending.
pub(crate) fn affinity() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return vec![0];
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect()
}

/// Runs the calling thread on `core`, if it may.
pub(crate) fn pin(core: usize) {
    if core < CpuSet::MAX_CPU {
        let mut set = CpuSet::new();
        set.set(core);
        // Best effort: see `Cores::pin`.
        let _ = sched_setaffinity(None, &set);
    }
}

/// The hardware threads of the core that `core` belongs to; only `core` where the system does not
/// say.
pub(crate) fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    fs::read_to_string(path).map_or_else(|_| vec![core], |list| ranges(list.trim()))
}

/// `0,4-6` as numbers.
fn ranges(list: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            numbers.extend(first..=last);
        }
    }
    numbers
}

/// Fills `target` from the memory of `process` at `address`.
pub(crate) fn read_process(process: u32, address: usize, target: &mut [u8]) -> io::Result<()> {
    let bytes = target.len();
    let process = Pid::from_raw(i32::try_from(process).map_err(io::Error::other)?);
    let remote = RemoteIoVec {
        base: address,
        len: bytes,
    };
    match process_vm_readv(process, &mut [io::IoSliceMut::new(target)], &[remote])? {
        moved if moved == bytes => Ok(()),
        moved => Err(io::Error::other(format!(
            "{moved} of {bytes} bytes arrived"
        ))),
    }
}

/// Asks for buffers of `bytes` bytes on both sides of a socket; the system gives what it allows.
pub(crate) fn set_buffers(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    sockopt::set_socket_send_buffer_size(stream, bytes)?;
    sockopt::set_socket_recv_buffer_size(stream, bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores() {
        assert_eq!(ranges("0"), [0]);
        assert_eq!(ranges("0,4-6"), [0, 4, 5, 6]);
        assert!(ranges("").is_empty());
    }

    #[test]
    fn this_thread_runs_somewhere() {
        let cores = affinity();
        assert!(!cores.is_empty());
        assert!(siblings(cores[0]).contains(&cores[0]));
    }

    #[test]
    fn memory_of_a_process_is_read_or_refused() {
        let source = [7u8; 100];
        let mut target = [0u8; 100];
        match read_process(std::process::id(), source.as_ptr().addr(), &mut target) {
            Ok(()) => assert_eq!(target, source),
            Err(error) => assert!(error.raw_os_error().is_some(), "{error}"),
        }
        assert!(read_process(std::process::id(), 0, &mut target).is_err());
    }
}
