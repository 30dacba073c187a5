//! Running a program under `mpiexec`, with a deadline and a look at what it leaves behind.

use crate::lab::Lab;
use crate::leftovers::Leftovers;
use crate::prefix::prefix;
use crate::stacks;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long processes may take to vanish after their launcher has.
const VANISH: Duration = Duration::from_secs(5);

/// A job to run. The environment is this process's without its `FERRITE_` settings and without
/// `LD_LIBRARY_PATH`: a job has the settings its test gives it, and finds the library by its run
/// path.
#[derive(Debug)]
pub struct Job {
    program: PathBuf,
    start: Start,
    launcher_arguments: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<(String, Option<String>)>,
    folder: Option<PathBuf>,
    input: Vec<u8>,
    timeout: Duration,
    vanish: Duration,
    /// The command that puts the launcher, or the program, into its surroundings.
    surroundings: Vec<OsString>,
    lab: Option<Vec<Pid>>,
}

/// How a program is started.
#[derive(Debug)]
enum Start {
    /// By the `mpiexec` of the prefix under test.
    Ours,
    /// By another launcher.
    Launcher(PathBuf),
    /// By itself.
    Alone,
}

/// What became of a job.
#[derive(Debug)]
pub struct Outcome {
    /// The launcher's exit status.
    pub status: ExitStatus,
    /// What was written to the standard output.
    pub stdout: String,
    /// What was written to the standard error stream.
    pub stderr: String,
    /// How long it took, for the eye; tests do not judge it.
    pub elapsed: Duration,
    what: String,
}

/// A job that was started.
pub struct Running {
    child: Child,
    stdout: Stream,
    stderr: Stream,
    leftovers: Leftovers,
    started: Instant,
    deadline: Instant,
    vanish: Duration,
    what: String,
}

impl Job {
    /// One rank of a program, started by our `mpiexec`.
    pub fn new(program: impl Into<PathBuf>) -> Job {
        Job {
            program: program.into(),
            start: Start::Ours,
            launcher_arguments: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: Vec::new(),
            timeout: Duration::from_secs(120),
            vanish: VANISH,
            surroundings: Vec::new(),
            lab: None,
        }
    }

    /// A program started by itself, without a launcher.
    pub fn alone(program: impl Into<PathBuf>) -> Job {
        Job {
            start: Start::Alone,
            ..Job::new(program)
        }
    }

    /// How many ranks.
    #[must_use]
    pub fn ranks(self, ranks: u32) -> Job {
        self.launcher_args(["-n", &ranks.to_string()])
    }

    /// Arguments of `mpiexec`.
    #[must_use]
    pub fn launcher_args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Job {
        self.launcher_arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Another `mpiexec` than that of the prefix under test.
    #[must_use]
    pub fn launcher(mut self, launcher: impl Into<PathBuf>) -> Job {
        self.start = Start::Launcher(launcher.into());
        self
    }

    /// Arguments of the program.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Job {
        self.arguments.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        self
    }

    /// Sets a variable in the environment of the launcher, which passes it on.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Job {
        self.environment
            .push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Removes a variable from the environment.
    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Job {
        self.environment.push((name.to_owned(), None));
        self
    }

    /// Sets several variables.
    #[must_use]
    pub fn envs(self, variables: &[(&str, &str)]) -> Job {
        variables
            .iter()
            .fold(self, |job, (name, value)| job.env(name, value))
    }

    /// The folder to start in.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Job {
        self.folder = Some(folder.into());
        self
    }

    /// What the launcher reads from its standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Job {
        self.input = input.into();
        self
    }

    /// After how long the job counts as hanging.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Job {
        self.timeout = timeout;
        self
    }

    /// How long processes may take to vanish after their launcher has.
    #[must_use]
    pub fn vanish(mut self, vanish: Duration) -> Job {
        self.vanish = vanish;
        self
    }

    /// A command that is put before the launcher's.
    #[must_use]
    pub fn through<S: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = S>) -> Job {
        self.surroundings
            .extend(command.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Starts on a host of a lab. All processes on hosts of the lab that were not there before
    /// belong to the job.
    #[must_use]
    pub fn inside(mut self, lab: &Lab, host: &str) -> Job {
        self.surroundings.splice(0..0, lab.enter(host));
        self.lab = Some(lab.hosts());
        self
    }

    /// Runs the job to its end.
    ///
    /// # Panics
    /// When it hangs, after printing where its processes stand and ending them; when it leaves
    /// processes or shared memory.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Runs the job and expects that it succeeds.
    ///
    /// # Panics
    /// As [`Job::run`], and when the exit status is not 0.
    pub fn succeeds(self) -> Outcome {
        let outcome = self.run();
        assert!(outcome.status.success(), "{outcome}");
        outcome
    }

    /// Starts the job.
    ///
    /// # Panics
    /// When the launcher cannot be started.
    pub fn start(self) -> Running {
        let mut leftovers = Leftovers::watch();
        if let Some(hosts) = &self.lab {
            leftovers.watch_hosts(hosts);
        }
        let launcher = match self.start {
            Start::Ours => Some(prefix().program("mpiexec")),
            Start::Launcher(launcher) => Some(launcher),
            Start::Alone => None,
        };
        let mut words = self.surroundings;
        if let Some(launcher) = launcher {
            words.push(launcher.into());
            words.extend(self.launcher_arguments);
        }
        words.push(self.program.into());
        words.extend(self.arguments);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let what = format!("{:?} {command:?}", self.environment);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FERRITE_") || name == "LD_LIBRARY_PATH" {
                command.env_remove(name);
            }
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let (mark, value) = leftovers.mark();
        command.env(mark, value);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        // A group of its own: a signal to it does not reach the tests.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        leftovers.belong_to(Pid::from_child(&child));
        let mut stdin = child.stdin.take().expect("piped");
        let input = self.input;
        // Not joined: a job that does not read its input must not hold up the test. A broken pipe
        // is the job's choice.
        std::thread::spawn(move || stdin.write_all(&input));
        Running {
            stdout: Stream::of(child.stdout.take().expect("piped")),
            stderr: Stream::of(child.stderr.take().expect("piped")),
            child,
            leftovers,
            started,
            deadline: started + self.timeout,
            vanish: self.vanish,
            what,
        }
    }
}

