//! What a job leaves behind: processes and shared memory.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable in the environment of a job's processes that tells them from any others. Not one of
/// the library's own names.
const MARK: &str = "WHOLE_PROGRAM_TEST_JOB";

/// How a job's leftovers are recognised: processes by the variable that they inherit, or by the
/// group of the first one; a process that is just starting a program has no environment to read,
/// and one that left the group has.
#[derive(Debug)]
pub struct Leftovers {
    mark: String,
    group: Option<Pid>,
    shared_memory: BTreeSet<String>,
    hosts: Vec<Host>,
}

/// A host of a lab that belongs to the job altogether, but for what ran on it before.
#[derive(Debug)]
struct Host {
    first: Pid,
    namespace: PathBuf,
    before: BTreeSet<i32>,
}

impl Leftovers {
    /// Takes note of what is there before a job.
    pub fn watch() -> Leftovers {
        // Relaxed: only uniqueness matters.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = format!(
            "{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Leftovers {
            mark,
            group: None,
            shared_memory: shared_memory(),
            hosts: Vec::new(),
        }
    }

    /// Counts what is new on these hosts, each named by its first process, as the job's.
    pub(crate) fn watch_hosts(&mut self, first: &[Pid]) {
        for &first in first {
            let Some(namespace) = processes_of(first.as_raw_nonzero().get()) else {
                continue;
            };
            let before = all_processes()
                .filter(|pid| processes_of(*pid).as_ref() == Some(&namespace))
                .collect();
            self.hosts.push(Host {
                first,
                namespace,
                before,
            });
        }
    }

    /// The variable and value that the job's processes must have in their environment.
    pub fn mark(&self) -> (&str, &str) {
        (MARK, &self.mark)
    }

    /// Names the process group of the job's first process.
    pub fn belong_to(&mut self, group: Pid) {
        self.group = Some(group);
    }

    /// Processes of the job that are alive now.
    pub fn processes(&self) -> Vec<Pid> {
        let wanted = format!("{MARK}={}", self.mark);
        all_processes()
            .filter_map(Pid::from_raw)
            .filter(|pid| self.is_of_job(*pid, &wanted))
            .collect()
    }

    fn is_of_job(&self, pid: Pid, wanted: &str) -> bool {
        let pid = pid.as_raw_nonzero();
        // A process that ended meanwhile, or belongs to somebody else, has nothing to read.
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        // After the name, which may hold anything: state, parent, group.
        let mut fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let (state, group) = (
            fields.next(),
            fields.nth(1).and_then(|group| group.parse().ok()),
        );
        let dead = matches!(state, None | Some("Z" | "X"));
        let in_group = self
            .group
            .is_some_and(|ours| group == Some(ours.as_raw_nonzero().get()));
        !dead
            && (in_group
                || self.is_new_on_a_host(pid.get())
                || read("environ")
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == wanted.as_bytes()))
    }

    fn is_new_on_a_host(&self, pid: i32) -> bool {
        if self.hosts.is_empty() {
            return false;
        }
        // A session of sshd ends with its connection, and that, where a link is cut, when the
        // system gives it up. If a job leaves one behind otherwise, it leaves its other end, too.
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if program.file_name().is_some_and(|name| name == "sshd") {
            return false;
        }
        let namespace = processes_of(pid);
        self.hosts
            .iter()
            .any(|host| namespace.as_ref() == Some(&host.namespace) && !host.before.contains(&pid))
    }

    /// Ends the job's processes by force, until none is left.
    pub fn kill(&self) {
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for pid in processes {
                // It may have ended by itself since it was listed.
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::yield_now();
        }
    }

    /// Names in /dev/shm that are ours and were not there before; on hosts of a lab, any name.
    pub fn shared_memory(&self) -> Vec<String> {
        let here = shared_memory();
        let new = here.difference(&self.shared_memory).cloned();
        let on_hosts = self.hosts.iter().flat_map(|host| {
            // As that process sees it.
            let root = format!("/proc/{}/root", host.first.as_raw_nonzero());
            names(&format!("{root}/dev/shm"))
        });
        new.chain(on_hosts).collect()
    }
}

/// The names in /dev/shm that an MPI of ours could have made. Others on the machine make names
/// there at any time.
fn shared_memory() -> BTreeSet<String> {
    names("/dev/shm")
        .filter(|name| name.contains("ferrite") || name.contains("mpi_abi"))
        .collect()
}

/// The names in a folder; none if it is gone.
fn names(folder: &str) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// The ids of all processes of the machine.
pub(crate) fn all_processes() -> impl Iterator<Item = i32> {
    names("/proc").filter_map(|name| name.parse().ok())
}

/// The namespace in which a process has its id; `None` if it is gone, or is not ours to look at.
pub(crate) fn processes_of(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}
