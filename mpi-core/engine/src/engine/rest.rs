//! Whether a process that may have several threads is at rest: none of them can do anything until a message comes.
//!
//! A process of one thread that waits is. One of several is where each of its threads sleeps in a wait of the library, or sleeps until
//! another thread of the process wakes it, which none does. Threads that sleep for a time or at a descriptor, or that run, may
//! call MPI at any moment. Only a process that has waited for `FERRITE_STALL` looks, and it looks again after as long: a process is
//! at rest in between if the same threads have slept without a break.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, TryLockError};
use std::time::Instant;

use super::Engine;
use super::wait::Waiting;
use crate::sys;

/// How often to look for a moment at which no waiting thread is awake: each is now and then, to poll.
const LOOKS: usize = 8;

/// For how many rounds of asking the others nothing has moved in a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rounds {
    /// While all of its threads were at rest.
    pub(super) at_rest: u32,
    /// In the library at least: other threads of the program may have done anything.
    pub(super) quiet: u32,
}

/// What has happened in waits so far: threads in waits, and waits that have begun; and what has moved.
type News = (u64, u64);

/// How it stood when the others were last asked.
#[derive(Default)]
struct Seen {
    asked: Option<Instant>,
    news: News,
    /// The threads that slept elsewhere than in the library, if all others slept in it.
    parked: Option<Vec<(u32, u64)>>,
    rounds: Rounds,
}

/// See the module. The counters are relaxed everywhere: they tell what has happened since a look that was long ago.
#[derive(Default)]
pub(super) struct Rest {
    /// Threads that sleep in the library.
    asleep: AtomicU32,
    /// Changes when a thread finds in a wait that something has moved.
    moved: AtomicU64,
    seen: Mutex<Seen>,
}

impl Rest {
    /// Something has moved, or a thread of the program has gone on.
    #[inline]
    pub(super) fn disturb(&self) {
        // Two threads may count as one: all that matters is that the number changes.
        let moved = self.moved.load(Ordering::Relaxed);
        self.moved.store(moved.wrapping_add(1), Ordering::Relaxed);
    }

    /// Sleeps.
    pub(super) fn asleep<T>(&self, sleep: impl FnOnce() -> T) -> T {
        self.asleep.fetch_add(1, Ordering::Relaxed);
        let slept = sleep();
        self.asleep.fetch_sub(1, Ordering::Relaxed);
        slept
    }
}

impl Engine {
    /// A thread of this process, of which there may be several, has waited for long. For how many rounds nothing has moved; `None` if
    /// another thread has just seen to it.
    #[cold]
    pub(super) fn rounds_among_threads(&self, now: Instant, stall: Duration) -> Option<Rounds> {
        let waiting: &Waiting = &self.waiting;
        let rest = &waiting.rest;
        let mut seen = match rest.seen.try_lock() {
            Ok(seen) => seen,
            Err(TryLockError::Poisoned(seen)) => seen.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let is_early = |asked: Instant| now.saturating_duration_since(asked) < stall;
        if seen.asked.is_some_and(is_early) {
            return None;
        }
        let news = (waiting.waits(), rest.moved.load(Ordering::Relaxed));
        let parked = self.parked_elsewhere();
        let is_quiet = news == seen.news;
        let is_at_rest = is_quiet && parked.is_some() && parked == seen.parked;
        let next = |is_so: bool, rounds: u32| if is_so { rounds.saturating_add(1) } else { 0 };
        seen.rounds = Rounds {
            at_rest: next(is_at_rest, seen.rounds.at_rest),
            quiet: next(is_quiet, seen.rounds.quiet),
        };
        (seen.asked, seen.news, seen.parked) = (Some(now), news, parked);
        Some(seen.rounds)
    }

    /// If all threads of the process but this one sleep, and all but those in the library until a thread of the process wakes them: who those
    /// are, and how often each has gone to sleep.
    fn parked_elsewhere(&self) -> Option<Vec<(u32, u64)>> {
        let own = 1 + self.net.as_ref().map_or(0, |net| net.threads()) as usize;
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let all = sys::count_threads()?;
            let in_library = own + self.waiting.rest.asleep.load(Ordering::Relaxed) as usize;
            let parked = match all {
                _ if all == in_library => Vec::new(),
                _ => sys::parked_threads()?,
            };
            if all == in_library + parked.len() {
                return Some(parked);
            }
        }
        None
    }
}
