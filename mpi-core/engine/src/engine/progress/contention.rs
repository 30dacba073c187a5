//! Who else wants this process's processor: learnt at run time, for counting ranks does not tell
//! it.
//!
//! A yield is also a question. Where nobody wants the processor it returns at once. Where another
//! rank waits for its turn, it returns soon, often with the message that was waited for. Where
//! somebody computes, of this job or of another, it returns when the scheduler takes the processor
//! from them: milliseconds later, however early the message has come. A sleep is better then, which
//! the message ends; but one slow yield among a thousand is not worth a thousand sleeps. So an
//! account is kept of what yields lose and save. Where they lose, there are none for a time, and
//! less and less often while nothing changes.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::nanos;
use crate::sys;

/// A yield that takes longer, in nanoseconds, went to somebody who does not give way.
const KEPT: u64 = 500_000;
/// What a yield that returns sooner saves, in nanoseconds: it is so much cheaper than to sleep and
/// be woken.
const SAVED: i64 = 5_000;
/// What yields may cost more than they save, and what they may have saved before, in nanoseconds.
const MOST_LOST: i64 = 1_000_000;
const MOST_SAVED: i64 = 8_000_000;
/// How long there are no yields after too much was lost by them, in nanoseconds: at first, and at
/// most.
const FIRST_PAUSE: u64 = 10_000_000;
const LONGEST_PAUSE: u64 = 1_000_000_000;
/// Whoever ends a sleep that is shorter was ready to answer, and had to wait for the processor.
const NAP: Duration = Duration::from_micros(100);
/// The shortest spin that is learnt, in nanoseconds.
const LEAST_SPIN: u64 = 500;

/// Advice, not synchronisation: relaxed everywhere.
pub(in crate::engine) struct Contention {
    /// Times are told in nanoseconds since this.
    origin: Instant,
    /// What yields have lost, less what they have saved.
    lost: AtomicI64,
    /// No yields before this time.
    resume: AtomicU64,
    /// How long the last time without yields was.
    pause: AtomicU64,
    /// The longest spin, in nanoseconds.
    spin: AtomicU64,
    /// The spin that is worth it at present: less where whoever was waited for turned out to need
    /// this processor.
    worth: AtomicU64,
    /// Waits that a short sleep has ended since spinning last ended one.
    naps: AtomicU32,
    /// How often a thread has yielded.
    yields: AtomicU64,
}

impl Contention {
    pub(in crate::engine) fn new(spin: Duration) -> Contention {
        Contention {
            origin: Instant::now(),
            lost: AtomicI64::new(0),
            resume: AtomicU64::new(0),
            pause: AtomicU64::new(0),
            spin: AtomicU64::new(nanos(spin)),
            worth: AtomicU64::new(nanos(spin)),
            naps: AtomicU32::new(0),
            yields: AtomicU64::new(0),
        }
    }

    /// Spins no longer than this from now on.
    pub(in crate::engine) fn retune(&self, spin: Duration) {
        self.spin.store(nanos(spin), Ordering::Relaxed);
        self.worth.store(nanos(spin), Ordering::Relaxed);
    }

    /// The spin that is worth it.
    #[inline]
    pub(in crate::engine) fn spin(&self) -> Duration {
        Duration::from_nanos(self.worth.load(Ordering::Relaxed))
    }

    /// The spin before a sleep. A process that was asleep itself needs most of the longest to
    /// answer; one that waits for this processor answers after the shortest, and not before. Which
    /// it is, is asked again from time to time.
    #[inline]
    pub(super) fn spin_before_sleep(&self) -> Duration {
        let longest = self.spin.load(Ordering::Relaxed);
        let naps = self.naps.load(Ordering::Relaxed);
        let is_vain = naps >= 3 && !naps.is_multiple_of(32);
        let spin = if is_vain {
            longest.min(LEAST_SPIN)
        } else {
            longest
        };
        Duration::from_nanos(spin)
    }

    /// How often a thread has yielded.
    pub(super) fn yields(&self) -> u64 {
        self.yields.load(Ordering::Relaxed)
    }

    /// Whether a yield is likely to go to somebody who keeps the processor.
    #[inline]
    pub(super) fn is_kept(&self, now: Instant) -> bool {
        let resume = self.resume.load(Ordering::Relaxed);
        resume != 0 && self.since_origin(now) < resume
    }

    /// Lets others have the processor, and learns from how long they keep it. Returns the time
    /// after, and whether they kept it.
    pub(in crate::engine) fn give(&self, now: Instant) -> (Instant, bool) {
        self.yields.fetch_add(1, Ordering::Relaxed);
        sys::yield_now();
        let after = Instant::now();
        let end = self.since_origin(after);
        let took = end - self.since_origin(now);
        self.learn_yield(end, took);
        (after, took >= KEPT)
    }

    /// A yield that ended at this time took so long.
    #[inline]
    fn learn_yield(&self, end: u64, took: u64) {
        let lost = self.lost.load(Ordering::Relaxed);
        if took < KEPT {
            let lost = lost.saturating_sub(SAVED).max(-MOST_SAVED);
            self.lost.store(lost, Ordering::Relaxed);
        } else {
            self.learn_kept(end, lost.saturating_add(took.min(1 << 40) as i64));
        }
    }

