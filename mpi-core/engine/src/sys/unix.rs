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

/// Has a function called when the process exits by way of `exit`, or returns from `main`.
pub(crate) fn at_exit(function: extern "C" fn()) {
    unsafe extern "C" {
        safe fn atexit(function: extern "C" fn()) -> core::ffi::c_int;
    }
    // It fails for want of memory only; the process then leaves its job without a word, which the launcher tells.
    let _ = atexit(function);
}
