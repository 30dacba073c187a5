//! What a job leaves behind: processes and shared memory.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable in the environment of a job's processes that tells them from any others. Not one of the library's own names.
const MARK: &str = "WHOLE_PROGRAM_TEST_JOB";

/// How a job's leftovers are recognised: processes by the variable that they inherit, or by the group of the first one; a process that
/// is just starting a program has no environment to read, and one that left the group has.
#[derive(Debug)]
pub struct Leftovers {
    mark: String,
    group: Option<Pid>,
    shared_memory: BTreeSet<String>,
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
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .parse()
                    .ok()
                    .and_then(Pid::from_raw)
            })
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
                || read("environ")
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == wanted.as_bytes()))
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

    /// Names in /dev/shm that are ours and were not there before.
    pub fn shared_memory(&self) -> Vec<String> {
        shared_memory()
            .difference(&self.shared_memory)
            .cloned()
            .collect()
    }
}

/// The names in /dev/shm that an MPI of ours could have made. Others on the machine make names there at any time.
fn shared_memory() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/dev/shm") else {
        return BTreeSet::new();
    };
    entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("ferrite") || name.contains("mpi_abi"))
        .collect()
}
