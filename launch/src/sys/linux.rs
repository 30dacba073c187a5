//! Signals and fork on Linux.
//!
//! mpiexec has one thread per process, ever: that is what makes [`fork`], and the parent-death
//! signal of [`Become`] (which is the death of the *thread* that forked), mean what they say.

use super::{pipe, signals};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// The signal mask that mpiexec was started with, which its ranks get back.
#[derive(Clone, Copy)]
pub(crate) struct Mask(libc::sigset_t);

/// Signals that are blocked and read as events instead.
pub(crate) struct SignalEvents {
    fd: OwnedFd,
    /// The descriptor is not the kernel's, but a pipe to which handlers write.
    piped: bool,
}

/// A signal that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Its number.
    pub(crate) signal: i32,
    /// Sent by the kernel, for a terminal: every process of the foreground group has it as well.
    /// Otherwise a process sent it to this one.
    pub(crate) terminal: bool,
}

/// Blocks these signals in this process, SIGCHLD among them, and sees to it that ended children
/// wait to be reaped even if whoever started mpiexec ignores SIGCHLD. [`Become`] gives the returned
/// mask to children.
#[allow(unsafe_code)]
pub(crate) fn block(signals: &[i32]) -> Mask {
    let set = set_of(signals);
    let mut before = MaybeUninit::uninit();
    // SAFETY: both pointers are to sets of the right type, `set` initialised; SIG_BLOCK with such a
    // set cannot fail, so `before` has been written. The default action is no handler.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_BLOCK, &set, before.as_mut_ptr());
        Mask(before.assume_init())
    }
}

#[allow(unsafe_code)]
pub(super) fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; sigaddset changes an initialised one and refuses bad
    // numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Takes a blocked signal's default action now: stops until continued, or dies.
#[allow(unsafe_code)]
pub(crate) fn take_default_action(signal: i32) {
    let set = set_of(&[signal]);
    let noted = pipe::is_open();
    // SAFETY: while the signal is unblocked it has its default action, so no code of ours runs;
    // `set` is initialised.
    unsafe {
        if noted {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::raise(signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &set, core::ptr::null_mut());
        libc::sigprocmask(libc::SIG_BLOCK, &set, core::ptr::null_mut());
    }
    if noted {
        pipe::note(&[signal]);
    }
}

impl SignalEvents {
    /// Reads these signals, which the caller has blocked. Reading does not wait.
    #[allow(unsafe_code)]
    pub(crate) fn of(signals: &[i32]) -> io::Result<SignalEvents> {
        let set = set_of(signals);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, flags) };
        if fd < 0 {
            // A kernel or a filter of system calls without it. Whatever else it was, a pipe meets
            // with as well.
            let fd = pipe::open()?;
            pipe::note(signals);
            return Ok(SignalEvents { fd, piped: true });
        }
        // SAFETY: a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(SignalEvents { fd, piped: false })
    }

    /// The next signal, lowest number first. `None`: none is pending.
    pub(crate) fn next(&self) -> Option<Received> {
        if self.piped {
            return pipe::next(&self.fd);
        }
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut info)).ok()?;
        if length != info.len() {
            return None;
        }
        // struct signalfd_siginfo begins with ssi_signo, ssi_errno, ssi_code: 32 bits each.
        let word =
            |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
        Some(Received {
            signal: word(0),
            terminal: word(8) == libc::SI_KERNEL,
        })
    }
}

impl AsFd for SignalEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An error that names the call which a user would otherwise have to guess.
pub(crate) fn named(call: &str, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{call}: {e}"))
}

/// Which side of a fork this is.
pub(crate) enum Fork {
    Parent(Pid),
    Child,
}

/// Splits this process in two.
#[allow(unsafe_code)]
pub(crate) fn fork() -> io::Result<Fork> {
    // A child must not write to the pipe of its parent.
    let noted = pipe::is_open();
    let set = set_of(&signals::READ);
    let change = |how| {
        if noted {
            // SAFETY: `set` is initialised.
            unsafe { libc::sigprocmask(how, &set, core::ptr::null_mut()) };
        }
    };
    change(libc::SIG_BLOCK);
    // SAFETY: this process has a single thread, so the child may run any code.
    let forked = unsafe { libc::fork() };
    if forked == 0 {
        pipe::forget();
    } else {
        change(libc::SIG_UNBLOCK);
    }
    match forked {
        0 => Ok(Fork::Child),
        pid => Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .map(Fork::Parent)
            .ok_or_else(io::Error::last_os_error),
    }
}

