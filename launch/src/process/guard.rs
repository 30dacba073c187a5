//! mpiexec is two processes, so that no way of ending it leaves ranks behind.
//!
//! The process that the user sees is the guard. It forks the launcher, which starts the ranks and
//! does all the work, and then only passes signals down and waits. Both are subreapers. When the
//! launcher dies, whatever killed it, every rank becomes a descendant of the guard, who kills them
//! all; when the guard dies, the launcher reads end-of-file from a pipe and does the same. (The
//! kernel's parent-death signal, which ranks have too, reaches direct children only: not a program
//! behind a shell.) Only killing both in the same instant with SIGKILL can leave grandchildren
//! behind.
//!
//! All processes of a job stay in mpiexec's own process group: the terminal then treats the job as
//! it treats a pipeline. Ctrl-C and ctrl-Z reach everybody, rank 0 reads the terminal, a debugger
//! works, and mpiexec need not pass on what came from a terminal.

use super::{descendants, report};
use crate::sys::{self, Fork, Mask, SignalEvents, signals};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The launcher's side of the split.
pub(crate) struct Guarded {
    /// Reads end-of-file once the guard is dead.
    pub(crate) alive: OwnedFd,
    /// The signal mask that mpiexec was started with.
    pub(crate) mask: Mask,
}

/// What else ends a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leash {
    None,
    /// The end of standard input: an agent's connection. The launcher sees it as well; if it has
    /// not gone soon after, it hangs.
    Stdin,
}

/// How long the launcher has to go by itself when the leash is cut.
const CUT: Duration = Duration::from_millis(1500);

/// Splits mpiexec, and runs `launch` in the new process. Returns, in the guard only, the exit code.
pub(crate) fn split(leash: Leash, launch: impl FnOnce(Guarded) -> Outcome) -> io::Result<ExitCode> {
    let mask = sys::block(&signals::READ);
    let (alive, held) = pipe_with(PipeFlags::CLOEXEC)?;
    if let Err(e) = adopt_orphans() {
        report::stderr(&format!(
            "prctl(PR_SET_CHILD_SUBREAPER) is refused ({e}), by a sandbox or an old container \
             runtime: what ranks start in the \
             background may outlive the job"
        ));
    }
    match sys::fork()? {
        Fork::Parent(launcher) => {
            drop(alive);
            let code = watch(launcher, leash)?;
            drop(held);
            Ok(code)
        }
        Fork::Child => {
            drop(held);
            // Not "mpiexec": killing by that name is to reach the guard alone.
            let _ = rustix::thread::set_name(c"ferrite-launch");
            // The guard has told if it is refused.
            let _ = adopt_orphans();
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

/// Becomes the parent of descendants that lose theirs.
fn adopt_orphans() -> rustix::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// mpiexec exits with this code.
    Exit(u8),
    /// By ctrl-C: mpiexec dies of SIGINT itself, so that a shell's loop around it ends too (a shell
    /// reports 130).
    Interrupted,
}

fn watch(launcher: Pid, leash: Leash) -> io::Result<ExitCode> {
    let events = SignalEvents::of(&signals::READ)?;
    let mut holds = leash == Leash::Stdin;
    let mut cut: Option<Instant> = None;
    loop {
        while let Some(received) = events.next() {
            match received.signal {
                libc::SIGCHLD => match look_at(launcher) {
                    Launcher::Runs => {}
                    // Only now: whoever sees mpiexec stopped and continues it finds the launcher
                    // stopped as well.
                    Launcher::Stopped => sys::take_default_action(libc::SIGTSTP),
                    Launcher::Ended(status) => return Ok(finish(status)),
                },
                // From a terminal, the launcher has it.
                signal if !received.terminal => pass_on(launcher, signal),
                _ => {}
            }
        }
        if cut.is_some_and(|at| at <= Instant::now()) {
            cut = None;
            let _ = rustix::process::kill_process(launcher, Signal::KILL);
        }
        if wait(&events, holds, cut)? {
            holds = false;
            cut = Some(Instant::now() + CUT);
        }
    }
}

/// Waits for a signal, for this time, or, while it holds, for the leash to be cut. Returns whether
/// it is.
fn wait(events: &SignalEvents, holds: bool, until: Option<Instant>) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(events, PollFlags::IN),
        // Its end is reported without being asked for.
        PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::empty()),
    ];
    let left =
        until.map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
    let left = left.map(|left| Timespec {
        tv_sec: left.as_secs() as _,
        tv_nsec: left.subsec_nanos() as _,
    });
    let watched = if holds { 2 } else { 1 };
    match poll(&mut fds[..watched], left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(holds && !fds[1].revents().is_empty()),
        Err(e) => Err(e.into()),
    }
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
        descendants::signal(Signal::KILL, &[]);
        // Blocks until one is dead; an error means that no child is left.
        if rustix::process::wait(WaitOptions::empty()).is_err() {
            return;
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}
