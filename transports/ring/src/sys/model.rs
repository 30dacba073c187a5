use core::time::Duration;

use crate::atomic::{AtomicU32, Ordering};

pub(crate) fn register_barrier() -> bool {
    true
}

pub(crate) fn barrier() {}

/// A futex as loom sees it: the thread does not go on before the word has changed. A lost wake-up
/// is a thread that yields for ever, which loom reports.
pub(crate) fn wait(word: &AtomicU32, value: u32, _timeout: Option<Duration>) {
    while word.load(Ordering::SeqCst) == value {
        loom::thread::yield_now();
    }
}

pub(crate) fn wake(_word: &AtomicU32) {}
