//! Linux: nonblocking sockets, epoll, eventfd.

use core::mem::MaybeUninit;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ferrite_fabric::{RawBuf, RawBufMut};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Resource;

/// An address of an interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) is_loopback: bool,
}

/// Addresses of all interfaces that are up.
pub(crate) fn interfaces() -> io::Result<Vec<Interface>> {
    use nix::net::if_::InterfaceFlags;
    let mut found = Vec::new();
    for interface in nix::ifaddrs::getifaddrs()? {
        if !interface.flags.contains(InterfaceFlags::IFF_UP) {
            continue;
        }
        let Some(address) = interface.address else {
            continue;
        };
        let address = if let Some(v4) = address.as_sockaddr_in() {
            IpAddr::V4(v4.ip())
        } else if let Some(v6) = address.as_sockaddr_in6() {
            IpAddr::V6(v6.ip())
        } else {
            continue;
        };
        found.push(Interface {
            name: interface.interface_name,
            address,
            is_loopback: interface.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        });
    }
    Ok(found)
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Listens on an address; port 0: any port.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(&address)?;
    // Ports of a range come free only minutes after their last connections otherwise. Two listeners
    // still exclude each other.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Begins to connect. The socket is writable when that has succeeded or failed.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(&address)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(e) => Err(e.into()),
    }
}

fn socket(address: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(
        family,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

/// How often the kernel asks a peer that says nothing, once it has been silent for as long.
const PROBE: Duration = Duration::from_secs(1);

/// Sets a connection up for frames.
pub(crate) fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_tcp_keepidle(socket, PROBE)?;
    sockopt::set_tcp_keepintvl(socket, PROBE)?;
    // The kernel only asks; the keeper decides, by `silence`.
    sockopt::set_tcp_keepcnt(socket, 127)?;
    sockopt::set_socket_keepalive(socket, true)?;
    if let (Ok(own), Ok(peer)) = (socket.local_addr(), socket.peer_addr())
        && own.ip() == peer.ip()
    {
        sockopt::set_socket_send_buffer_size(socket, WITHIN)?;
    }
    // Repeats of what was lost come ever more rarely otherwise, and a link that is up again stays
    // unused for seconds. The second serves kernels without the first (6.15), and short streams
    // only.
    set_option(socket, TCP_RTO_MAX_MS, PROBE.as_millis() as i32);
    set_option(socket, libc::TCP_THIN_LINEAR_TIMEOUTS, 1);
    Ok(())
}

/// Bytes under way between two processes of one host. What is under way there lies in the
/// processor's cache, if there is not too much of it: with the kernel's own choice, a few
/// megabytes, a message of 1 MiB took twice as long.
const WITHIN: usize = 512 << 10;

/// From linux/tcp.h; libc lacks it.
const TCP_RTO_MAX_MS: libc::c_int = 44;

/// Sets an option without which a connection works as well, but recovers later.
fn set_option(socket: &TcpStream, option: libc::c_int, value: libc::c_int) {
    // SAFETY: an option of type int.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
}

/// How long nothing at all has come from the peer's kernel, not even an acknowledgement; `None` if
/// the connection is over.
pub(crate) fn silence(socket: &TcpStream) -> Option<Duration> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes; zeros are a valid `tcp_info`.
    let info = unsafe {
        let got = libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut len,
        );
        if got != 0 {
            return None;
        }
        info.assume_init()
    };
    let since = info.tcpi_last_ack_recv.min(info.tcpi_last_data_recv);
    Some(Duration::from_millis(since.into()))
}

