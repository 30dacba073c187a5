//! What the one event loop of a process waits for: descriptors, by what they are.

use crate::sys;
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::time::{Duration, Instant};

/// Sources of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Guard,
    /// mpiexec's own standard input.
    Input,
    /// mpiexec's own standard output or error can be written.
    Destination(usize),
    /// An agent's connection upwards, to read or to write.
    Parent,
    ParentOut,
    /// A rank's output.
    Stream(usize),
    /// A rank's socket.
    Channel(usize),
    /// An MPI program behind a wrapper.
    Program(usize),
    /// The standard input of a rank can be written.
    RankInput,
    /// A connection downwards, to read or to write.
    Child(usize),
    ChildOut(usize),
    /// Its ssh's standard error.
    ChildErrors(usize),
}

impl Source {
    fn number(self) -> epoll::EventData {
        let (kind, index) = match self {
            Source::Signals => (0, 0),
            Source::Guard => (1, 0),
            Source::Input => (2, 0),
            Source::Destination(index) => (3, index),
            Source::Parent => (4, 0),
            Source::ParentOut => (5, 0),
            Source::Stream(index) => (6, index),
            Source::Channel(index) => (7, index),
            Source::Program(index) => (8, index),
            Source::RankInput => (9, 0),
            Source::Child(index) => (10, index),
            Source::ChildOut(index) => (11, index),
            Source::ChildErrors(index) => (12, index),
        };
        epoll::EventData::new_u64(kind << 32 | index as u64)
    }

    fn of(data: epoll::EventData) -> Source {
        let index = data.u64() as u32 as usize;
        match data.u64() >> 32 {
            0 => Source::Signals,
            1 => Source::Guard,
            2 => Source::Input,
            3 => Source::Destination(index),
            4 => Source::Parent,
            5 => Source::ParentOut,
            6 => Source::Stream(index),
            7 => Source::Channel(index),
            8 => Source::Program(index),
            9 => Source::RankInput,
            10 => Source::Child(index),
            11 => Source::ChildOut(index),
            _ => Source::ChildErrors(index),
        }
    }
}

/// The set of descriptors that are watched. One that is closed is watched no more.
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        let made = epoll::create(epoll::CreateFlags::CLOEXEC);
        let epoll = made.map_err(|e| sys::named("epoll_create1", e.into()))?;
        Ok(Poller { epoll })
    }

    /// Watches until something can be read.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, source.number(), epoll::EventFlags::IN)
    }

    /// Watches until something can be written.
    pub(crate) fn watch_room(&self, fd: BorrowedFd<'_>, source: Source) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, source.number(), epoll::EventFlags::OUT)
    }

    /// No error if it is not watched.
    pub(crate) fn forget(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until this time (`None`: for ever) or until something happens.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Vec<Source>> {
        let timeout = until.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            // epoll counts milliseconds: rounding up, or it would return too early again and again.
            let left = match left.is_zero() {
                true => left,
                false => left.saturating_add(Duration::from_millis(1)),
            };
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos() as _,
            }
        });
        let mut events = Vec::with_capacity(64);
        let buffer = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(sys::named("epoll_wait", e.into())),
        }
        Ok(events.iter().map(|event| Source::of(event.data)).collect())
    }
}