impl Running {
    /// Waits until a line of the standard output contains a text, and returns that line.
    ///
    /// # Panics
    /// When the output ends without it, or at the deadline.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        match self.stdout.find_line(text, self.deadline) {
            Some(line) => line,
            None => {
                let report = stacks::report(&self.leftovers.processes());
                self.leftovers.kill();
                panic!(
                    "{}: no line with '{text}'\n{report}stdout:\n{}stderr:\n{}",
                    self.what,
                    self.stdout.text(),
                    self.stderr.text()
                );
            }
        }
    }

    /// The launcher's process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The job's processes that are alive, the launcher among them.
    pub fn processes(&self) -> Vec<Pid> {
        self.leftovers.processes()
    }

    /// Sends a signal to the launcher only, as `kill` does.
    ///
    /// # Panics
    /// When the launcher has ended already.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the launcher is alive");
    }

    /// From now on the job counts as hanging after this time.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Running {
        self.deadline = Instant::now() + time;
        self
    }

    /// Waits for the job's end.
    ///
    /// # Panics
    /// As [`Job::run`].
    pub fn finish(mut self) -> Outcome {
        let ended = ends_before(self.pid(), self.deadline);
        if !ended {
            let report = stacks::report(&self.leftovers.processes());
            self.leftovers.kill();
            let _ = self.child.wait();
            panic!(
                "{} hangs; its processes stood here and were \
                 ended:\n{report}stdout:\n{}stderr:\n{}",
                self.what,
                self.stdout.text(),
                self.stderr.text()
            );
        }
        let status = self.child.wait().expect("a child can be waited for");
        let elapsed = self.started.elapsed();
        let vanish = Instant::now() + self.vanish;
        let orphans: Vec<Pid> = self
            .leftovers
            .processes()
            .into_iter()
            .filter(|pid| !ends_before(*pid, vanish))
            .collect();
        let report = stacks::report(&orphans);
        self.leftovers.kill();
        let outcome = Outcome {
            status,
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            elapsed,
            what: self.what,
        };
        assert!(
            orphans.is_empty(),
            "processes outlived their launcher:\n{report}{outcome}"
        );
        let memory = self.leftovers.shared_memory();
        assert!(memory.is_empty(), "left in /dev/shm: {memory:?}\n{outcome}");
        outcome
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome {
            status,
            stdout,
            stderr,
            elapsed,
            what,
        } = self;
        write!(
            f,
            "{what}\n{status} after {elapsed:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }
}

/// Waits for the end of a process; whether it ended before the deadline.
fn ends_before(pid: Pid, deadline: Instant) -> bool {
    // A process that is gone has no descriptor.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a deadline is near");
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("cannot wait for process {pid:?}: {error}"),
        }
    }
}

/// What a pipe delivered so far, collected by a thread.
struct Stream {
    collected: Arc<Collected>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Collected {
    content: Mutex<Content>,
    grown: Condvar,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn of(mut pipe: impl Read + Send + 'static) -> Stream {
        let collected = Arc::new(Collected::default());
        let theirs = Arc::clone(&collected);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 16384];
            loop {
                let read = pipe.read(&mut chunk).unwrap_or(0);
                let mut content = theirs.content.lock().expect("no reader panics");
                content.bytes.extend_from_slice(&chunk[..read]);
                content.ended = read == 0;
                theirs.grown.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Stream { collected, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(
            &self
                .collected
                .content
                .lock()
                .expect("no reader panics")
                .bytes,
        )
        .into_owned()
    }

    fn finish(self) -> String {
        self.reader.join().expect("no reader panics");
        String::from_utf8_lossy(
            &self
                .collected
                .content
                .lock()
                .expect("no reader panics")
                .bytes,
        )
        .into_owned()
    }

    fn find_line(&self, text: &str, deadline: Instant) -> Option<String> {
        let mut content = self.collected.content.lock().expect("no reader panics");
        loop {
            let all = String::from_utf8_lossy(&content.bytes);
            if let Some(line) = all
                .split_inclusive('\n')
                .find(|line| line.ends_with('\n') && line.contains(text))
            {
                return Some(line.trim_end().to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if content.ended || left.is_zero() {
                return None;
            }
            content = self
                .collected
                .grown
                .wait_timeout(content, left)
                .expect("no reader panics")
                .0;
        }
    }
}