    #[cold]
    fn learn_kept(&self, end: u64, lost: i64) {
        if lost < MOST_LOST {
            return self.lost.store(lost, Ordering::Relaxed);
        }
        let last = self.pause.load(Ordering::Relaxed);
        let yielded = end.saturating_sub(self.resume.load(Ordering::Relaxed));
        let pause = if last != 0 && yielded < 2 * last {
            // Little has changed since.
            (2 * last).min(LONGEST_PAUSE)
        } else {
            FIRST_PAUSE
        };
        self.pause.store(pause, Ordering::Relaxed);
        self.resume.store(end + pause, Ordering::Relaxed);
        // The next yield decides, if it is kept, too.
        self.lost.store(0, Ordering::Relaxed);
    }

    /// Takes note of how a wait ended that spinning did not end at once: after so many yields, or
    /// after something else was tried.
    #[cold]
    pub(super) fn learn_wait(&self, yields: u32, otherwise: bool) {
        let worth = self.worth.load(Ordering::Relaxed);
        let longest = self.spin.load(Ordering::Relaxed);
        let now = match (yields, otherwise) {
            (0, false) => worth.saturating_mul(2).min(longest),
            // Whoever was waited for ran here, as soon as it could.
            (1, false) => (worth / 2).max(LEAST_SPIN.min(longest)),
            _ => worth,
        };
        self.worth.store(now, Ordering::Relaxed);
        if (yields, otherwise) == (0, false) {
            self.naps.store(0, Ordering::Relaxed);
        }
    }

    /// Takes note of how long a sleep took.
    pub(super) fn learn_sleep(&self, took: Duration) {
        if took < NAP {
            self.naps.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn since_origin(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: u64 = 30_000;
    const SLICE: u64 = 4_000_000;

    fn at(contention: &Contention, nanos: u64) -> Instant {
        contention.origin + Duration::from_nanos(nanos)
    }

    #[test]
    fn quick_yields_go_on() {
        let contention = Contention::new(Duration::ZERO);
        for end in 0..1000 {
            contention.learn_yield(end, QUICK);
            assert!(!contention.is_kept(at(&contention, end)));
        }
    }

    #[test]
    fn one_slow_yield_among_many_changes_nothing() {
        let contention = Contention::new(Duration::ZERO);
        for end in 0..10_000 {
            let took = if end % 1000 == 999 { SLICE } else { QUICK };
            contention.learn_yield(end, took);
            assert!(!contention.is_kept(at(&contention, end)));
        }
    }

    #[test]
    fn yields_to_a_stranger_become_rare() {
        let contention = Contention::new(Duration::ZERO);
        let (mut now, mut yields) = (1, 0);
        while now < 10_000_000_000 {
            if !contention.is_kept(at(&contention, now)) {
                yields += 1;
                now += SLICE;
                contention.learn_yield(now, SLICE);
            }
            now += 1_000_000;
        }
        assert!((10..20).contains(&yields), "{yields}");
    }

    #[test]
    fn a_stranger_who_has_gone_is_forgotten() {
        let contention = Contention::new(Duration::ZERO);
        let mut now = 1;
        for _ in 0..10 {
            contention.learn_yield(now, SLICE);
            now += 1_100_000_000;
        }
        assert!(!contention.is_kept(at(&contention, now)));
        contention.learn_yield(now, QUICK);
        assert!(!contention.is_kept(at(&contention, now)));
        // Another, much later, is met as the first was.
        now += 60_000_000_000;
        contention.learn_yield(now, SLICE);
        assert!(contention.is_kept(at(&contention, now + FIRST_PAUSE - 1)));
        assert!(!contention.is_kept(at(&contention, now + FIRST_PAUSE)));
    }

    #[test]
    fn a_spin_is_learnt_between_its_limits() {
        let contention = Contention::new(Duration::from_micros(20));
        for _ in 0..40 {
            contention.learn_wait(1, false);
        }
        assert_eq!(contention.spin(), Duration::from_nanos(LEAST_SPIN));
        for _ in 0..40 {
            contention.learn_wait(0, false);
        }
        assert_eq!(contention.spin(), Duration::from_micros(20));
        contention.learn_wait(7, false);
        contention.learn_wait(1, true);
        assert_eq!(contention.spin(), Duration::from_micros(20));
    }

    #[test]
    fn no_long_spin_where_a_short_sleep_is_the_answer() {
        let contention = Contention::new(Duration::from_micros(20));
        let mut long = 0;
        for _ in 0..320 {
            long += u32::from(contention.spin_before_sleep() == Duration::from_micros(20));
            contention.learn_sleep(Duration::from_micros(5));
        }
        assert!((10..20).contains(&long), "{long}");
        contention.learn_wait(0, false);
        assert_eq!(contention.spin_before_sleep(), Duration::from_micros(20));
        for _ in 0..10 {
            contention.learn_sleep(Duration::from_millis(4));
        }
        assert_eq!(contention.spin_before_sleep(), Duration::from_micros(20));
    }
}
