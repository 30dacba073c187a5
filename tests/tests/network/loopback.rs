//! TCP between the ranks of one host.

use crate::{over_tcp, soak};
use ferrite_tests::{Job, c, passes, pick, seconds, seed};
use std::time::Duration;

#[test]
fn all_pairs() {
    for ranks in [2, 4, 8] {
        passes(soak(over_tcp, seconds().div_ceil(5)).ranks(ranks));
    }
}

/// Every message that can wait for its receiver does, the shortest too.
#[test]
fn all_pairs_without_eager_messages() {
    let job = soak(over_tcp, seconds().div_ceil(5)).ranks(4);
    passes(job.envs(&[
        ("FERRITE_NET_EAGER_LIMIT", "64"),
        ("FERRITE_EAGER_LIMIT", "64"),
        ("FERRITE_EAGER_BUDGET", "256"),
    ]));
}

/// What a rank has sent arrives while that rank computes, and calls the library no more.
#[test]
fn nothing_is_stranded_while_a_rank_computes() {
    for settings in [&[][..], &[("FERRITE_TRANSPORT", "tcp")]] {
        for how in ["one", "many", "long", "mixed"] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let job = Job::new(c("net_compute")).ranks(2).envs(settings);
            passes(job.args([how.as_ref(), folder.path().as_os_str()]));
        }
    }
}

/// A receiver that does not receive: what is kept for it is bounded, at both ends.
#[test]
fn floods() {
    for way in pick(&["elsewhere"][..], &["asleep", "elsewhere", "outstanding"]) {
        let outcome = over_tcp(c("flood")).ranks(3).args([way]).succeeds();
        assert!(
            outcome.stdout.lines().any(|line| line == "passed"),
            "{outcome}"
        );
    }
}

#[test]
fn sleepers_are_woken() {
    let (seconds, seed) = (seconds(), seed());
    eprintln!("sleepers: {seconds} s, FERRITE_TEST_SEED={seed}");
    let job = over_tcp(c("sleepers")).ranks(8);
    let outcome = job
        .args([seconds.to_string(), seed.to_string()])
        .timeout(Duration::from_secs(seconds + 60))
        .succeeds();
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
}

/// What else a job does: communicators, groups, collectives, errors.
#[test]
fn objects() {
    for name in ["communicators", "groups", "collectives", "errors"] {
        passes(over_tcp(c(name)).ranks(4));
    }
}

/// A rank's death is told with its reason, as on shared memory: no connection's end is reported in
/// its place.
#[test]
fn a_rank_dies() {
    for (way, code, word) in [
        ("segfault", 128 + 11, "SIGSEGV"),
        ("kill", 128 + 9, "SIGKILL"),
        ("abort", 7, "MPI_Abort"),
        ("exit", 9, "MPI_Finalize"),
    ] {
        let outcome = over_tcp(c("ends")).ranks(4).args([way, "2"]).run();
        assert_eq!(outcome.status.code(), Some(code), "{outcome}");
        let told = |line: &&str| line.contains("rank 2") && line.contains(word);
        assert_eq!(outcome.stderr.lines().filter(told).count(), 1, "{outcome}");
        assert!(
            outcome.stderr.lines().count() <= 3,
            "one message, not a page: {outcome}"
        );
    }
}
