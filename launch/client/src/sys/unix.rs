//! Sockets, descriptors and exit on Unix.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketType,
};
use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Why an inherited descriptor is not the socket to the launcher.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotASocket {
    Closed,
    OtherKind,
    TakenBefore,
}

impl NotASocket {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            NotASocket::Closed => "names a descriptor that is not open",
            NotASocket::OtherKind => "names a descriptor that is not a socket of mpiexec's",
            NotASocket::TakenBefore => "has been used by this process before",
        }
    }
}

/// Whether this process has made an `OwnedFd` of the inherited descriptor.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes possession of a descriptor that the environment names, and closes it on exec from now on.
/// `unix`: it must be a Unix socket.
#[allow(unsafe_code)]
pub(crate) fn take_inherited_socket(number: i32, unix: bool) -> Result<OwnedFd, NotASocket> {
    // SAFETY: the borrow ends before this function does. If the number is not open, calls on it
    // fail with EBADF; if it is something else's, the calls below only look at it.
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    let domain = match rustix::net::sockopt::socket_domain(inherited) {
        Err(Errno::BADF) => return Err(NotASocket::Closed),
        Err(_) => return Err(NotASocket::OtherKind),
        Ok(domain) => domain,
    };
    let kind = rustix::net::sockopt::socket_type(inherited);
    if (unix && domain != AddressFamily::UNIX) || kind != Ok(SocketType::STREAM) {
        return Err(NotASocket::OtherKind);
    }
    fcntl_setfd(inherited, FdFlags::CLOEXEC).map_err(|_| NotASocket::Closed)?;
    // Relaxed: the flag orders nothing but itself.
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(NotASocket::TakenBefore);
    }
    // SAFETY: mpiexec opened the descriptor for this process, and `TAKEN` proves that nothing here
    // owns it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends everything; a peer that is gone is an error, not a signal.
pub(crate) fn send_all(socket: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = retry_on_intr(|| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Receives some bytes, and the descriptor that came with them. 0 bytes: the peer has closed.
pub(crate) fn receive(socket: &OwnedFd, into: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        let mut slices = [IoSliceMut::new(into)];
        rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((received.bytes, descriptor))
}

/// Waits until there is something to receive, or the peer has closed. `false`: the time is up.
pub(crate) fn readable_within(socket: &OwnedFd, time: Duration) -> io::Result<bool> {
    Ok(wait(socket, PollFlags::IN, time)?)
}

/// Waits until the peer has closed, but not longer than this.
pub(crate) fn wait_for_hangup(socket: &OwnedFd, time: Duration) {
    // HUP is reported without being asked for. Whether it came or the time is up makes no
    // difference to the caller.
    let _ = wait(socket, PollFlags::empty(), time);
}

fn wait(socket: &OwnedFd, flags: PollFlags, time: Duration) -> Result<bool, Errno> {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as _,
            tv_nsec: left.subsec_nanos() as _,
        };
        let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), flags)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Random bytes that nobody can guess, no more than 256.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256, "the kernel gives up to 256 bytes at once") };
    let mut bytes = [0; N];
    let got = retry_on_intr(|| {
        rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
    });
    if got != Ok(N) {
        // A kernel or a filter of system calls without it has the device.
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    }
    Ok(bytes)
}

/// Writes to standard error, below any buffer or lock of this process.
pub(crate) fn complain(text: &str) {
    // With standard error closed there is no one to tell.
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
}

/// Ends the process at once with the low 8 bits of the code, or with 1 if the code is not 0 but
/// they are.
#[allow(unsafe_code)]
pub(crate) fn exit_now(code: i32) -> ! {
    let status = if code != 0 && code & 0xff == 0 {
        1
    } else {
        code & 0xff
    };
    // SAFETY: `_exit` has no precondition; exit handlers are skipped on purpose, the process may be
    // in any state.
    unsafe { libc::_exit(status) }
}