/// Writes buffers to a socket, as far as it takes them.
///
/// # Safety
/// The buffers are readable.
#[inline]
pub(crate) unsafe fn send(socket: &TcpStream, buffers: &[RawBuf]) -> io::Result<usize> {
    const NONE: libc::iovec = libc::iovec {
        iov_base: core::ptr::null_mut(),
        iov_len: 0,
    };
    let mut pieces = [NONE; crate::queue::PIECES];
    let count = buffers.len().min(pieces.len());
    for (piece, buffer) in pieces.iter_mut().zip(buffers) {
        piece.iov_base = buffer.ptr.cast_mut().cast();
        piece.iov_len = buffer.len;
    }
    loop {
        // SAFETY: the caller's promise; the kernel only reads. Zeros are a valid message header.
        let sent = unsafe {
            if count == 1 {
                libc::send(
                    socket.as_raw_fd(),
                    pieces[0].iov_base,
                    pieces[0].iov_len,
                    libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
                )
            } else {
                let mut message: libc::msghdr = core::mem::zeroed();
                message.msg_iov = pieces.as_mut_ptr();
                message.msg_iovlen = count;
                libc::sendmsg(
                    socket.as_raw_fd(),
                    &message,
                    libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
                )
            }
        };
        if sent >= 0 {
            return Ok(sent as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Receives into one buffer, or into two, the first first. 0: the peer has closed.
///
/// # Safety
/// The buffers are writable.
#[inline]
pub(crate) unsafe fn receive(
    socket: &TcpStream,
    first: RawBufMut,
    second: RawBufMut,
) -> io::Result<usize> {
    loop {
        // SAFETY: the caller's promise.
        let got = unsafe {
            if first.len == 0 {
                libc::recv(
                    socket.as_raw_fd(),
                    second.ptr.cast(),
                    second.len,
                    libc::MSG_DONTWAIT,
                )
            } else {
                let mut pieces = [first, second].map(|buffer| libc::iovec {
                    iov_base: buffer.ptr.cast(),
                    iov_len: buffer.len,
                });
                let mut message: libc::msghdr = core::mem::zeroed();
                message.msg_iov = pieces.as_mut_ptr();
                message.msg_iovlen = 2;
                libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_DONTWAIT)
            }
        };
        if got >= 0 {
            return Ok(got as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// What to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
    ReadWrite,
    /// Read, once, until the interest is renewed.
    ReadOnce,
    Nothing,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        use epoll::EventFlags as F;
        match self {
            Interest::Read => F::IN,
            Interest::Write => F::OUT,
            Interest::ReadWrite => F::IN | F::OUT,
            Interest::ReadOnce => F::IN | F::ONESHOT,
            Interest::Nothing => F::ONESHOT,
        }
    }
}

/// A set of descriptors to wait for.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

/// A descriptor's key, and whether it can be read (or is over) and written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) key: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        Ok(Poller(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    pub(crate) fn add(&self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(key);
        Ok(epoll::add(&self.0, fd, data, interest.flags())?)
    }

    pub(crate) fn change(&self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        let data = epoll::EventData::new_u64(key);
        Ok(epoll::modify(&self.0, fd, data, interest.flags())?)
    }

    pub(crate) fn remove(&self, fd: impl AsFd) {
        // A descriptor that is not in the set needs no removal.
        let _ = epoll::delete(&self.0, fd);
    }

    /// What is ready now.
    pub(crate) fn look(&self, ready: &mut Vec<Ready>) {
        ready.clear();
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 64];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // An interrupted look has seen nothing; another follows.
        if let Ok((events, _)) = epoll::wait(&self.0, &mut events, Some(&now)) {
            for event in events.iter() {
                // Copied: the event is packed.
                let (data, flags) = (event.data, event.flags);
                use epoll::EventFlags as F;
                ready.push(Ready {
                    key: data.u64(),
                    readable: flags.intersects(F::IN | F::HUP | F::ERR),
                    writable: flags.intersects(F::OUT | F::ERR),
                });
            }
        }
    }

    /// Waits until something is ready, to the microsecond.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos() as _,
        });
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        // Interrupted by a signal: the caller looks, and waits again.
        let _ = poll(&mut fds, timeout.as_ref());
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Wakes whoever waits for it.
#[derive(Debug)]
pub(crate) struct Doorbell {
    bell: OwnedFd,
    /// Where to ring, if the bell is a pipe's end.
    rope: Option<OwnedFd>,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Doorbell> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        if let Ok(bell) = eventfd(0, flags) {
            return Ok(Doorbell { bell, rope: None });
        }
        // A kernel or a filter of system calls without it. Whatever else it was, a pipe meets with
        // as well.
        let (bell, rope) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let rope = Some(rope);
        Ok(Doorbell { bell, rope })
    }

    pub(crate) fn ring(&self) {
        let rope = self.rope.as_ref().unwrap_or(&self.bell);
        // Full: it has been rung often enough.
        let _ = rustix::io::write(rope, &1u64.to_ne_bytes());
    }

    pub(crate) fn reset(&self) {
        // Empty: it is silent already. A pipe may hold several rings.
        while rustix::io::read(&self.bell, &mut [0; 8]).is_ok() && self.rope.is_some() {}
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Waits until a socket can be read, or the time is over.
pub(crate) fn wait_readable(sockets: &[&TcpStream], timeout: Duration) {
    let mut fds: Vec<PollFd<'_>> = sockets
        .iter()
        .map(|socket| PollFd::new(*socket, PollFlags::IN))
        .collect();
    let timeout = Timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: timeout.subsec_nanos() as _,
    };
    // Interrupted by a signal: the caller looks, and waits again.
    let _ = poll(&mut fds, Some(&timeout));
}

/// What a thread of ours needs that the program's have not: no signals, which are the program's,
/// and timers that keep their time.
pub(crate) fn settle_thread() {
    // SAFETY: a set that is filled before it is used; this thread's own mask and slack.
    unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), core::ptr::null_mut());
        libc::prctl(libc::PR_SET_TIMERSLACK, 1000);
    }
}

