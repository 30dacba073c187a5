//! Unix.

use core::ffi::CStr;
use core::mem::MaybeUninit;
use std::fs;
use std::path::PathBuf;

use crate::hardware::{Resource, first_of};

/// Lets another process or thread have the processor.
pub(crate) fn yield_now() {
    // Not by rustix, which takes it for a call that cannot be refused.
    // SAFETY: it has no arguments.
    unsafe { libc::sched_yield() };
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
    // It fails for want of memory only; the process then leaves its job without a word, which the
    // launcher tells.
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

/// The first of the processors that share a resource of this kind with a processor, as far as the
/// system tells (Linux does, in `/sys/devices/system`).
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

/// The file that this code was loaded from: a library or a program.
pub(crate) fn own_file() -> Option<String> {
    let mut found = MaybeUninit::<libc::Dl_info>::uninit();
    let here = own_file as fn() -> Option<String>;
    // SAFETY: the address is that of a function, and `found` may be written.
    if unsafe { libc::dladdr(here as *const _, found.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: the call has succeeded, so it has filled in everything; the name is a string for as
    // long as the file is loaded.
    let name = unsafe { CStr::from_ptr(found.assume_init().dli_fname) };
    Some(name.to_string_lossy().into_owned())
}

/// How the name of the memory file begins that stands for an engine among the mappings of its
/// process. It is the one place that all copies of this code see, however they were loaded, and
/// that ends with the program that the process runs.
#[cfg(target_os = "linux")]
const MARK: &str = "ferrite-engine:";

/// The file of the engine that has marked this process, if one has.
pub(crate) fn marked_by() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        let maps = fs::read("/proc/self/maps").ok()?;
        let maps = String::from_utf8_lossy(&maps);
        let mark = format!("/memfd:{MARK}");
        let file = maps.lines().find_map(|line| line.split_once(&mark))?.1;
        Some(file.trim_end_matches(" (deleted)").to_owned())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Marks this process as one that has an engine, from this file. Without a memory file there is no
/// mark.
pub(crate) fn mark_process(file: &str) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{MemfdFlags, memfd_create};
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        // The kernel takes 249 bytes; the end of a path tells more than its beginning.
        let mut start = file.len().saturating_sub(249 - MARK.len());
        while !file.is_char_boundary(start) {
            start += 1;
        }
        let Ok(memory) = memfd_create(format!("{MARK}{}", &file[start..]), MemfdFlags::CLOEXEC)
        else {
            return;
        };
        // Empty and never touched: the name is all that is wanted, and a limit on the length of
        // files does not matter. SAFETY: the system chooses the place, so no mapping is replaced.
        let _ = unsafe {
            mmap(
                core::ptr::null_mut(),
                4096,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
                &memory,
                0,
            )
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

/// How many threads this process has; `None` where the system does not tell.
pub(crate) fn count_threads() -> Option<usize> {
    #[cfg(target_os = "linux")]
    {
        Some(fs::read_dir("/proc/self/task").ok()?.count())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The threads of this process that do nothing until another thread of it wakes them or ends, or
/// that have ended themselves: number, and how often each has given up the processor. `None` where
/// the system does not tell.
pub(crate) fn parked_threads() -> Option<Vec<(u32, u64)>> {
    #[cfg(target_os = "linux")]
    {
        let mut parked = Vec::new();
        for entry in fs::read_dir("/proc/self/task").ok()? {
            let folder = entry.ok()?.path();
            // One that ends meanwhile has no files any more.
            let (Ok(status), Ok(call)) = (
                fs::read_to_string(folder.join("status")),
                fs::read_to_string(folder.join("syscall")),
            ) else {
                continue;
            };
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.map(str::trim)
            };
            let has_ended = field("State:").is_some_and(|state| state.starts_with(['Z', 'X']));
            if has_ended || waits_for_threads(&call) {
                let number = field("Pid:")?.parse().ok()?;
                parked.push((number, field("voluntary_ctxt_switches:")?.parse().ok()?));
            }
        }
        parked.sort_unstable();
        Some(parked)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Whether this line of `/proc/PID/task/TID/syscall` is that of a wait at a futex without a time
/// limit, of which no other process knows.
#[cfg(target_os = "linux")]
fn waits_for_threads(call: &str) -> bool {
    let mut words = call.split_whitespace();
    if words.next().and_then(|word| word.parse().ok()) != Some(libc::SYS_futex) {
        return false;
    }
    let mut words = words.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let mut next = || words.next().flatten();
    let (Some(address), Some(operation), Some(_), Some(limit)) = (next(), next(), next(), next())
    else {
        return false;
    };
    let operation = operation as i32;
    let is_private = operation & libc::FUTEX_PRIVATE_FLAG != 0;
    let command = operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    // Whoever joins a thread waits at a word of its stack as at one that processes share.
    matches!(command, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET)
        && limit == 0
        && (is_private || is_own_memory(address) == Some(true))
}

/// Whether no other process sees what is written to this address; `None` where nothing is mapped.
#[cfg(target_os = "linux")]
fn is_own_memory(address: u64) -> Option<bool> {
    let maps = fs::read("/proc/self/maps").ok()?;
    let maps = String::from_utf8_lossy(&maps);
    maps.lines().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (first, end) = range.split_once('-')?;
        let parse = |hex| u64::from_str_radix(hex, 16).ok();
        let is_within = (parse(first)?..parse(end)?).contains(&address);
        is_within.then(|| rest.as_bytes().get(3) == Some(&b'p'))
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::parked_threads;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    fn own_number() -> u32 {
        rustix::thread::gettid().as_raw_nonzero().get() as u32
    }

    /// Whether a thread that does this is found to be parked, in a hundred looks.
    fn is_parked(work: impl FnOnce() + Send + 'static) -> bool {
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            tell.send(own_number()).expect("it is waited for");
            work();
        });
        let number = told.recv().expect("it tells");
        let found = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(1));
            let parked = parked_threads().expect("Linux tells");
            parked.iter().any(|entry| entry.0 == number)
        });
        thread.thread().unpark();
        drop(thread);
        found
    }

    #[test]
    fn who_waits_for_another_thread_is_parked() {
        assert!(is_parked(thread::park));
        let (keep, wait) = mpsc::channel::<()>();
        assert!(is_parked(move || assert!(wait.recv().is_err())));
        drop(keep);
        let (keep, wait) = mpsc::channel::<()>();
        let other = thread::spawn(move || assert!(wait.recv().is_err()));
        assert!(is_parked(move || other.join().expect("no panic")));
        drop(keep);
    }

    #[test]
    fn who_goes_on_alone_is_not_parked() {
        assert!(!is_parked(|| thread::sleep(Duration::from_secs(1))));
        assert!(!is_parked(|| thread::park_timeout(Duration::from_secs(1))));
        let is_enough = Arc::new(AtomicBool::new(false));
        let told = is_enough.clone();
        assert!(!is_parked(move || while !told.load(Ordering::Relaxed) {}));
        is_enough.store(true, Ordering::Relaxed);
        let (end, other_end) = std::io::pipe().expect("a pipe");
        assert!(!is_parked(move || {
            let mut end = end;
            drop(std::io::Read::read(&mut end, &mut [0]));
        }));
        drop(other_end);
    }
}
