//! What a host can tell of itself.

use super::bind;
use super::here::Here;
use super::reach::is_usable;
use crate::protocol::{Finding, Level, VERSION};
use crate::sys;
use rustix::process::Resource;
use std::time::{SystemTime, UNIX_EPOCH};

/// Descriptors that a rank of a large job may need: a connection to every other one.
const DESCRIPTORS: u64 = 4096;

/// Processes that a user may want on one host.
const PROCESSES: u64 = 1024;

/// The time in microseconds since 1970.
pub(crate) fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// Looks at this host.
pub(crate) fn examine() -> Vec<Finding> {
    let mut findings = vec![program()];
    findings.extend(interfaces());
    findings.push(memory_files());
    findings.push(shared_memory());
    findings.push(attach());
    findings.extend(limits());
    findings.push(processors());
    findings
}

fn ok(topic: &str, text: impl Into<String>) -> Finding {
    Finding::new(Level::Ok, topic, text)
}

fn warning(topic: &str, text: impl Into<String>) -> Finding {
    Finding::new(Level::Warning, topic, text)
}

fn program() -> Finding {
    let place = std::env::current_exe().map_or("?".into(), |path| path.display().to_string());
    let name = Here::new().name().to_string();
    ok(
        "mpiexec",
        format!("version {VERSION} at {place}; this host calls itself {name}"),
    )
}

fn interfaces() -> Vec<Finding> {
    let interfaces = match sys::interfaces() {
        Ok(interfaces) => interfaces,
        Err(e) => {
            let text = format!("the kernel does not tell them: {e}");
            return vec![Finding::new(Level::Problem, "interfaces", text)];
        }
    };
    let mut findings = Vec::new();
    for interface in interfaces.iter().filter(|i| !i.loopback) {
        let shown = format!("{} {}", interface.name, interface.address);
        findings.push(match (is_usable(interface), is_inner(&interface.name)) {
            (true, false) => ok("interface", shown),
            (true, true) => warning(
                "interface",
                format!(
                    "{shown}: looks like a bridge to containers or virtual machines of this host; \
                     FERRITE_NETWORK names the \
                     interfaces that jobs may use"
                ),
            ),
            (false, _) if !interface.up => ok("interface", format!("{shown}: down, not used")),
            (false, _) => ok("interface", format!("{shown}: local to its link, not used")),
        });
    }
    if findings.is_empty() {
        findings.push(warning(
            "interface",
            "none but loopback: jobs on this host alone run, others cannot reach it",
        ));
    }
    findings
}

/// Whether a name is one that container and virtual machine software gives to bridges.
fn is_inner(name: &str) -> bool {
    [
        "docker", "virbr", "br-", "veth", "cni", "podman", "lxcbr", "lxdbr", "vmnet", "vboxnet",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

fn memory_files() -> Finding {
    /// In bytes; a segment has some 2 GiB, of which little is ever touched.
    const ENOUGH: u64 = 3 << 30;
    let name = format!("ferrite-doctor-{}", std::process::id());
    if let Err(why) = ferrite_client::memory_file(&name) {
        let sentence = format!(
            "ranks of this host cannot share memory and use TCP ({why}); does a sandbox forbid \
             these calls?"
        );
        return warning("memory files", sentence);
    }
    match rustix::process::getrlimit(Resource::Fsize).current {
        Some(limit) if limit < ENOUGH => warning(
            "memory files",
            format!(
                "the length of files is limited to {} KiB (ulimit -f), of those in memory, too: \
                 ranks of this host share little memory \
                 or none; {} KiB are always enough",
                limit / 1024,
                ENOUGH / 1024
            ),
        ),
        _ => ok("memory files", "ranks of this host share memory (memfd)"),
    }
}

fn shared_memory() -> Finding {
    const MIB: u64 = 1 << 20;
    match rustix::fs::statvfs("/dev/shm") {
        Ok(stat) => {
            let size = stat.f_blocks * stat.f_frsize / MIB;
            ok("/dev/shm", format!("{size} MiB; Ferrite needs none of it"))
        }
        Err(_) => ok("/dev/shm", "not there; Ferrite does not need it"),
    }
}

fn attach() -> Finding {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let scope = match scope.trim() {
        "" => String::new(),
        scope => format!(" (ptrace_scope {scope})"),
    };
    match sys::try_cross_memory_attach() {
        Ok(()) => ok(
            "attach",
            format!(
                "long messages between ranks of this host are copied once, by the kernel{scope}"
            ),
        ),
        Err(e) => warning(
            "attach",
            format!(
                "process_vm_readv fails{scope}: {e}. Long messages between ranks of this host are \
                 copied twice; in a container give \
                 it CAP_SYS_PTRACE, elsewhere set kernel.yama.ptrace_scope to 1 or 0"
            ),
        ),
    }
}

fn limits() -> Vec<Finding> {
    let shown = |limit: Option<u64>| limit.map_or("unlimited".into(), |limit| limit.to_string());
    let limit = |resource| rustix::process::getrlimit(resource);
    let mut findings = Vec::new();
    let files = limit(Resource::Nofile);
    let text = format!(
        "{} open files, at most {}",
        shown(files.current),
        shown(files.maximum)
    );
    findings.push(match files.maximum {
        Some(most) if most < DESCRIPTORS => warning(
            "descriptors",
            format!(
                "{text}: a rank needs one for each host's rank that it talks to; raise it \
                (ulimit -Hn, limits.conf)"
            ),
        ),
        _ => ok("descriptors", text),
    });
    let processes = limit(Resource::Nproc);
    let text = format!("{} processes for this user", shown(processes.current));
    findings.push(match processes.current {
        Some(most) if most < PROCESSES => warning(
            "processes",
            format!("{text}: raise it (ulimit -u, limits.conf)"),
        ),
        _ => ok("processes", text),
    });
    let locked = limit(Resource::Memlock);
    let text = match locked.current {
        Some(bytes) => format!(
            "{} KiB may be locked; TCP and shared memory lock none",
            bytes >> 10
        ),
        None => "any amount may be locked".into(),
    };
    findings.push(ok("locked memory", text));
    findings
}

fn processors() -> Finding {
    let available = bind::available();
    let allowed = rustix::thread::sched_getaffinity(None).map_or(0, |set| set.count());
    let text = format!("{available} may be used");
    match allowed > available {
        true => ok(
            "processors",
            format!("{text} of {allowed}: a quota of its cgroup allows no more"),
        ),
        false => ok("processors", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_can_be_looked_at() {
        let findings = examine();
        for topic in [
            "mpiexec",
            "memory files",
            "attach",
            "descriptors",
            "processors",
        ] {
            assert!(findings.iter().any(|f| f.topic == topic), "{topic}");
        }
        assert!(findings.iter().all(|f| !f.text.contains('\n')));
    }

    #[test]
    fn bridges_of_containers_are_known_by_name() {
        assert!(is_inner("docker0") && is_inner("virbr0") && is_inner("br-1a2b3c"));
        assert!(!is_inner("eth0") && !is_inner("bond0") && !is_inner("br0"));
    }
}