/// What a child of the launcher becomes before it executes its program.
pub(crate) struct Become {
    /// Signal mask of the program.
    pub(crate) mask: Mask,
    /// The process that forked this one.
    pub(crate) launcher: Pid,
    /// Descriptor limit of the program.
    pub(crate) descriptors: Rlimit,
    /// Processors that the program may use; `None`: no change.
    pub(crate) cpus: Option<CpuSet>,
}

impl Become {
    /// To be called in the child. `inherit` stays open, under its number, when the program is
    /// executed.
    #[allow(unsafe_code)]
    pub(crate) fn it(&self, inherit: &OwnedFd) -> io::Result<()> {
        // The kernel kills the rank when its parent dies, whatever killed that; if the parent died
        // before this call, the rank has another one already. Where that is refused, the guard has
        // to do.
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        if rustix::process::getppid() != Some(self.launcher) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        fcntl_setfd(inherit, FdFlags::empty())?;
        rustix::process::setrlimit(Resource::Nofile, self.descriptors)?;
        if let Some(cpus) = &self.cpus {
            rustix::thread::sched_setaffinity(None, cpus)?;
        }
        restore(&self.mask);
        Ok(())
    }
}

/// Gives this process the signal mask that mpiexec was started with.
#[allow(unsafe_code)]
pub(crate) fn restore(mask: &Mask) {
    // SAFETY: the mask came from `block`; a child has no handlers, see `fork`.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &mask.0, core::ptr::null_mut()) };
}

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    /// Number of the interface: a link-local address means nothing without it.
    pub(crate) scope: u32,
    pub(crate) up: bool,
    pub(crate) loopback: bool,
}

/// All addresses of this machine. Asks no one but the kernel.
#[allow(unsafe_code)]
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    let mut list = core::ptr::null_mut();
    // SAFETY: `list` receives a list that is freed below.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut at = list;
    // SAFETY: `at` walks the list, which lives until it is freed, after the loop. Each name is a C
    // string, and each address, where there is one, of the type that its family says.
    unsafe {
        while let Some(entry) = at.as_ref() {
            let address = match entry.ifa_addr.as_ref().map(|a| i32::from(a.sa_family)) {
                Some(libc::AF_INET) => {
                    let address = &*entry.ifa_addr.cast::<libc::sockaddr_in>();
                    let bits = u32::from_be(address.sin_addr.s_addr);
                    Some((IpAddr::from(Ipv4Addr::from_bits(bits)), 0))
                }
                Some(libc::AF_INET6) => {
                    let address = &*entry.ifa_addr.cast::<libc::sockaddr_in6>();
                    let bytes = address.sin6_addr.s6_addr;
                    Some((IpAddr::from(Ipv6Addr::from(bytes)), address.sin6_scope_id))
                }
                _ => None,
            };
            if let Some((address, scope)) = address {
                found.push(Interface {
                    name: CStr::from_ptr(entry.ifa_name)
                        .to_string_lossy()
                        .into_owned(),
                    address,
                    scope,
                    up: entry.ifa_flags & libc::IFF_UP as u32 != 0,
                    loopback: entry.ifa_flags & libc::IFF_LOOPBACK as u32 != 0,
                });
            }
            at = entry.ifa_next;
        }
        libc::freeifaddrs(list);
    }
    Ok(found)
}

/// Whether a process may read the memory of its descendants (cross-memory attach), as ranks read
/// each other's.
#[allow(unsafe_code)]
pub(crate) fn try_cross_memory_attach() -> io::Result<()> {
    let (mut into, from) = ([0u8; 8], *b"attached");
    match fork()? {
        Fork::Child => loop {
            // SAFETY: `pause` has no precondition.
            unsafe { libc::pause() };
        },
        Fork::Parent(child) => {
            let local = libc::iovec {
                iov_base: into.as_mut_ptr().cast(),
                iov_len: into.len(),
            };
            let remote = libc::iovec {
                iov_base: from.as_ptr().cast_mut().cast(),
                iov_len: from.len(),
            };
            // SAFETY: `local` is writable; the child has a copy of `from` at the same address, and
            // the kernel checks it.
            let count =
                unsafe { libc::process_vm_readv(child.as_raw_pid(), &local, 1, &remote, 1, 0) };
            let result = match count {
                8 if into == from => Ok(()),
                0.. => Err(io::Error::other(
                    "it read something else than what is there",
                )),
                _ => Err(io::Error::last_os_error()),
            };
            let _ = rustix::process::kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
            result
        }
    }
}

/// Ends this process at once, without its parent's exit handlers.
#[allow(unsafe_code)]
pub(crate) fn exit_now(code: u8) -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(code.into()) }
}
