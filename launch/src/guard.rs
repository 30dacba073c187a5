//! mpiexec is two processes, so that no way of ending it leaves ranks behind.
//!
//! The process that the user sees is the guard. It forks the launcher, which starts the ranks and does all the work, and
//! then only passes signals down and waits. Both are subreapers. When the launcher dies, whatever killed it, every rank
//! becomes a descendant of the guard, who kills them all; when the guard dies, the launcher reads end-of-file from a pipe and does the
//! same. (The kernel's parent-death signal, which ranks have too, reaches direct children only: not a program behind a
//! shell.) Only killing both in the same instant with SIGKILL can leave grandchildren behind.
//!
//! All processes of a job stay in mpiexec's own process group: the terminal then treats the job as it treats a pipeline. Ctrl-C and ctrl-Z
//! reach everybody, rank 0 reads the terminal, a debugger works, and mpiexec need not pass on what came from a terminal.

use crate::report;
use crate::signals;
use crate::sys::{self, Fork, Mask, SignalEvents};
use crate::tree;
use rustix::fd::OwnedFd;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use std::io;
use std::process::ExitCode;

/// The launcher's side of the split.
pub(crate) struct Guarded {
    /// Reads end-of-file once the guard is dead.
    pub(crate) alive: OwnedFd,
    /// The signal mask that mpiexec was started with.
    pub(crate) mask: Mask,
}

/// Splits mpiexec, and runs `launch` in the new process. Returns, in the guard only, the exit code.
pub(crate) fn split(launch: impl FnOnce(Guarded) -> Outcome) -> io::Result<ExitCode> {
    let mask = sys::block(&signals::READ);
    let (alive, held) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    match sys::fork()? {
        Fork::Parent(launcher) => {
            drop(alive);
            let code = watch(launcher)?;
            drop(held);
            Ok(code)
        }
        Fork::Child => {
            drop(held);
            // Not "mpiexec": killing by that name is to reach the guard alone.
            let _ = rustix::thread::set_name(c"ferrite-launch");
            let subreaper = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
            if let Err(e) = subreaper {
                report::stderr(&format!("cannot become a subreaper: {e}"));
                std::process::exit(1);
            }
            match launch(Guarded { alive, mask }) {
                Outcome::Exit(code) => std::process::exit(code.into()),
                Outcome::Interrupted => {
                    sys::take_default_action(libc::SIGINT);
                    std::process::exit(128 + libc::SIGINT)
                }
            }
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// mpiexec exits with this code.
    Exit(u8),
    /// By ctrl-C: mpiexec dies of SIGINT itself, so that a shell's loop around it ends too (a shell reports 130).
    Interrupted,
}

fn watch(launcher: Pid) -> io::Result<ExitCode> {
    let events = SignalEvents::of(&signals::READ, true)?;
    while let Some(received) = events.next() {
        match received.signal {
            libc::SIGCHLD => match look_at(launcher) {
                Launcher::Runs => {}
                // Only now: whoever sees mpiexec stopped and continues it finds the launcher stopped as well.
                Launcher::Stopped => sys::take_default_action(libc::SIGTSTP),
                Launcher::Ended(status) => return Ok(finish(status)),
            },
            // From a terminal, the launcher has it.
            signal if !received.terminal => pass_on(launcher, signal),
            _ => {}
        }
    }
    Err(io::Error::other("the stream of signals has ended"))
}

fn pass_on(launcher: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It may have ended: the next event says so.
        let _ = rustix::process::kill_process(launcher, signal);
    }
}

enum Launcher {
    Runs,
    Stopped,
    Ended(WaitStatus),
}

/// Reaps whatever has ended.
fn look_at(launcher: Pid) -> Launcher {
    let mut found = Launcher::Runs;
    let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
    while let Ok(Some((pid, status))) = rustix::process::wait(options) {
        match (pid == launcher, status.stopped()) {
            (true, true) => found = Launcher::Stopped,
            (true, false) => found = Launcher::Ended(status),
            (false, _) => {}
        }
    }
    found
}

fn finish(launcher: WaitStatus) -> ExitCode {
    if let Some(code) = launcher.exit_status() {
        return ExitCode::from(code as u8);
    }
    let signal = launcher.terminating_signal().unwrap_or(libc::SIGKILL);
    if signal == libc::SIGINT {
        sys::take_default_action(libc::SIGINT);
    } else {
        report::stderr(&format!(
            "its launching process died of {}; the ranks are killed",
            signals::name(signal)
        ));
        kill_all();
    }
    ExitCode::from(128 + signal as u8)
}

/// Kills descendants until there are none.
fn kill_all() {
    loop {
        tree::signal_descendants(Signal::KILL, &[]);
        // Blocks until one is dead; an error means that no child is left.
        if rustix::process::wait(WaitOptions::empty()).is_err() {
            return;
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}
