//! What the kernel tells of where this process runs.

use rustix::thread::CpuSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The random name that the kernel has chosen for itself at boot; 0: it does not tell.
pub(crate) fn boot_id() -> u128 {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .and_then(|text| u128::from_str_radix(&text.trim().replace('-', ""), 16).ok())
        .unwrap_or(0)
}

/// The namespace of this kind (`net`, `pid`) that this process is in; 0: not known.
pub(crate) fn namespace(kind: &str) -> u64 {
    fs::metadata(format!("/proc/self/ns/{kind}")).map_or(0, |file| file.ino())
}

/// Device and inode number; zeros: there is no such file.
pub(crate) fn file_identity(path: &Path) -> (u64, u64) {
    fs::metadata(path).map_or((0, 0), |file| (file.dev(), file.ino()))
}

/// This process, its parent, and so on, as far as they can be seen.
pub(crate) fn ancestors(at_most: usize) -> Vec<u32> {
    let own = std::process::id();
    let chain = std::iter::successors(Some(own), |&pid| parent(pid));
    chain.take(at_most).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|&parent| parent != 0)
}

/// Processors that this thread is bound to, ascending. Empty: the kernel does not tell.
pub(crate) fn bound_to() -> Vec<u32> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .map(|cpu| cpu as u32)
        .collect()
}

/// How many processors this process could use if it were not bound: those of its cpuset, and no
/// more than its cgroup's quota grants.
pub(crate) fn processors_when_unbound() -> u32 {
    let available = || std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    // Binding belongs to a thread, so one that is gone at once can free itself and look around.
    let unbound = std::thread::Builder::new().spawn(move || {
        let mut all = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
        // Where it may not, it counts what it is bound to.
        let _ = rustix::thread::sched_setaffinity(None, &all);
        available()
    });
    unbound
        .ok()
        .and_then(|thread| thread.join().ok())
        .unwrap_or_else(available)
}
