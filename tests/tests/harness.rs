//! The harness itself: a job that hangs or leaves something behind makes its test fail, and nothing
//! survives.

use ferrite_tests::Job;
use std::panic::catch_unwind;
use std::time::Duration;

/// The text of the panic of a job that must not pass.
fn complaint(job: impl FnOnce() -> Job + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(|| job().run()).expect_err("the harness noticed nothing");
    panic
        .downcast_ref::<String>()
        .cloned()
        .expect("a panic with a text")
}

#[test]
fn a_job_that_hangs_is_reported_and_ended() {
    let text = complaint(|| {
        Job::alone("sh")
            .args(["-c", "echo before; sleep 1000; echo after"])
            .timeout(Duration::from_millis(300))
    });
    assert!(text.contains("hangs") && text.contains("before"), "{text}");
    assert!(
        text.contains("sleep 1000"),
        "its processes are listed: {text}"
    );
}

#[test]
fn a_process_that_outlives_its_launcher_is_reported() {
    let text = complaint(|| Job::alone("sh").args(["-c", "sleep 1000 & exit 0"]));
    assert!(
        text.contains("outlived") && text.contains("sleep 1000"),
        "{text}"
    );
}

#[test]
fn settings_of_the_tests_do_not_reach_a_job() {
    let outcome = Job::alone("env").env("FERRITE_ASKED_FOR", "1").succeeds();
    let mut settings: Vec<&str> = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("FERRITE_"))
        .collect();
    settings.retain(|line| *line != "FERRITE_ASKED_FOR=1");
    assert!(settings.is_empty(), "{settings:?}");
    assert!(!outcome.stdout.contains("LD_LIBRARY_PATH="), "{outcome}");
}

#[test]
fn output_and_status_are_handed_on() {
    let outcome = Job::alone("sh")
        .args(["-c", "cat; echo wrong >&2; exit 7"])
        .input("typed\n")
        .run();
    assert_eq!(
        (
            outcome.stdout.as_str(),
            outcome.stderr.as_str(),
            outcome.status.code()
        ),
        ("typed\n", "wrong\n", Some(7))
    );
}
