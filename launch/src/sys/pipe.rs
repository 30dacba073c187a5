//! Signals through a pipe, where there is no signalfd: handlers write to it what they are told.

use super::linux::{Received, named, set_of};
use super::signals;
use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicI32, Ordering};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};

/// The descriptor that handlers write to. Relaxed accesses: this process has one thread, and its
/// handlers run on it.
static WRITE_TO: AtomicI32 = AtomicI32::new(NONE);

const NONE: i32 = -1;

/// What a handler writes: the signal, and why it came. Fewer than 4096 bytes, which a pipe keeps
/// together.
type Note = [[u8; 4]; 2];

/// The end of the pipe that notes are read from.
pub(super) fn open() -> io::Result<OwnedFd> {
    let made = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
    let (from, to) = made.map_err(|e| named("signalfd, and pipe2 in its place", e.into()))?;
    WRITE_TO.store(to.into_raw_fd(), Ordering::Relaxed);
    Ok(from)
}

/// Whether this process has such a pipe.
pub(super) fn is_open() -> bool {
    WRITE_TO.load(Ordering::Relaxed) != NONE
}

/// Has these signals noted, and unblocks them.
#[allow(unsafe_code)]
pub(super) fn note(signals: &[i32]) {
    let set = set_of(signals);
    for &signal in signals {
        // SAFETY: a handler that is safe at any time; an action that is all zeros but for what is
        // set. SA_RESTART: calls that wait for descriptors return all the same.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_mask = set;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            libc::sigaction(signal, &action, core::ptr::null_mut());
        }
    }
    // SAFETY: `set` is initialised.
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &set, core::ptr::null_mut()) };
}

#[allow(unsafe_code)]
extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes what it knows of the signal. `write` may be called in a handler;
    // whom it interrupts keeps its errno. A pipe that is full has enough to be read.
    unsafe {
        let errno = *libc::__errno_location();
        let note: Note = [signal.to_ne_bytes(), (*info).si_code.to_ne_bytes()];
        libc::write(
            WRITE_TO.load(Ordering::Relaxed),
            note.as_ptr().cast(),
            size_of::<Note>(),
        );
        *libc::__errno_location() = errno;
    }
}

/// The next signal. `None`: none was noted.
pub(super) fn next(from: &OwnedFd) -> Option<Received> {
    let mut note: Note = Default::default();
    let length = rustix::io::retry_on_intr(|| rustix::io::read(from, note.as_flattened_mut()));
    let [signal, code] = note.map(i32::from_ne_bytes);
    (length == Ok(size_of::<Note>())).then_some(Received {
        signal,
        terminal: code == libc::SI_KERNEL,
    })
}

/// In a new child: the pipe is the parent's. Signals have their default actions again, and are
/// blocked.
#[allow(unsafe_code)]
pub(super) fn forget() {
    // Its descriptors close when the child executes its program.
    if WRITE_TO.swap(NONE, Ordering::Relaxed) != NONE {
        for signal in signals::READ {
            // SAFETY: the default action is no handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
