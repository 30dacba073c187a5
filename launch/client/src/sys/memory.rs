//! Memory files, their identity, and the ways to hand them from process to process.

use super::unix::{readable_within, receive};
use core::mem::MaybeUninit;
use rustix::fs::{MemfdFlags, Mode, OFlags, fstat};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An empty memory file with this name, which proves nothing but tells it apart: no other file may
/// have it at the same time. The error names the call that failed.
pub fn memory_file(name: &str) -> Result<OwnedFd, String> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut why = match rustix::fs::memfd_create(name, flags) {
        Ok(file) => return Ok(file),
        Err(e) => vec![format!("memfd_create: {e}")],
    };
    // A kernel or a filter of system calls without them: a file that nobody else can find does as
    // well.
    let temporary = std::env::var_os("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let folders = [PathBuf::from("/dev/shm"), temporary.into()];
    for folder in folders {
        match unlinked_file(&folder, name) {
            Ok(file) => return Ok(file),
            Err(e) => why.push(format!("a file in {}: {e}", folder.display())),
        }
    }
    Err(why.join("; "))
}

fn unlinked_file(folder: &Path, name: &str) -> Result<OwnedFd, Errno> {
    let path = folder.join(name);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::unlink(&path)?;
    Ok(file)
}

/// Device and inode number of an open file.
pub(crate) fn identity(file: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Whether an open file, or that of another process, once had this name and stands in no folder.
fn is_called(link: &Path, name: &str) -> bool {
    let Ok(target) = std::fs::read_link(link) else {
        return false;
    };
    let target = target.to_string_lossy();
    let file = target
        .strip_suffix(" (deleted)")
        .map(|path| path.rsplit(['/', ':']).next().unwrap_or(path));
    file == Some(name)
}

/// Whether an open file is the memory file of this name. `None`: there is no /proc to tell.
pub(crate) fn is_memory_file(file: &OwnedFd, name: &str) -> Option<bool> {
    let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    std::fs::symlink_metadata(&link)
        .is_ok()
        .then(|| is_called(&link, name))
}

/// Opens the memory file of this name that process `pid` has open as `number`. Looks before it
/// opens: in another namespace of process ids these are something else, and to open a pipe or a
/// device has consequences.
pub(crate) fn open_memory_file_of(pid: u32, number: i32, name: &str) -> Option<OwnedFd> {
    let link = PathBuf::from(format!("/proc/{pid}/fd/{number}"));
    if !is_called(&link, name) {
        return None;
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::open(&link, flags, Mode::empty()).ok()
}

/// The name of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// In the network namespace.
    Abstract(String),
    /// In a folder.
    Path(PathBuf),
}

impl Name {
    fn address(&self) -> Result<SocketAddrUnix, Errno> {
        match self {
            Name::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            Name::Path(path) => SocketAddrUnix::new(path),
        }
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Listens under a name, without ever blocking.
pub(crate) fn listen(name: &Name, backlog: i32) -> io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &name.address()?)?;
    rustix::net::listen(&socket, backlog)?;
    Ok(socket)
}

/// The next connection, which does not block either; `None`: nobody is at the door now.
pub(crate) fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    retry_on_intr(|| rustix::net::accept_with(listener, flags)).ok()
}

/// Connects. A door with a long queue is tried again until the time is up.
pub(crate) fn connect(name: &Name, until: Instant) -> io::Result<OwnedFd> {
    const AGAIN: Duration = Duration::from_millis(2);
    let socket = socket()?;
    let address = name.address()?;
    loop {
        match retry_on_intr(|| rustix::net::connect(&socket, &address)) {
            Ok(()) => return Ok(socket),
            Err(Errno::AGAIN) if Instant::now() < until => std::thread::sleep(AGAIN),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Sends bytes and a descriptor as one message, if the socket takes it at once.
pub(crate) fn send_with(socket: &OwnedFd, bytes: &[u8], descriptor: &OwnedFd) -> bool {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let slices = [IoSlice::new(bytes)];
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = retry_on_intr(|| rustix::net::sendmsg(socket, &slices, &mut control, flags));
    sent == Ok(bytes.len())
}

/// Receives exactly this many bytes, and the descriptor that came with them.
pub(crate) fn receive_exactly(
    socket: &OwnedFd,
    into: &mut [u8],
    until: Instant,
) -> io::Result<Option<OwnedFd>> {
    let mut descriptor = None;
    let mut have = 0;
    while have < into.len() {
        if !readable_within(socket, until.saturating_duration_since(Instant::now()))? {
            return Err(Errno::TIMEDOUT.into());
        }
        match receive(socket, &mut into[have..]) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((count, with)) => {
                have += count;
                descriptor = with.or(descriptor);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(descriptor)
}

/// Waits until one of the sockets has something to read, or is at its end, or the time is up.
pub(crate) fn wait_for_any<'a>(sockets: impl Iterator<Item = &'a OwnedFd>, until: Instant) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds: Vec<PollFd<'_>> = sockets
        .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
        .collect();
    let left = until.saturating_duration_since(Instant::now());
    let timeout = Timespec {
        tv_sec: left.as_secs() as _,
        tv_nsec: left.subsec_nanos() as _,
    };
    // However it ends, the caller looks at all of them.
    let _ = poll(&mut fds, Some(&timeout));
}
