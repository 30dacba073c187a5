//! Whether a process that may have several threads is at rest: none of them can do anything until a
//! message comes.
//!
//! A process of one thread that waits is. One of several is where each of its threads sleeps in a
//! wait of the library, or sleeps until another thread of the process wakes it, which none does.
//! Threads that sleep for a time or at a descriptor, or that run, may call MPI at any moment. Only
//! a process that has waited for long looks, and it looks again after as long: it was at rest in
//! between if the same threads have slept without a break. That a signal's handler wakes a thread
//! is not thought of.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Instant;

use crate::engine::Engine;
use crate::engine::communicators::Rounds;
use crate::sys;

/// How often to look for a moment at which no waiting thread is awake: each is now and then, to
/// poll.
const LOOKS: usize = 8;

/// A process at one moment. It was at rest from one such moment to another that is equal.
#[derive(PartialEq, Eq)]
struct Look {
    /// Threads in waits, and waits that have begun; and what has moved in them.
    news: (u64, u64),
    /// If all threads slept: those that did so elsewhere than in the library, and how often each
    /// has gone to sleep.
    parked: Option<Vec<(u32, u64)>>,
}

/// What was seen when the others were last asked.
struct Seen {
    asked: Instant,
    look: Look,
    rounds: Rounds,
}

/// See the module. The counters are relaxed everywhere: they tell what has happened since a look
/// that was long ago.
#[derive(Default)]
pub(in crate::engine) struct Rest {
    /// Threads that sleep in the library.
    asleep: AtomicU32,
    /// Changes when a thread finds in a wait that something has moved.
    moved: AtomicU64,
    seen: Mutex<Option<Seen>>,
    /// The moment since when the process has been at rest, and seconds since then.
    since: Mutex<Option<(Look, Instant)>>,
    seconds: AtomicU32,
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

fn try_lock<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match lock.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Engine {
    /// A thread of this process, of which there may be several, has waited for long. For how many
    /// rounds nothing has moved; `None` if another thread has just seen to it.
    #[cold]
    pub(super) fn rounds_among_threads(&self, now: Instant, stall: Duration) -> Option<Rounds> {
        let mut seen = try_lock(&self.progress.waiting.rest.seen)?;
        let is_early = |seen: &Seen| now.saturating_duration_since(seen.asked) < stall;
        if seen.as_ref().is_some_and(is_early) {
            return None;
        }
        let look = self.look_at_threads();
        let rounds = seen.take().map_or_else(Rounds::default, |seen| {
            let next = |is_so: bool, rounds: u32| is_so.then(|| rounds.saturating_add(1));
            let is_quiet = look.news == seen.look.news;
            let is_at_rest = look.parked.is_some() && look == seen.look;
            Rounds {
                at_rest: next(is_at_rest, seen.rounds.at_rest).unwrap_or(0),
                quiet: next(is_quiet, seen.rounds.quiet).unwrap_or(0),
            }
        });
        *seen = Some(Seen {
            asked: now,
            look,
            rounds,
        });
        Some(rounds)
    }

    /// For how many seconds this process has been at rest, counted from the first time that this
    /// was asked.
    #[cold]
    pub(super) fn rests_for(&self) -> u32 {
        let rest = &self.progress.waiting.rest;
        let Some(mut since) = try_lock(&rest.since) else {
            // Another thread is looking.
            return rest.seconds.load(Ordering::Relaxed);
        };
        let (look, now) = (self.look_at_threads(), Instant::now());
        let seconds = match &*since {
            Some((before, since)) if look.parked.is_some() && look == *before => {
                u32::try_from((now - *since).as_secs()).unwrap_or(u32::MAX)
            }
            _ => {
                *since = Some((look, now));
                0
            }
        };
        rest.seconds.store(seconds, Ordering::Relaxed);
        seconds
    }

    fn look_at_threads(&self) -> Look {
        let waiting = &self.progress.waiting;
        Look {
            news: (waiting.waits(), waiting.rest.moved.load(Ordering::Relaxed)),
            parked: self.parked_elsewhere(),
        }
    }

    /// If all threads of the process but this one sleep, and all but those in the library until a
    /// thread of the process wakes them: who those are, and how often each has gone to sleep.
    fn parked_elsewhere(&self) -> Option<Vec<(u32, u64)>> {
        let helpers: u32 = self.transports.networks().map(|net| net.threads()).sum();
        let own = 1 + helpers as usize;
        for look in 0..LOOKS {
            if look > 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let all = sys::count_threads()?;
            let in_library =
                own + self.progress.waiting.rest.asleep.load(Ordering::Relaxed) as usize;
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
