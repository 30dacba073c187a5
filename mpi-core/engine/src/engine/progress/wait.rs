//! Waiting: spin, then yield, then sleep (and how threads of one process share it).
//!
//! How long to spin is learnt: where the first yield brings what spinning did not, the process
//! waited for shares this processor, and the spin only kept it from running. So is whether a yield
//! goes to somebody who gives the processor back: where not, a sleep takes its place
//! ([`Contention`]).
//!
//! One thread at a time drives the transports. Another that finds them taken waits for its own
//! request on a condition that every completion signals, and so does the driver when it stops, so
//! that somebody always drives.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferrite_fabric::{Network, Port};
use ferrite_shm::Sleeper;

use super::contention::Contention;
use super::doorbell::Doorbell;
use super::nanos;
use super::rest::Rest;
use crate::engine::Engine;
use crate::engine::communicators::Rounds;
use crate::sync::threaded;

/// How long a process sleeps that has frames to send for which there is no room: nobody wakes it
/// for that.
const NO_ROOM_NAP: Duration = Duration::from_micros(100);
/// How often a thread without the transports looks again on its own.
const PATIENCE: Duration = Duration::from_millis(20);
/// Whoever asks for yields as long as this, in nanoseconds, means that a rank shall not sleep: an
/// hour.
const ALWAYS_YIELD: u64 = 3_600_000_000_000;

/// Beside the number of threads that wait, a word counts waits in units of this.
const BEGUN: u64 = 1 << 32;

/// Where a process sleeps that waits for messages.
pub(in crate::engine) enum Bed {
    /// A job of one: nothing arrives but from other threads of this process.
    None,
    /// In shared memory. A network rings there, too.
    Shm(Sleeper),
    /// At the network, which is the only one.
    Net(Arc<dyn Network>),
    /// In memory of its own. Several networks ring there.
    Several(Arc<Doorbell>),
}

impl Bed {
    fn wait(&self, timeout: Option<Duration>) {
        match self {
            Bed::None => {}
            Bed::Shm(sleeper) => sleeper.wait(timeout),
            Bed::Net(net) => net.sleep(timeout),
            Bed::Several(bell) => bell.wait(timeout),
        }
    }

    fn wake(&self) {
        match self {
            Bed::None => {}
            Bed::Shm(sleeper) => sleeper.wake(),
            Bed::Net(net) => net.wake(),
            Bed::Several(bell) => bell.ring(),
        }
    }
}

pub(in crate::engine) struct Waiting {
    bed: Bed,
    /// Processors of this node that no other rank needs, this process's own among them; 0 when
    /// there are not enough.
    processors: u32,
    /// Threads of this process that wait, and, in units of [`BEGUN`], waits of threads that have
    /// begun.
    threads: AtomicU64,
    /// Whether none of them can do anything.
    pub(in crate::engine) rest: Rest,
    /// What has been learnt of others that want the processor.
    pub(super) contention: Contention,
    /// How long to yield after spinning, in nanoseconds; may be changed at any time. Relaxed
    /// everywhere.
    yield_for: AtomicU64,
    /// How often a thread has slept. Relaxed everywhere.
    sleeps: AtomicU64,
    /// What one poll counts in [`Patience::polls`]: more where it takes a system call.
    weight: u32,
    /// Threads that wait for the driver.
    waiters: AtomicU32,
    /// A thread sleeps on the transports.
    asleep: AtomicBool,
    /// MPI is finalised, and those who still wait are to learn of it. Advice, not synchronisation:
    /// relaxed everywhere.
    over: AtomicBool,
    /// Counts completions, for threads that wait without driving.
    epoch: Mutex<u64>,
    changed: Condvar,
}

