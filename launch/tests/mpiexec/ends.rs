//! How jobs end, well and otherwise.

use crate::{RANK, Running, command, field, run, stoppable, wait_for_death};
use ferrite_fabric_testing::depth::pick;
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_first_failing_rank_s_code_is_the_job_s() {
    // Often: the last processes end in any order.
    for _ in 0..pick(3, 30) {
        run(&[
            "-n",
            "3",
            "sh",
            "-c",
            "[ $MPI_LOCALRANKID != 1 ] || exit 7; sleep 1000",
        ])
        .expect(7, "rank 1 (process ")
        .expect(7, ", sh) exited with code 7; the other ranks are ended")
        .expect_one_message();
    }
}

#[test]
fn a_program_that_is_not_there() {
    run(&["-n", "2", "./no/such/program"])
        .expect(127, "./no/such/program does not exist")
        .expect_one_message();
    run(&["no-such-program"])
        .expect(127, "no-such-program not found in PATH")
        .expect_one_message();
    run(&["true", ":", "./no/such/program"])
        .expect(127, "does not exist")
        .expect_one_message();
    run(&["/"])
        .expect(126, "is a directory")
        .expect_one_message();
}

#[test]
fn a_program_that_cannot_be_executed() {
    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str, content: &[u8], mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_string()
    };
    let plain = program("plain", b"#!/bin/sh\n", 0o644);
    run(&["-n", "2", &plain])
        .expect(126, "may not be executed")
        .expect_one_message();
    let lost = program("lost", b"#!/no/such/interpreter\n", 0o755);
    run(&["-n", "2", &lost])
        .expect(127, "interpreter")
        .expect_one_message();
}

#[test]
fn a_rank_that_crashes_ends_the_job() {
    let crash = run(&["-n", "3", RANK, "hello", "1:signal=11", "wait"]);
    crash
        .expect(139, "rank 1 (process ")
        .expect(139, "signal 11 (SIGSEGV: access to invalid memory)")
        .expect_one_message();
    let alone = run(&[RANK, "hello", "signal=6"]);
    alone.expect(134, "signal 6 (SIGABRT").expect_one_message();
}

#[test]
fn a_rank_that_is_killed_ends_the_job() {
    let mut job = Running::start(&mut command(&["-n", "2", RANK, "hello", "1:pid", "wait"]));
    let pid = field(&job.line(), "pid");
    let rank = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(rank, Signal::KILL).unwrap();
    let job = job.finish();
    job.expect(
        137,
        &format!("rank 1 (process {pid}, {RANK}) was killed by signal 9 (SIGKILL)"),
    )
    .expect_one_message();
}

#[test]
fn ranks_that_ignore_sigterm_are_killed() {
    let job = run(&[
        "-n",
        "3",
        RANK,
        "ignore=15",
        "pid",
        "hello",
        "0:exit=5",
        "wait",
    ]);
    job.expect(5, "exited with code 5 without calling MPI_Finalize")
        .expect_one_message();
    for line in job.out.lines() {
        wait_for_death(field(line, "pid"));
    }
}

#[test]
fn exiting_between_init_and_finalize_is_a_failure_where_others_wait() {
    // One waits for the rank that has left; the other goes on.
    run(&["-n", "3", RANK, "hello", "0:exit=0", "1:need=0", "wait"])
        .expect(1, "rank 0 (process ")
        .expect(
            1,
            "exited without calling MPI_Finalize, and rank 1 waits for it; the other ranks are \
             ended",
        )
        .expect_one_message();
    // All wait, for somebody or for the end.
    run(&[
        "-n", "4", RANK, "hello", "0:exit=0", "1:exit=0", "2:end", "any",
    ])
    .expect(
        1,
        "exited without calling MPI_Finalize, and all others wait; the other ranks are ended",
    )
    .expect_one_message();
    // A connection to it was wanted.
    run(&["-n", "3", RANK, "hello", "0:exit=0", "1:lost=0", "wait"])
        .expect(1, "rank 0 (process ")
        .expect(
            1,
            "exited without calling MPI_Finalize, and rank 1 needs it",
        )
        .expect_one_message();
    run(&["-n", "2", RANK, "hello", "finalize"]).expect_success();
}

#[test]
fn a_rank_that_leaves_without_finalize_is_not_waited_for() {
    let job = run(&[
        "-n", "4", RANK, "hello", "1:exit=0", "0:copy", "end", "finalize", "say=done",
    ]);
    job.expect(0, "mpiexec: warning: rank 1 exited without MPI_Finalize\n")
        .expect_one_message();
    assert_eq!(job.out, "done\ndone\ndone\n");
}