/// Raises this process's limit of descriptors so that there is room for `more` of them, as far as
/// it may be raised.
pub(crate) fn make_room_for_descriptors(more: u64) {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = limit.current.map(|current| current.max(more + 256));
    let wanted = match (wanted, limit.maximum) {
        (Some(wanted), Some(maximum)) => Some(wanted.min(maximum)),
        (wanted, _) => wanted,
    };
    if wanted != limit.current {
        let raised = rustix::process::Rlimit {
            current: wanted,
            maximum: limit.maximum,
        };
        // Refused: connections that find no room say so.
        let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    }
}

/// What the system has too little of.
pub(crate) enum Lack {
    /// Of this process.
    Descriptors,
    DescriptorsOfAll,
    /// Descriptors of this user that are waited for.
    Watches,
    Memory,
}

/// What an error says is lacking; `None`: nothing.
pub(crate) fn lack(e: &io::Error) -> Option<Lack> {
    match e.raw_os_error()? {
        libc::EMFILE => Some(Lack::Descriptors),
        libc::ENFILE => Some(Lack::DescriptorsOfAll),
        libc::ENOSPC => Some(Lack::Watches),
        libc::ENOBUFS | libc::ENOMEM => Some(Lack::Memory),
        _ => None,
    }
}

/// Whether an error says that a buffer is not memory of this process.
pub(crate) fn is_bad_memory(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::EFAULT)
}

/// How many descriptors this process may have at most, whatever it does; `None`: as many as it
/// likes.
pub(crate) fn limit_of_descriptors() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).maximum
}

/// Random bits.
pub(crate) fn random() -> io::Result<[u8; 32]> {
    let mut bits = [0; 32];
    let mut at = 0;
    while at < bits.len() {
        // SAFETY: the rest of the array.
        let got = unsafe { libc::getrandom(bits[at..].as_mut_ptr().cast(), bits.len() - at, 0) };
        match got {
            got if got > 0 => at += got as usize,
            _ => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                // A kernel or a filter of system calls without it has the device.
                _ => {
                    File::open("/dev/urandom")?.read_exact(&mut bits)?;
                    return Ok(bits);
                }
            },
        }
    }
    Ok(bits)
}

/// This host's name.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
