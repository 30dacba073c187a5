//! Calls that do not wait, made in a loop: `MPI_Test` and its siblings, probes, `MPI_Parrived`.
//!
//! Such a loop is a wait that the library cannot see. So each thread counts its calls in vain: when
//! some have followed each other so closely that the program can hardly do anything else meanwhile,
//! the call gives way as a wait would. A yield comes as early as in a wait. A sleep is short in
//! proportion to how long the loop has been in vain, so that a program which does have something
//! else to do, in bursts of such calls, gets on with it.

use core::cell::Cell;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::engine::communicators::Rounds;

thread_local! {
    static STREAK: Cell<Streak> = const { Cell::new(Streak::NONE) };
}

/// The fewest calls between two looks at the clock: it costs as much as half a call.
const WINDOW: u32 = 4;
/// What a call, and what the program does before the next, may take at most to be in a row: so
/// much, and so much more for each request that the call looks at.
const CLOSE: Duration = Duration::from_micros(2);
const CLOSE_EACH: Duration = Duration::from_nanos(50);
/// No sleep before a loop has been in vain for so long, nor for longer than this.
const EARLIEST_SLEEP: Duration = Duration::from_micros(5);
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// Calls in vain, in a row.
#[derive(Clone, Copy)]
struct Streak {
    /// Since the last look at the clock.
    calls: u32,
    yields: u32,
    otherwise: bool,
    /// When it was found to have begun, and the last look at the clock.
    clock: Option<(Instant, Instant)>,
    /// How long it has lasted when it gives way again.
    again: Duration,
    /// Since when nothing has moved, in a row or not, or others were asked about their calls.
    quiet: Option<Instant>,
}

impl Streak {
    const NONE: Streak = Streak {
        calls: 0,
        yields: 0,
        otherwise: false,
        clock: None,
        again: Duration::ZERO,
        quiet: None,
    };
}

impl Engine {
    /// Drives the transports once, for a call that looks at `requests` things and does not wait.
    /// Returns what `done` says then. If it says no, and so it has been for some time, the call has
    /// given way to others.
    #[inline]
    pub(in crate::engine) fn glance(
        &self,
        requests: usize,
        mut done: impl FnMut() -> bool,
    ) -> bool {
        let moved = self.progress();
        let is_done = done();
        if moved {
            self.end_streak();
            return is_done;
        }
        is_done | self.in_vain(requests, is_done, &mut done)
    }

    #[inline]
    fn end_streak(&self) {
        let streak = STREAK.get();
        if streak.calls == 0 && streak.clock.is_none() {
            return;
        }
        if streak.clock.is_some() {
            self.progress
                .waiting
                .contention
                .learn_wait(streak.yields, streak.otherwise);
        }
        STREAK.set(Streak::NONE);
    }

    /// Nothing moved. What is done was so before, which is no news: a loop may look at it again and
    /// again. Returns what `done` said, if it was asked.
    #[inline]
    fn in_vain(&self, requests: usize, is_done: bool, done: &mut dyn FnMut() -> bool) -> bool {
        let mut streak = STREAK.get();
        streak.calls += 1;
        let now_done =
            streak.calls >= WINDOW && !is_done && self.give_way_in(&mut streak, requests, done);
        STREAK.set(streak);
        now_done
    }

    #[cold]
    fn give_way_in(
        &self,
        streak: &mut Streak,
        requests: usize,
        done: &mut dyn FnMut() -> bool,
    ) -> bool {
        let calls = std::mem::take(&mut streak.calls);
        let waiting = &self.progress.waiting;
        let now = Instant::now();
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        let close = CLOSE.saturating_add(CLOSE_EACH.saturating_mul(requests));
        let close = close.saturating_mul(calls);
        let quiet = *streak.quiet.get_or_insert(now);
        let stall = self.progress.watchdog.stall();
        if stall.is_some_and(|stall| now - quiet >= stall) {
            streak.quiet = Some(now);
            // The program may do anything between two calls, so that this process does not rest.
            self.ask_about_calls(Rounds::default());
        }
        let (since, last) = streak.clock.unwrap_or((now, now));
        if streak.clock.is_none() || now - last > close {
            *streak = Streak {
                clock: Some((now, now)),
                quiet: streak.quiet,
                ..Streak::NONE
            };
            return false;
        }
        streak.clock = Some((since, now));
        let waited = now - since;
        let (spin, is_kept) = waiting.spin_at(now);
        if waited < spin.max(streak.again) {
            return false;
        }
        let mut now_done = false;
        let after = if !is_kept {
            let (after, was_kept) = waiting.contention.give(now);
            streak.yields += 1;
            streak.otherwise |= was_kept;
            after
        } else if waited < EARLIEST_SLEEP {
            return false;
        } else {
            streak.otherwise = true;
            // Between two calls the program may do anything.
            waiting.rest.disturb();
            now_done = self.sleep(Some(waited.min(LONGEST_SLEEP)), done);
            Instant::now()
        };
        streak.clock = Some((since, after));
        // Where nobody needs the processor, a call to the system is only a delay.
        streak.again = after - since + spin / 4;
        now_done
    }
}