impl Waiting {
    pub(in crate::engine) fn new(
        bed: Bed,
        processors: u32,
        spin: Duration,
        yield_for: Duration,
    ) -> Waiting {
        Waiting {
            processors,
            threads: AtomicU64::new(0),
            rest: Rest::default(),
            contention: Contention::new(spin),
            weight: match &bed {
                // Only some polls look at the network.
                Bed::None | Bed::Shm(_) => 1,
                Bed::Net(_) | Bed::Several(_) => 16,
            },
            yield_for: nanos(yield_for).into(),
            sleeps: AtomicU64::new(0),
            waiters: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
            over: AtomicBool::new(false),
            bed,
            epoch: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    /// Waits so from now on.
    pub(in crate::engine) fn retune(&self, spin: Duration, yield_for: Duration) {
        self.contention.retune(spin);
        self.yield_for.store(nanos(yield_for), Ordering::Relaxed);
    }

    /// How often a thread has yielded the processor, and slept.
    pub(in crate::engine) fn pauses(&self) -> (u64, u64) {
        let sleeps = self.sleeps.load(Ordering::Relaxed);
        (self.contention.yields(), sleeps)
    }

    /// Threads that wait share a processor with others: the time spent spinning would be taken from
    /// those waited for.
    #[inline]
    fn is_crowded(&self) -> bool {
        self.processors == 0 || threaded() && self.threads() > self.processors
    }

    /// Threads that wait.
    #[inline]
    fn threads(&self) -> u32 {
        (self.threads.load(Ordering::Relaxed) % BEGUN) as u32
    }

    /// Changes when a wait begins or ends.
    pub(in crate::engine) fn waits(&self) -> u64 {
        self.threads.load(Ordering::Relaxed)
    }

    /// How long to spin before giving way, and whether that is then better done by a sleep.
    #[inline]
    pub(super) fn spin_at(&self, now: Instant) -> (Duration, bool) {
        let is_kept = self.is_kept(now);
        let spin = match is_kept {
            _ if self.is_crowded() => Duration::ZERO,
            true => self.contention.spin_before_sleep(),
            false => self.contention.spin(),
        };
        (spin, is_kept)
    }

    /// Whether a yield is now likely to go to somebody who keeps the processor. Where the settings
    /// leave no choice between yields and sleeps, nothing that was measured makes a difference.
    #[inline]
    fn is_kept(&self, now: Instant) -> bool {
        let choice = 1..ALWAYS_YIELD;
        choice.contains(&self.yield_for.load(Ordering::Relaxed)) && self.contention.is_kept(now)
    }

    fn yield_for(&self) -> Duration {
        Duration::from_nanos(self.yield_for.load(Ordering::Relaxed))
    }

    /// Whether waiting is in vain, as MPI is finalised.
    #[inline]
    pub(in crate::engine) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(in crate::engine) fn release(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.something_finished();
    }

    /// Wakes whoever may wait for what this thread has just finished. Only called where several
    /// threads may be.
    pub(in crate::engine) fn something_finished(&self) {
        // Partner: the fences in `Engine::wait_for_driver` and `Engine::sleep`. Either we see that
        // they wait, or they see what was finished.
        fence(Ordering::SeqCst);
        if self.waiters.load(Ordering::Relaxed) != 0 {
            *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.changed.notify_all();
        }
        if self.asleep.load(Ordering::Relaxed) {
            self.bed.wake();
        }
    }
}

/// How far a wait has come.
#[derive(Default)]
struct Patience {
    polls: u32,
    since: Option<Instant>,
    yields: u32,
    /// Others kept the processor after a yield, or there was a sleep.
    otherwise: bool,
    /// When the launcher was last told of it, counted from `since`.
    told: Duration,
    /// How often others were asked how far they are, how many of their questions and answers had
    /// come then, and since when this process waits for more.
    rounds: u32,
    talk: u32,
    asked: Option<Instant>,
}

impl Engine {
    /// [`Engine::wait_until`] for what may become true without anything arriving by a transport.
    #[inline]
    pub(in crate::engine) fn watch(&self, mut done: impl FnMut() -> bool) {
        if done() {
            return;
        }
        if threaded() {
            return self.wait_among_threads(&mut done);
        }
        let mut patience = Patience::default();
        loop {
            if self.progress() {
                self.end_patience(&mut patience);
            } else if self.be_patient(&mut patience, &mut done) {
                return;
            }
            if done() {
                return self.end_patience(&mut patience);
            }
        }
    }

    /// Makes progress until `done` says so. It is not asked again after that.
    #[inline]
    pub fn wait_until(&self, mut done: impl FnMut() -> bool) {
        if done() {
            return;
        }
        if threaded() {
            return self.wait_among_threads(&mut done);
        }
        let mut patience = Patience::default();
        loop {
            if self.progress() {
                self.end_patience(&mut patience);
                if done() {
                    return;
                }
            } else if self.be_patient(&mut patience, &mut done) {
                return;
            }
        }
    }

    #[inline(never)]
    fn wait_among_threads(&self, done: &mut dyn FnMut() -> bool) {
        let waiting = &self.progress.waiting;
        waiting.threads.fetch_add(BEGUN + 1, Ordering::Relaxed);
        let mut patience = Patience::default();
        let mut is_told = false;
        loop {
            let talk = self.progress.watchdog.talk.load(Ordering::Relaxed);
            let moved = self.progress();
            if done() {
                break;
            }
            if waiting.is_over() && !is_told {
                is_told = true;
                self.tell_that_it_stays();
            }
            if moved {
                // Talk of what calls are under way is no news.
                let now = self.progress.watchdog.talk.load(Ordering::Relaxed);
                if now == talk {
                    waiting.rest.disturb();
                    patience.talk = now;
                    self.end_patience(&mut patience);
                }
            } else if self.be_patient(&mut patience, done) {
                break;
            }
        }
        waiting.threads.fetch_sub(1, Ordering::Relaxed);
        // Whoever stops driving lets another thread have the transports.
        waiting.something_finished();
    }

    /// A thread waits, with buffers lent, for what cannot be taken back.
    #[cold]
    fn tell_that_it_stays(&self) {
        eprintln!(
            "ferrite: rank {}: a thread waits for ever, as MPI was finalised while it was in a \
             collective operation or waited for its message \
             to be received: let it end before",
            self.job.rank
        );
    }

    #[inline]
    fn end_patience(&self, patience: &mut Patience) {
        if patience.since.is_some() {
            // Talk of what calls are under way is no news.
            let talk = self.progress.watchdog.talk.load(Ordering::Relaxed);
            if talk != patience.talk {
                patience.talk = talk;
                return;
            }
            let contention = &self.progress.waiting.contention;
            contention.learn_wait(patience.yields, patience.otherwise);
        }
        *patience = Patience::default();
    }

    /// Lets other ranks of this processor run, if there are any.
    #[inline]
    pub(in crate::engine) fn give_way(&self) {
        let now = Instant::now();
        if self.progress.waiting.is_crowded() && !self.progress.waiting.is_kept(now) {
            self.progress.waiting.contention.give(now);
        }
    }

    /// Spins, yields or sleeps. Returns whether `done` was asked and said so.
    #[inline]
    fn be_patient(&self, patience: &mut Patience, done: &mut dyn FnMut() -> bool) -> bool {
        patience.polls += self.progress.waiting.weight;
        if patience.polls & 63 != 0 && !self.progress.waiting.is_crowded() {
            core::hint::spin_loop();
            return false;
        }
        self.be_very_patient(patience, done)
    }

    #[cold]
    fn be_very_patient(&self, patience: &mut Patience, done: &mut dyn FnMut() -> bool) -> bool {
        let waiting = &self.progress.waiting;
        let now = Instant::now();
        let since = *patience.since.get_or_insert_with(|| {
            patience.talk = self.progress.watchdog.talk.load(Ordering::Relaxed);
            now
        });
        let waited = now - since;
        // However long it shall spin and yield, it asks.
        if self.is_time_to_ask(waited, patience.told) {
            patience.told = waited;
            self.tell_of_wait(waited);
            // It may be what was waited for.
            if done() {
                return true;
            }
        }
        let quiet = now - patience.asked.unwrap_or(since);
        let stall = self.progress.watchdog.stall();
        let left = stall.map(|stall| stall.saturating_sub(quiet));
        if left == Some(Duration::ZERO) {
            // To ask again after as long.
            patience.asked = Some(now);
            let rounds = match stall {
                Some(stall) if threaded() => self.rounds_among_threads(now, stall),
                _ => {
                    patience.rounds += 1;
                    Some(Rounds {
                        at_rest: patience.rounds,
                        quiet: patience.rounds,
                    })
                }
            };
            if let Some(rounds) = rounds {
                self.ask_about_calls(rounds);
            }
            return false;
        }
        let (spin, is_kept) = waiting.spin_at(now);
        if waited < spin {
            return false;
        }
        if waited < spin + waiting.yield_for() && !is_kept {
            patience.yields += 1;
            patience.otherwise |= waiting.contention.give(now).1;
            return false;
        }
        patience.otherwise = true;
        let is_done = self.sleep(left, done);
        waiting.contention.learn_sleep(now.elapsed());
        is_done
    }

    /// Sleeps until something arrives, another thread has finished something, or `limit` is over.
    /// Returns what `done` said, if it was asked.
    pub(in crate::engine) fn sleep(
        &self,
        limit: Option<Duration>,
        done: &mut dyn FnMut() -> bool,
    ) -> bool {
        let waiting = &self.progress.waiting;
        let Some(mut ports) = self.progress.ports.try_lock() else {
            return self.wait_for_driver(limit, done);
        };
        // Nothing arrives in a job of one, nor after finalisation.
        let is_shut = ports.shm.is_none() && ports.nets.is_empty();
        if is_shut || matches!(waiting.bed, Bed::None) {
            drop(ports);
            return self.wait_for_driver(limit, done);
        }
        // Acquire pairs with the release below: the last sleeper has done with the port.
        if threaded() && waiting.asleep.swap(true, Ordering::Acquire) {
            // Another thread of ours sleeps there already, and wakes when anything arrives.
            drop(ports);
            return self.wait_for_driver(limit, done);
        }
        // Partner: the fence in `something_finished`.
        fence(Ordering::SeqCst);
        // All of them, one after the other: what arrives after its port was asked rings where this
        // process sleeps.
        let shm = ports.shm.as_mut().is_none_or(|port| port.prepare_sleep());
        let mut nets = ports.nets.iter_mut();
        let asleep = shm && nets.all(|net| net.port.prepare_sleep());
        let ready = !asleep;
        drop(ports);
        let is_done = !ready && done();
        if !ready && !is_done {
            waiting.sleeps.fetch_add(1, Ordering::Relaxed);
            let nap = self.peers.has_backlog().then_some(NO_ROOM_NAP);
            let limits = [limit, nap, self.ask_every()];
            let limit = limits.into_iter().flatten().min();
            waiting.rest.asleep(|| waiting.bed.wait(limit));
        }
        if let Some(mut ports) = self.progress.ports.try_lock() {
            if let Some(shm) = &mut ports.shm {
                shm.awake();
            }
            ports.nets.iter_mut().for_each(|net| net.port.awake());
        }
        // Not before: what `awake` takes back would be the next sleeper's call to be woken.
        waiting.asleep.store(false, Ordering::Release);
        is_done
    }

    /// Waits until the thread that drives has finished something, has stopped, or `limit` is over.
    /// Returns what `done` said.
    fn wait_for_driver(&self, limit: Option<Duration>, done: &mut dyn FnMut() -> bool) -> bool {
        let waiting = &self.progress.waiting;
        let lock = || waiting.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.waiters.fetch_add(1, Ordering::Relaxed);
        let seen = *lock();
        // Partner: the fence in `something_finished`.
        fence(Ordering::SeqCst);
        let is_done = done();
        if !is_done {
            let same = |epoch: &mut u64| *epoch == seen;
            let timeout = limit.map_or(PATIENCE, |limit| limit.min(PATIENCE));
            let sleep = || drop(waiting.changed.wait_timeout_while(lock(), timeout, same));
            waiting.rest.asleep(sleep);
        }
        waiting.waiters.fetch_sub(1, Ordering::Relaxed);
        is_done
    }
}
