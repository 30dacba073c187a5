//! Unix.

/// Lets another process or thread have the processor.
pub(crate) fn yield_now() {
    rustix::thread::sched_yield();
}
