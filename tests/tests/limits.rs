//! Jobs in which something is limited or refused: address space, locked memory, the length of
//! files, system calls. They run, if slower, and say once what is missing.

use ferrite_tests::{Job, Outcome, c, passes};
use rustix::io::Errno;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// A job of 4 ranks of `limits.c`.
fn limits(mode: &str) -> Job {
    Job::new(c("limits")).ranks(4).args([mode])
}

/// Under a limit that `ulimit` sets, for mpiexec and all that it starts.
fn under(limit: &str, job: Job) -> Job {
    let script = format!("ulimit {limit} && exec \"$@\"");
    job.through(["bash", "-c", &script, "bash"])
}

/// The job passes, and one line of its standard error has all these words; none if there are no
/// words.
fn passes_saying(job: Job, words: &[&str]) {
    let outcome = job.succeeds();
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
    says(&outcome, words);
}

fn says(outcome: &Outcome, words: &[&str]) {
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), usize::from(!words.is_empty()), "{outcome}");
    let all = words.iter().all(|word| lines[0].contains(word));
    assert!(all, "one line with {words:?}: {outcome}");
}

#[test]
fn address_space() {
    for limit in ["-v 2000000", "-v 1000000", "-v 500000"] {
        passes_saying(under(limit, limits("work")), &[]);
    }
}

/// As it is limited by a wrapper around each rank, in the end to so little that there is room for
/// the program alone.
#[test]
fn address_space_of_a_rank() {
    let without = ["ferrite: ", "share no memory", "ulimit -v"];
    for (kib, words) in [(500_000, &[][..]), (60_000, &without[..])] {
        let script = format!("ulimit -v {kib} && exec \"$@\"");
        let program = c("limits");
        let job = Job::new("bash").ranks(4);
        let job = job.args(["-c", &script, "bash"]).args([&program]);
        passes_saying(job.args(["work"]), words);
    }
}

#[test]
fn length_of_files() {
    let without = "share no memory";
    let small = "is small: ";
    let without_boards = "is small, and collective operations use messages: ";
    for (kib, what) in [
        // Not even a page.
        (0, without),
        (500, without),
        (1000, without_boards),
        (5000, small),
    ] {
        let words = ["ferrite: ", what, "ulimit -f", "raise the limit to "];
        passes_saying(under(&format!("-f {kib}"), limits("work")), &words);
    }
    passes_saying(under("-f 3000000", limits("work")), &[]);
}

#[test]
fn locked_memory() {
    passes(limits("lock"));
}

#[test]
fn address_space_of_communicators_comes_back() {
    passes(limits("back"));
}

#[test]
fn shared_memory_is_not_dumped() {
    passes(limits("dump"));
}

/// A rank aborts where cores are written: its core is small, the job is over soon, and shared
/// memory is not filled.
#[test]
fn a_core_is_small() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.trim();
    if pattern.is_empty() || pattern.contains(['|', '/', '%']) {
        eprintln!("skipped: needs cores in the current folder, not '{pattern}' (a_core_is_small)");
        return;
    }
    let folder = std::env::temp_dir().join(format!("ferrite-core-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for cores");
    let job = under("-c unlimited", limits("abort").folder(&folder));
    let outcome = job.timeout(Duration::from_secs(60)).run();
    let cores: Vec<u64> = fs::read_dir(&folder)
        .expect("the folder")
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .collect();
    let _ = fs::remove_dir_all(&folder);
    assert_eq!(outcome.status.code(), Some(128 + 6), "{outcome}");
    assert!(!cores.is_empty(), "no core: {outcome}");
    for bytes in cores {
        assert!(bytes < 64 << 20, "a core of {bytes} bytes: {outcome}");
    }
    println!("the job was over after {:?}", outcome.elapsed);
}

/// In which a system call fails.
fn refusing(call: &str, errno: Errno, job: Job) -> Job {
    let refuse = c("refuse");
    let errno = errno.raw_os_error().to_string();
    let words: [&OsStr; 3] = [refuse.as_ref(), call.as_ref(), errno.as_ref()];
    job.through(words)
}

/// System calls that sandboxes and old container runtimes refuse.
fn refused(calls: &[&str], words: &[&str]) {
    for call in calls {
        for errno in [Errno::PERM, Errno::NOSYS] {
            for transport in ["", "tcp"] {
                println!("{call}: {errno}, transport '{transport}'");
                let job = limits("work").env("FERRITE_TRANSPORT", transport);
                passes_saying(refusing(call, errno, job), words);
            }
        }
    }
}

#[test]
fn system_calls_of_mpiexec() {
    refused(&["signalfd4", "pidfd_open"], &[]);
    refused(&["prctl"], &["prctl(PR_SET_CHILD_SUBREAPER)"]);
}

#[test]
fn system_calls_of_the_library() {
    refused(
        &[
            "memfd_create",
            "membarrier",
            "process_vm_readv",
            "process_vm_writev",
            "fallocate",
            "madvise",
        ],
        &[],
    );
}

#[test]
fn system_calls_of_both() {
    refused(
        &[
            "eventfd2",
            "getrandom",
            "sched_getaffinity",
            "sched_setaffinity",
            "sched_yield",
        ],
        &[],
    );
}

/// Where a file in memory cannot be given its length, there is no shared memory.
#[test]
fn without_ftruncate() {
    // The other way of doing it does as well.
    let job = refusing("ftruncate", Errno::PERM, limits("work"));
    passes_saying(job, &[]);
    let job = refusing("fallocate", Errno::PERM, limits("work"));
    let job = refusing("ftruncate", Errno::PERM, job);
    passes_saying(job, &["ferrite: ", "ftruncate"]);
}

/// Signals to mpiexec do what they always do where it reads them from a pipe.
#[test]
fn signals_through_a_pipe() {
    let ends = |signal| {
        let job = Job::new(c("ends")).ranks(2).args(["wait"]);
        let mut job = refusing("signalfd4", Errno::NOSYS, job).start();
        job.wait_for_line("ready 0 ");
        job.wait_for_line("ready 1 ");
        job.signal(signal);
        job.finish()
    };
    let outcome = ends(Signal::TERM);
    assert_eq!(outcome.status.code(), Some(128 + 15), "{outcome}");
    let outcome = ends(Signal::INT);
    assert_eq!(outcome.status.signal(), Some(2), "{outcome}");
}

/// What has no substitute is named.
#[test]
fn without_epoll() {
    let outcome = refusing("epoll_create1", Errno::PERM, limits("work")).run();
    assert!(!outcome.status.success(), "{outcome}");
    says(&outcome, &["the launcher cannot go on: ", "epoll_create1"]);
}
