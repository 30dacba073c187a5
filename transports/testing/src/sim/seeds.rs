//! Which seeds a random test runs, and how a failure is replayed.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::conformance::Random;

/// The variable that makes a random test run one seed only, and tell what happens.
pub const REPLAY: &str = "FERRITE_TEST_SEED";

/// The variable that says how many seeds a random test runs.
const NUMBER: &str = "FERRITE_TEST_SEEDS";

/// The seeds of one run of a random test.
#[derive(Debug)]
pub struct Seeds {
    random: Random,
    left: u64,
    replay: Option<u64>,
}

impl Seeds {
    /// As many seeds as `FERRITE_TEST_SEEDS` says; or the one of `FERRITE_TEST_SEED`. By default
    /// `full` of them, and a fifth of that in a quick run. Different ones each time.
    pub fn new(test: &str, full: u64) -> Seeds {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            let value = match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => text.parse(),
            };
            Some(
                value
                    .unwrap_or_else(|_| panic!("{name}={text} is not a number, such as 10 or 0xa")),
            )
        };
        if let Some(seed) = number(REPLAY) {
            return Seeds {
                random: Random(seed),
                left: 1,
                replay: Some(seed),
            };
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let base = Random(now.map_or(1, |since| since.as_nanos() as u64)).bits();
        let left = number(NUMBER).unwrap_or(crate::depth::pick(full.div_ceil(5), full));
        eprintln!("{test}: {left} seeds from base {base:#x}");
        Seeds {
            random: Random(base),
            left,
            replay: None,
        }
    }

    /// Whether one seed is run again, to see what happens.
    pub fn is_replay(&self) -> bool {
        self.replay.is_some()
    }
}

impl Iterator for Seeds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        Some(self.replay.unwrap_or_else(|| self.random.bits()))
    }
}
