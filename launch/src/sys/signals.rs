//! Names and meanings of signals.

/// Signals that mpiexec passes on to the ranks.
pub(crate) const PASSED_ON: [i32; 6] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTERM,
];

/// All signals that mpiexec reads as events.
pub(crate) const READ: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGCONT,
    libc::SIGCHLD,
];

/// The signal's name: `SIGSEGV`.
pub(crate) fn name(signal: i32) -> String {
    match known(signal) {
        Some((name, _)) => name.to_string(),
        None => format!("SIG{signal}"),
    }
}

/// What it means when a program dies of it; empty if the name says it all.
pub(crate) fn meaning(signal: i32) -> &'static str {
    known(signal).map_or("", |(_, meaning)| meaning)
}

fn known(signal: i32) -> Option<(&'static str, &'static str)> {
    Some(match signal {
        libc::SIGHUP => ("SIGHUP", "hang-up"),
        libc::SIGINT => ("SIGINT", "interrupt"),
        libc::SIGQUIT => ("SIGQUIT", "quit"),
        libc::SIGILL => ("SIGILL", "illegal instruction"),
        libc::SIGTRAP => ("SIGTRAP", "breakpoint without a debugger"),
        libc::SIGABRT => ("SIGABRT", "the program called abort"),
        libc::SIGBUS => ("SIGBUS", "access to memory that has nothing behind it"),
        libc::SIGFPE => ("SIGFPE", "arithmetic error"),
        libc::SIGKILL => ("SIGKILL", ""),
        libc::SIGUSR1 => ("SIGUSR1", ""),
        libc::SIGSEGV => ("SIGSEGV", "access to invalid memory"),
        libc::SIGUSR2 => ("SIGUSR2", ""),
        libc::SIGPIPE => ("SIGPIPE", "the reader of its output is gone"),
        libc::SIGALRM => ("SIGALRM", "timer"),
        libc::SIGTERM => ("SIGTERM", "asked to end"),
        libc::SIGXCPU => ("SIGXCPU", "processor time limit"),
        libc::SIGXFSZ => ("SIGXFSZ", "file size limit"),
        libc::SIGSYS => ("SIGSYS", "forbidden system call"),
        _ => return None,
    })
}
