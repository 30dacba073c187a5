//! Events for tools, and the count of chores that progress does when no lock is held.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::engine::Engine;
use crate::engine::matching::Envelope;
use crate::sync::threaded;
use crate::tools::{self, Event, Safety};

/// How many things wait until progress does them without a lock: requests for flushes, partitioned
/// receives without their announcement, events for tools, connections that have ended. Advice, not
/// synchronisation: relaxed everywhere.
pub(in crate::engine) struct Chores(AtomicU32);

impl Chores {
    pub(in crate::engine) const fn new() -> Chores {
        Chores(AtomicU32::new(0))
    }

    #[inline]
    pub(in crate::engine) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    pub(in crate::engine) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::engine) fn done(&self, count: u32) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Engine {
    /// Tells tools, if any listens, of a message that was there before its receive.
    #[inline]
    pub(in crate::engine) fn tell_unexpected(&self, envelope: Envelope, process: u32, len: usize) {
        // Collectives' messages are no user's.
        if envelope.context & 1 == 0 {
            self.raise(Event::Unexpected {
                process,
                tag: envelope.tag,
                bytes: len as u64,
            });
        }
    }

    /// Keeps an event until no lock is held.
    #[inline]
    pub(in crate::engine) fn raise(&self, event: Event) {
        if tools::is_wanted(event) && tools::queue(event) {
            self.chores.add();
        }
    }

    /// Tells tools what has happened. No lock is held. Returns false: nothing has moved by that.
    #[cold]
    pub(in crate::engine) fn tell_tools(&self) -> bool {
        let safety = match threaded() {
            true => Safety::ThreadSafe,
            false => Safety::None,
        };
        self.chores.done(tools::deliver(safety));
        false
    }
}
