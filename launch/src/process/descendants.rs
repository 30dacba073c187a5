//! The processes below this one.
//!
//! A rank may be a shell that starts a wrapper that starts the program, each in a process group or
//! session of its own. Every one of them is a descendant all the same, and since mpiexec is a
//! subreaper (`prctl(2)`), one that loses its parent becomes mpiexec's child: nothing escapes by
//! `fork` or `setsid`.

use rustix::process::{Pid, Signal};
use std::collections::HashMap;

/// Sends a signal to all [of this process](of_this_process). Returns to how many. A descendant
/// forked meanwhile may be missed.
pub(crate) fn signal(signal: Signal, except: &[Pid]) -> usize {
    let descendants = of_this_process(except);
    for &pid in &descendants {
        // It may have ended since.
        let _ = rustix::process::kill_process(pid, signal);
    }
    descendants.len()
}

/// All descendants of this process that still run, in no order, but for these children of it and
/// what descends from them.
pub(crate) fn of_this_process(except: &[Pid]) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // A process that has just ended has no entry any more.
        let Ok(stat) = std::fs::read(entry.path().join("stat")) else {
            continue;
        };
        if let Some(parent) = running_parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![std::process::id() as i32];
    while let Some(parent) = open.pop() {
        for number in children.remove(&parent).unwrap_or_default() {
            if let Some(pid) = Pid::from_raw(number).filter(|pid| !except.contains(pid)) {
                found.push(pid);
                open.push(number);
            }
        }
    }
    found
}

/// What a process calls itself; `?`: it has just ended.
pub(crate) fn name(process: Pid) -> String {
    let path = format!("/proc/{}/comm", process.as_raw_pid());
    std::fs::read(path).map_or("?".into(), |name| {
        String::from_utf8_lossy(name.trim_ascii()).into_owned()
    })
}

/// The parent in a line of /proc/PID/stat: `pid (name) state parent ...`, where the name may hold
/// anything. `None` for a process that has ended and waits to be reaped.
fn running_parent(stat: &[u8]) -> Option<i32> {
    let after_name = stat.iter().rposition(|&b| b == b')')? + 1;
    let mut fields = stat[after_name..]
        .split(|&b| b == b' ')
        .filter(|field| !field.is_empty());
    let state = fields.next()?;
    let parent = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    (state != b"Z" && state != b"X").then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        assert_eq!(running_parent(b"42 (a) b) S 7 1 1 0"), Some(7));
        assert_eq!(running_parent(b"42 (a\n(S 9 ) R 8 1"), Some(8));
        assert_eq!(running_parent(b"42 (sh) Z 7 1"), None);
        assert_eq!(running_parent(b""), None);
    }
}