#[test]
fn ranks_that_all_exit_between_init_and_finalize_are_warned_of() {
    run(&[RANK, "hello"])
        .expect(0, "mpiexec: warning: rank 0 exited without MPI_Finalize\n")
        .expect_one_message();
    // mpiexec sleeps while they exit (they ignore the SIGTSTP that it passes on), so that it sees
    // both ends at once.
    let mut job = Running::start(&mut stoppable(&[
        "-n",
        "2",
        RANK,
        "ignore=20",
        "hello",
        "pid",
        "catch=10",
    ]));
    let mut lines = [(); 4].map(|()| job.line());
    lines.sort_unstable();
    let ranks = [&lines[0], &lines[1]].map(|line| field(line, "pid"));
    job.signal(Signal::TSTP);
    let stopped = rustix::process::waitpid(Some(job.pid()), rustix::process::WaitOptions::UNTRACED);
    assert!(stopped.unwrap().unwrap().1.stopped());
    for rank in ranks {
        let process = rustix::process::Pid::from_raw(rank).unwrap();
        rustix::process::kill_process(process, Signal::USR1).unwrap();
        wait_for_death(rank);
    }
    job.signal(Signal::CONT);
    job.finish()
        .expect(
            0,
            "mpiexec: warning: ranks 0-1 exited without MPI_Finalize\n",
        )
        .expect_one_message();
}

#[test]
fn a_code_after_finalize_is_kept_and_ends_nobody() {
    let job = run(&[
        "-n", "2", RANK, "hello", "finalize", "0:exit=4", "1:copy", "say=done",
    ]);
    job.expect(4, "exited with code 4, after MPI_Finalize")
        .expect_one_message();
    assert_eq!(job.out, "done\n");
}

#[test]
fn a_rank_that_never_joins_ends_a_job_that_needs_it() {
    run(&["-n", "3", RANK, "1:exit=0", "hello", "wait"])
        .expect(1, "rank 1 (process ")
        .expect(1, "exited without calling MPI_Init")
        .expect_one_message();
    // Where nobody joins, there is nothing to need it for.
    run(&["-n", "3", "true"]).expect_success();
}

#[test]
fn abort_ends_the_job_with_its_code() {
    for (code, status) in [("7", 7), ("0", 0), ("256", 1), ("-1", 255)] {
        let abort = format!("1:abort={code}");
        let job = run(&["-n", "3", RANK, "hello", &abort, "wait"]);
        job.expect(status, &format!("called MPI_Abort({code}): it is over"))
            .expect_one_message();
    }
}

#[test]
fn a_crash_behind_a_wrapper_is_seen_while_the_wrapper_runs_on() {
    let script = format!("{RANK} hello 1:signal=11 wait; sleep 1000");
    run(&["-n", "2", "sh", "-c", &script])
        .expect(1, "its MPI program, process ")
        .expect(1, "ended without calling MPI_Finalize")
        .expect(1, "rank 1");
}

#[test]
fn what_ranks_start_ends_with_them() {
    // In a session of its own, and its parent gone.
    let script = "setsid sh -c 'echo pid=$$; exec sleep 1000' & exit 0";
    let job = run(&["-n", "2", "sh", "-c", script]);
    for line in job.expect(0, "").out.lines() {
        let pid = field(line, "pid");
        wait_for_death(pid);
        job.expect(
            0,
            &format!("mpiexec: process {pid} (sleep) has outlived the ranks"),
        );
    }
}

#[test]
fn a_late_reader_of_a_rank_s_output_is_not_cut_off() {
    let script = "(read x; echo got $x) & exec 3>&1; exit 0";
    assert_eq!(
        run(&["-n", "2", "sh", "-c", script])
            .expect_success()
            .lines(),
        ["got", "got"]
    );
}

#[test]
fn many_ranks() {
    let job = run(&["-n", "256", RANK, "hello", "info", "finalize"]);
    let mut ranks: Vec<i32> = job
        .expect_success()
        .out
        .lines()
        .map(|line| field(line, "rank"))
        .collect();
    ranks.sort_unstable();
    assert_eq!(ranks, (0..256).collect::<Vec<_>>());
}

#[test]
fn too_few_descriptors_are_named() {
    let limited = |limits: &str| {
        let script = format!(
            "{limits}; exec {} -n 100 {RANK} hello finalize",
            crate::MPIEXEC
        );
        let mut shell = std::process::Command::new("sh");
        Running::start(shell.args(["-c", &script])).finish()
    };
    limited("ulimit -Sn 64").expect_success();
    limited("ulimit -Sn 64; ulimit -Hn 200")
        .expect(1, "hard limit is 200")
        .expect_one_message();
}

#[test]
fn whoever_starts_mpiexec_may_ignore_the_end_of_children() {
    let script = format!("trap '' CHLD; exec {} -n 2 sh -c 'exit 5'", crate::MPIEXEC);
    let mut shell = std::process::Command::new("bash");
    Running::start(shell.args(["-c", &script]))
        .finish()
        .expect(5, "exited with code 5");
}

#[test]
fn no_network_and_no_name_are_needed() {
    // A machine with a name that nobody knows, and not even a loopback interface.
    let script = format!(
        "hostname nowhere.invalid; exec {} -n 2 {RANK} hello finalize",
        crate::MPIEXEC
    );
    let isolated = |script: &str| {
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--map-root-user", "--net", "--uts", "sh", "-c", script]);
        Running::start(&mut unshare).finish()
    };
    if isolated("true").code() != 0 {
        eprintln!("not tested: this system does not allow namespaces");
        return;
    }
    isolated(&script).expect_success();
}
