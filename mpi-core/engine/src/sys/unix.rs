//! Unix.

use std::fs;
use std::path::PathBuf;

use crate::hardware::{Resource, first_of};

/// Lets another process or thread have the processor.
pub(crate) fn yield_now() {
    rustix::thread::sched_yield();
}

/// The name of this host, as the kernel has it: nothing is looked up.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Has a function called when the process exits by way of `exit`, or returns from `main`.
pub(crate) fn at_exit(function: extern "C" fn()) {
    unsafe extern "C" {
        safe fn atexit(function: extern "C" fn()) -> core::ffi::c_int;
    }
    // It fails for want of memory only; the process then leaves its job without a word, which the launcher tells.
    let _ = atexit(function);
}

/// The processors that this process may run on; none where the system does not tell.
pub(crate) fn allowed_processors() -> Vec<u32> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        let all = 0..rustix::thread::CpuSet::MAX_CPU;
        return all
            .filter(|cpu| set.is_set(*cpu))
            .map(|cpu| cpu as u32)
            .collect();
    }
    Vec::new()
}

/// The first of the processors that share a resource of this kind with a processor, as far as the system tells (Linux does, in
/// `/sys/devices/system`).
pub(crate) fn first_beside(processor: u32, resource: Resource) -> Option<u32> {
    let cpu = PathBuf::from(format!("/sys/devices/system/cpu/cpu{processor}"));
    let first = |path: PathBuf| first_of(&fs::read_to_string(path).ok()?);
    match resource {
        Resource::Package => first(cpu.join("topology/package_cpus_list")),
        Resource::Core => first(cpu.join("topology/core_cpus_list")),
        Resource::Processor => Some(processor),
        Resource::NumaNode => {
            let names = fs::read_dir(cpu)
                .ok()?
                .flatten()
                .map(|entry| entry.file_name());
            let mut nodes = names.filter_map(|name| {
                let number = name.to_str()?.strip_prefix("node")?;
                number.parse::<u32>().ok()
            });
            let node = nodes.next()?;
            first(format!("/sys/devices/system/node/node{node}/cpulist").into())
        }
        Resource::Cache(level) => {
            let caches = fs::read_dir(cpu.join("cache")).ok()?.flatten();
            let has = |cache: &PathBuf, file: &str, what: &str| {
                fs::read_to_string(cache.join(file)).is_ok_and(|text| text.trim() == what)
            };
            let mut caches = caches.map(|entry| entry.path()).filter(|cache| {
                has(cache, "level", &level.to_string()) && !has(cache, "type", "Instruction")
            });
            first(caches.next()?.join("shared_cpu_list"))
        }
    }
}
