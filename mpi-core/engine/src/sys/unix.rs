//! Unix.

/// Lets another process or thread have the processor.
pub(crate) fn yield_now() {
    rustix::thread::sched_yield();
}

/// The name of this host, as the kernel has it: nothing is looked up.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
