//! Hosts on one machine, joined by a network that can be broken: what `tests/lab/netlab.sh` makes,
//! as long as a [`Lab`] lives.
//!
//! Every lab is apart from every other one and from the machine: the same names and addresses in
//! each (`h1` is 10.77.0.1 and fd00:77::1), nothing of it visible from outside but its processes.
//! It goes when it is dropped, or when the process of the test ends, in whatever way.

use crate::job::Job;
use crate::leftovers::{all_processes, processes_of};
use crate::needs::needs;
use crate::prefix::{cache, prefix};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a lab may take to go.
const GONE: Duration = Duration::from_secs(10);

/// Some hosts.
pub struct Lab {
    folder: PathBuf,
    switch: Child,
    hosts: u32,
}

/// A process on a host of a lab.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id as the machine sees it, not the host.
    pub pid: Pid,
    /// The program.
    pub program: PathBuf,
    /// Its arguments, the first one the name by which it was called, separated by blanks.
    pub command: String,
}

impl Lab {
    /// Makes hosts `h1`, `h2`, ...; `None`: the machine lacks something, which was said.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn new(hosts: u32) -> Option<Lab> {
        let programs = [
            "ip",
            "unshare",
            "nsenter",
            "ssh",
            "sshd",
            "ssh-keygen",
            "awk",
        ];
        if !needs("root") || !programs.iter().all(|program| needs(program)) || !needs("namespaces")
        {
            return None;
        }
        // Relaxed: only uniqueness matters.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = cache().join("labs").join(name);
        // An earlier process of the same id may have left its folder.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the cache can be written");
        let mut switch = Command::new(script())
            .arg(&folder)
            .args(["run", &hosts.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the lab's script can be started");
        let mut line = String::new();
        let output = switch.stdout.take().expect("piped");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the lab's output is text");
        let lab = Lab {
            folder,
            switch,
            hosts,
        };
        assert_eq!(line, "ready\n", "the lab does not come up");
        Some(lab)
    }

    /// The program that takes the place of ssh, for `mpiexec -launcher-exec`.
    pub fn ssh(&self) -> PathBuf {
        self.folder.join("ssh")
    }

    /// A folder that all hosts see, and that goes with the lab.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A job whose `mpiexec` runs on `h1`.
    pub fn job(&self, program: impl Into<PathBuf>) -> Job {
        Job::new(program)
            .inside(self, "h1")
            .launcher_args(["-launcher-exec".into(), self.ssh()])
    }

    /// The words that, put before a command, run it on a host.
    pub fn enter(&self, host: &str) -> Vec<OsString> {
        vec![
            script().into(),
            self.folder.clone().into(),
            "exec".into(),
            host.into(),
        ]
    }

    /// Runs a command on a host; its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn exec(&self, host: &str, command: &[&str]) -> String {
        let mut arguments = vec!["exec", host];
        arguments.extend(command);
        self.script(&arguments)
    }

    /// Plugs a host's cable in, or pulls it.
    pub fn link(&self, host: &str, up: bool) {
        self.script(&["link", host, if up { "up" } else { "down" }]);
    }

    /// Lets a host's packets vanish, or pass again.
    pub fn blackhole(&self, host: &str, on: bool) {
        self.script(&["blackhole", host, if on { "on" } else { "off" }]);
    }

    /// Makes a host's cable long: every packet is late, and some of a thousand are lost, both ways.
    pub fn wan(&self, host: &str, delay: Duration, loss: u32) {
        let delay = delay.as_millis().to_string();
        self.script(&["wan", host, &delay, &loss.to_string()]);
    }

    /// Ends a host as a loss of power does.
    pub fn kill(&self, host: &str) {
        self.script(&["kill", host]);
    }

    /// What runs on a host.
    pub fn processes(&self, host: &str) -> Vec<Process> {
        let Some(namespace) = self.first(host).and_then(processes_of) else {
            return Vec::new();
        };
        all_processes()
            .filter(|pid| processes_of(*pid).as_ref() == Some(&namespace))
            .filter_map(|pid| {
                Some(Process {
                    pid: Pid::from_raw(pid)?,
                    program: fs::read_link(format!("/proc/{pid}/exe")).ok()?,
                    command: fs::read_to_string(format!("/proc/{pid}/cmdline"))
                        .ok()?
                        .replace('\0', " "),
                })
            })
            .collect()
    }

    /// The processes on a host that run this program, in the order in which they began.
    pub fn find(&self, host: &str, program: &Path) -> Vec<Pid> {
        let mut found: Vec<Pid> = self
            .processes(host)
            .into_iter()
            .filter(|process| process.program == program)
            .map(|process| process.pid)
            .collect();
        found.sort_by_key(|pid| pid.as_raw_nonzero());
        found
    }

    /// The processes on a host that run a program of the prefix under test: launchers and agents.
    pub fn of_launcher(&self, host: &str) -> Vec<Pid> {
        let folder = prefix().path().canonicalize().expect("the prefix is there");
        let mut found: Vec<Pid> = self
            .processes(host)
            .into_iter()
            .filter(|process| process.program.starts_with(&folder))
            .map(|process| process.pid)
            .collect();
        found.sort_by_key(|pid| pid.as_raw_nonzero());
        found
    }

    /// The first process of every host that is up.
    pub fn hosts(&self) -> Vec<Pid> {
        (1..=self.hosts)
            .filter_map(|host| self.first(&format!("h{host}")))
            .filter_map(Pid::from_raw)
            .collect()
    }

    fn first(&self, host: &str) -> Option<i32> {
        let text = fs::read_to_string(self.folder.join(format!("{host}.pid"))).ok()?;
        text.trim().parse().ok()
    }

    fn script(&self, arguments: &[&str]) -> String {
        let output = Command::new(script())
            .arg(&self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the lab's script can be started");
        assert!(
            output.status.success(),
            "netlab.sh {arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.switch.stdin.take());
        let deadline = Instant::now() + GONE;
        while Instant::now() < deadline && matches!(self.switch.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Its child, the first process of all, goes with it.
        let _ = kill_process(Pid::from_child(&self.switch), Signal::KILL);
        let _ = self.switch.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/netlab.sh")
}
