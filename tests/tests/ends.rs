//! How jobs end before their time: a rank dies or gives up, somebody presses ctrl-C, the launcher
//! is killed. Always within seconds, with one message that names rank and cause, and nothing is
//! left behind (the harness looks).

use ferrite_tests::{Job, Outcome, Running, c, pick};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

fn ends(way: &str, rank: u32) -> Outcome {
    Job::new(c("ends"))
        .ranks(4)
        .args([way, &rank.to_string()])
        .run()
}

/// The job failed with this exit status, and one line has all these words.
fn reported(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.status.code(), Some(code), "{outcome}");
    let lines: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .collect();
    assert_eq!(lines.len(), 1, "one line with {words:?}: {outcome}");
    assert!(
        outcome.stderr.lines().count() <= 3,
        "one message, not a page: {outcome}"
    );
}

#[test]
fn a_rank_with_a_segmentation_fault() {
    reported(&ends("segfault", 2), 128 + 11, &["rank 2", "SIGSEGV"]);
}

#[test]
fn a_rank_that_is_killed() {
    reported(&ends("kill", 1), 128 + 9, &["rank 1", "SIGKILL"]);
}

#[test]
fn a_rank_that_aborts() {
    reported(&ends("abort", 3), 7, &["rank 3", "MPI_Abort"]);
}

#[test]
fn a_rank_that_exits_without_finalize() {
    reported(&ends("exit", 0), 9, &["rank 0", "9", "MPI_Finalize"]);
}

#[test]
fn a_rank_that_exits_with_0_without_finalize() {
    let outcome = ends("exit-0", 1);
    assert!(!outcome.status.success(), "{outcome}");
    assert!(
        outcome.stderr.contains("rank 1") && outcome.stderr.contains("MPI_Finalize"),
        "{outcome}"
    );
}

/// A job of three in which rank 2 leaves without finalize after it has exchanged something.
fn leaves(transport: &str, what: &str, mode: Option<&str>) -> Outcome {
    let job = Job::new(c("leaves")).ranks(3).args([what, "2"]).args(mode);
    job.env("FERRITE_TRANSPORT", transport).run()
}

const TRANSPORTS: [&str; 2] = ["shm,self", "tcp,self"];

#[test]
fn a_rank_that_leaves_in_peace_is_no_failure() {
    for transport in TRANSPORTS {
        let outcome = leaves(transport, "finalize", None);
        assert_eq!(outcome.status.code(), Some(0), "{transport}: {outcome}");
        let warning = "mpiexec: warning: rank 2 exited without MPI_Finalize\n";
        assert_eq!(outcome.stderr, warning, "{transport}: {outcome}");
        assert_eq!(
            outcome.stdout, "through\nthrough\n",
            "{transport}: {outcome}"
        );
    }
}

#[test]
fn a_rank_that_has_left_is_missed_by_who_waits_for_it() {
    let every = [
        "sleep-receive",
        "receive",
        "send",
        "long-send",
        "any",
        "probe",
        "barrier",
    ];
    for transport in TRANSPORTS {
        for what in pick(&every[..1], &every) {
            let outcome = leaves(transport, what, None);
            reported(
                &outcome,
                1,
                &["rank 2", "exited without calling MPI_Finalize"],
            );
        }
        // Nobody else can do anything, though there may be threads.
        for what in pick(&["any"][..], &["any", "barrier"]) {
            let outcome = leaves(transport, what, Some("threads"));
            let expected = ["rank 2", "exited without calling MPI_Finalize"];
            reported(&outcome, 1, &expected);
        }
    }
}

/// After finalize a status is the job's, and no reason to end the others.
#[test]
fn a_status_after_finalize() {
    let outcome = ends("status", 1);
    assert_eq!(outcome.status.code(), Some(5), "{outcome}");
}

/// A job whose four ranks wait for ever.
fn waiting() -> Running {
    let mut job = Job::new(c("ends")).ranks(4).args(["wait"]).start();
    for rank in 0..4 {
        job.wait_for_line(&format!("ready {rank} "));
    }
    job
}

#[test]
fn control_c() {
    let job = waiting();
    job.signal(Signal::INT);
    let outcome = job.finish();
    assert_eq!(
        outcome.status.signal(),
        Some(2),
        "a shell must see what ended it: {outcome}"
    );
    assert!(
        outcome.stderr.lines().count() <= 3,
        "one message, not a page: {outcome}"
    );
}

#[test]
fn terminate() {
    let job = waiting();
    job.signal(Signal::TERM);
    let outcome = job.finish();
    assert_eq!(outcome.status.code(), Some(128 + 15), "{outcome}");
}

/// No message can be expected of a launcher that is killed; that its ranks end, too, is what the
/// harness checks.
#[test]
fn the_launcher_is_killed() {
    let job = waiting();
    job.signal(Signal::KILL);
    let outcome = job.finish();
    assert_eq!(outcome.status.code(), None, "{outcome}");
}

#[test]
fn a_program_that_does_not_exist() {
    let outcome = Job::new("./no-such-program").ranks(2).run();
    reported(&outcome, 127, &["no-such-program"]);
}

#[test]
fn a_program_that_cannot_be_executed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("not-a-program");
    std::fs::write(&file, "text").expect("written");
    let outcome = Job::new(&file).ranks(2).run();
    reported(&outcome, 126, &["not-a-program"]);
}

#[test]
fn a_job_with_a_time_limit() {
    let outcome = Job::new(c("ends"))
        .ranks(2)
        .launcher_args(["-timeout", "1"])
        .args(["wait"])
        .run();
    reported(&outcome, 124, &["1"]);
}
