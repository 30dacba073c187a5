//! Progress and waiting: transports are driven, and a process that waits spins, yields or sleeps.

mod contention;
mod departed;
mod doorbell;
mod drive;
mod polls;
mod progress_thread;
mod rest;
mod wait;
mod watchdog;

pub(in crate::engine) use doorbell::Doorbell;
pub(in crate::engine) use drive::{NetPort, Ports};
pub(in crate::engine) use wait::Bed;

use core::time::Duration;

use crate::sync::{Class, ClassLock};

/// What drives the transports, and how this process waits.
pub(in crate::engine) struct Progress {
    ports: ClassLock<Ports>,
    waiting: wait::Waiting,
    departed: departed::Departed,
    thread: progress_thread::ProgressThread,
    watchdog: watchdog::Watchdog,
}

/// How a process waits.
pub(in crate::engine) struct Manner {
    /// Where it sleeps.
    pub(in crate::engine) bed: Bed,
    /// Processors of this node that no other rank needs, this process's own among them; 0 when
    /// there are not enough.
    pub(in crate::engine) processors: u32,
    /// How long it spins, and yields after that.
    pub(in crate::engine) spin: Duration,
    pub(in crate::engine) yield_for: Duration,
    /// After how long without movement it asks others how far they are; zero: never.
    pub(in crate::engine) stall: Duration,
    /// Whether there are others, and a launcher that knows of them.
    pub(in crate::engine) asks: bool,
}

impl Progress {
    pub(in crate::engine) fn new(ports: Ports, manner: Manner) -> Progress {
        let Manner {
            bed,
            processors,
            spin,
            yield_for,
            stall,
            asks,
        } = manner;
        Progress {
            ports: ClassLock::new(Class::Port, ports),
            waiting: wait::Waiting::new(bed, processors, spin, yield_for),
            departed: departed::Departed::new(asks),
            thread: progress_thread::ProgressThread::new(),
            watchdog: watchdog::Watchdog::new(stall),
        }
    }

    /// The waits of this process.
    #[inline]
    pub(in crate::engine) fn waiting(&self) -> &wait::Waiting {
        &self.waiting
    }

    /// Who has left without finalising.
    #[inline]
    pub(in crate::engine) fn departed(&self) -> &departed::Departed {
        &self.departed
    }

    /// The collective calls under way, of whose end progress makes sure.
    pub(in crate::engine) fn watchdog(&self) -> &watchdog::Watchdog {
        &self.watchdog
    }
}

/// A setting in nanoseconds. Sums of several are times, too.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(u64::MAX / 2, |nanos| nanos.min(u64::MAX / 2))
}
