//! Long runs: bounded memory under a flood, no lost wake-up among ranks that sleep.

use ferrite_tests::{Job, c, pick, seconds, seed};
use std::time::Duration;

fn flood(way: &str) {
    let outcome = Job::new(c("flood")).ranks(3).args([way]).succeeds();
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
    eprintln!("{way}: {}", outcome.stdout.replace('\n', "; "));
}

#[test]
fn flood_of_a_receiver_that_sleeps() {
    flood("asleep");
}

#[test]
fn flood_of_a_receiver_that_waits_for_another_message() {
    flood("elsewhere");
}

#[test]
fn flood_of_sends_that_are_all_outstanding() {
    flood("outstanding");
}

/// Eight ranks on however few cores; one message in thousands that fails to wake its receiver would
/// hang the job.
#[test]
fn sleepers_are_woken() {
    let (seconds, seed) = (seconds(), seed());
    eprintln!("sleepers: {seconds} s, FERRITE_TEST_SEED={seed}");
    let outcome = Job::new(c("sleepers"))
        .ranks(8)
        .args([seconds.to_string(), seed.to_string()])
        .timeout(Duration::from_secs(seconds + 60))
        .succeeds();
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
}

/// Barriers go over memory that no ring tells of: one that wakes nobody would hang the job.
#[test]
fn late_barriers() {
    for ranks in [2, 8] {
        let outcome = Job::new(c("late_barriers"))
            .ranks(ranks)
            .args([pick("4000", "20000")])
            .envs(&[("FERRITE_SPIN", "0"), ("FERRITE_YIELD", "0")])
            .succeeds();
        assert!(
            outcome.stdout.lines().any(|line| line == "passed"),
            "{outcome}"
        );
    }
}
