use core::sync::atomic::AtomicU32;
use core::time::Duration;

use rustix::thread::{MembarrierCommand, futex, membarrier};
use rustix::time::Timespec;

pub(crate) fn register_barrier() -> bool {
    membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

pub(crate) fn barrier() {
    // Fails only where the system has no such call, which `register_barrier` has told.
    let _ = membarrier(MembarrierCommand::GlobalExpedited);
}

/// Sleeps while `word` holds `value`, until a wake, a signal or the end of `timeout`; may return
/// early.
pub(crate) fn wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|t| Timespec {
        tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    // Every outcome (woken, value changed, interrupted, timed out) means: look again.
    let _ = futex::wait(word, futex::Flags::empty(), value, timeout.as_ref());
}

/// Wakes everyone who waits on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}
