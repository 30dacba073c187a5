//! A cache line that goes back and forth between two cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::Cores;

const ROUND_TRIPS: u64 = 200_000;
const WARM_UP: u64 = 20_000;

/// Alone in its line, and in the pair of lines that the prefetcher fetches together.
#[repr(align(128))]
struct Line(AtomicU64);

/// The mean time of one way, or nothing where there is one core only.
pub fn cache_line(cores: Cores) -> Option<Duration> {
    let (here, there) = (cores.first(), cores.second()?);
    let line = Line(AtomicU64::new(0));
    thread::scope(|threads| {
        threads.spawn(|| {
            Cores::pin(there);
            for turn in 0..WARM_UP + ROUND_TRIPS {
                wait_for(&line.0, 2 * turn + 1);
                // Release pairs with the Acquire of the other thread's `wait_for`.
                line.0.store(2 * turn + 2, Ordering::Release);
            }
        });
        let driver = threads.spawn(|| {
            Cores::pin(here);
            let mut start = Instant::now();
            for turn in 0..WARM_UP + ROUND_TRIPS {
                if turn == WARM_UP {
                    start = Instant::now();
                }
                // Release pairs with the Acquire of the other thread's `wait_for`.
                line.0.store(2 * turn + 1, Ordering::Release);
                wait_for(&line.0, 2 * turn + 2);
            }
            start.elapsed()
        });
        let elapsed = driver.join().expect("the driver does not panic");
        Some(elapsed / u32::try_from(2 * ROUND_TRIPS).expect("a small constant"))
    })
}

/// Spins, and yields now and then: where a hypervisor took the other core away, this one is not
/// needed.
fn wait_for(line: &AtomicU64, value: u64) {
    let mut spins = 0u32;
    // Acquire pairs with the Release of the other thread's store.
    while line.load(Ordering::Acquire) != value {
        spins += 1;
        if spins.is_multiple_of(1 << 14) {
            thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_some_time_or_there_is_one_core() {
        let cores = Cores::find();
        assert_eq!(
            cache_line(cores).is_some_and(|time| time > Duration::ZERO),
            cores.second().is_some()
        );
    }
}
