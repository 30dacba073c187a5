//! How deep the tests look: `FERRITE_TEST_DEPTH` is `quick`, as it is by default, or `full`.
//!
//! A quick run touches every subject within minutes. A full one, as `ci/check.sh` asks for, goes
//! through all sizes, seeds and programs.

use std::io::Write;
use std::sync::OnceLock;

const VARIABLE: &str = "FERRITE_TEST_DEPTH";

/// Whether tests go through everything.
///
/// # Panics
/// When `FERRITE_TEST_DEPTH` is neither `quick` nor `full`.
pub fn full() -> bool {
    static FULL: OnceLock<bool> = OnceLock::new();
    *FULL.get_or_init(|| is_full(std::env::var(VARIABLE).ok().as_deref()))
}

/// A size for either depth.
///
/// # Panics
/// As [`full`] does.
pub fn pick<T>(quick: T, deep: T) -> T {
    if full() { deep } else { quick }
}

/// Whether a test that a quick run has no time for is to run. Says so when it is not.
///
/// # Panics
/// As [`full`] does.
pub fn only_full() -> bool {
    if !full() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Straight to the stream: the test framework would swallow what println! writes.
        let _ = writeln!(std::io::stderr(), "left to {VARIABLE}=full ({test})");
    }
    full()
}

fn is_full(value: Option<&str>) -> bool {
    match value {
        None | Some("quick") => false,
        Some("full") => true,
        Some(other) => panic!("{VARIABLE}={other} is neither quick nor full"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_full;

    #[test]
    fn quick_unless_full_is_asked_for() {
        assert!(!is_full(None) && !is_full(Some("quick")) && is_full(Some("full")));
    }

    #[test]
    #[should_panic(expected = "FERRITE_TEST_DEPTH=deep is neither quick nor full")]
    fn another_depth_is_refused() {
        is_full(Some("deep"));
    }
}
