//! mpiexec as its users see it: a process with arguments, descriptors, signals and an exit status.

mod agents;
mod channel;
mod ends;
mod hosts;
mod options;
mod output;
mod places;
mod pmi;
mod signals;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

const MPIEXEC: &str = env!("CARGO_BIN_EXE_mpiexec");
const RANK: &str = env!("CARGO_BIN_EXE_launch-test-rank");

/// Longer than any of these jobs takes on a busy machine. Reaching it is the failure of a test that
/// would hang.
const DEADLINE: Duration = Duration::from_secs(120);

/// A finished mpiexec.
struct Finished {
    status: ExitStatus,
    out: String,
    err: String,
}

impl Finished {
    /// As a shell reports it.
    fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().expect("a signal"))
    }

    #[track_caller]
    fn expect(&self, code: i32, err: &str) -> &Finished {
        assert_eq!(self.code(), code, "out: {} err: {}", self.out, self.err);
        assert!(self.err.contains(err), "{err:?} is not in {}", self.err);
        self
    }

    /// Succeeded without a word on standard error.
    #[track_caller]
    fn expect_success(&self) -> &Finished {
        assert_eq!(
            (self.code(), self.err.as_str()),
            (0, ""),
            "out: {}",
            self.out
        );
        self
    }

    /// Lines of standard output, sorted.
    fn lines(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.out.lines().collect();
        lines.sort_unstable();
        lines
    }

    /// mpiexec has said exactly one thing.
    #[track_caller]
    fn expect_one_message(&self) -> &Finished {
        assert_eq!(self.err.matches("mpiexec:").count(), 1, "{}", self.err);
        self
    }
}

/// mpiexec with these arguments and an environment that says nothing of another launcher.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(MPIEXEC);
    command
        .args(arguments)
        .env_remove("MPIEXEC_TIMEOUT")
        .env_remove("FERRITE_CHANNEL")
        .env_remove("FERRITE_PREFIX")
        .env_remove("FERRITE_SSH");
    command.stdin(Stdio::null());
    command
}

/// As [`command`], to be stopped and continued: in a process group of its own. The one of the tests
/// may be orphaned (in CI it is), and the system does not stop a process of an orphaned group.
fn stoppable(arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.process_group(0);
    command
}

fn run(arguments: &[&str]) -> Finished {
    Running::start(&mut command(arguments)).finish()
}

/// mpiexec while it runs. Killed when a test fails.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    err: Option<ChildStderr>,
    seen: String,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("mpiexec starts");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let err = child.stderr.take();
        Running {
            child,
            out,
            err,
            seen: String::new(),
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("a signal to mpiexec");
    }

    /// The next line of standard output.
    #[track_caller]
    fn line(&mut self) -> String {
        if self.out.buffer().is_empty() {
            assert!(ready(self.out.get_ref(), DEADLINE), "no line of output");
        }
        let mut line = String::new();
        self.out.read_line(&mut line).expect("text");
        self.seen.push_str(&line);
        line.trim_end().to_string()
    }

    /// Waits for the end of mpiexec and of its output.
    fn finish(mut self) -> Finished {
        let mut err = self.err.take().expect("not finished yet");
        let collector = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            err.read_to_end(&mut bytes).map(|_| bytes)
        });
        let watch = std::thread::spawn({
            let pid = self.pid();
            let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a running child");
            move || {
                if !ready(&pidfd, DEADLINE) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        });
        let mut out = Vec::new();
        self.out.read_to_end(&mut out).expect("output");
        watch.join().expect("no panic");
        let status = self.child.wait().expect("a child");
        assert_ne!(status.signal(), Some(9), "mpiexec hangs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let err = text(&collector.join().expect("no panic").expect("output"));
        Finished {
            status,
            out: std::mem::take(&mut self.seen) + &text(&out),
            err,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a descriptor becomes readable in this time.
fn ready(fd: &impl AsFd, time: Duration) -> bool {
    let time = Timespec {
        tv_sec: time.as_secs() as _,
        tv_nsec: 0,
    };
    let mut fds = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&time)) {
            Ok(count) => return count > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => panic!("poll: {e}"),
        }
    }
}

/// Waits until a process is no more; it need not be a child of this one.
#[track_caller]
fn wait_for_death(pid: i32) {
    let pid = Pid::from_raw(pid).expect("a process id");
    // An error: it is gone already.
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        assert!(ready(&pidfd, DEADLINE), "process {pid} is left behind");
    }
}

/// The number after `name=` in a line.
fn field(line: &str, name: &str) -> i32 {
    line.split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name}= in {line}"))
}
