//! Mistakes of a program are answered: the job ends at once with one message that names the call
//! and what was wrong with it.

use ferrite_tests::{Job, Outcome, c};

/// Runs `wrong MISTAKE` on two ranks; rank 0 makes it.
fn mistake(name: &str) -> Outcome {
    Job::new(c("wrong")).ranks(2).args([name]).run()
}

/// The job failed, and one line, printed once, has all these words.
fn answered(outcome: &Outcome, words: &[&str]) {
    assert!(!outcome.status.success(), "{outcome}");
    assert!(
        outcome.status.code().is_some_and(|code| code < 128),
        "an exit code, no signal: {outcome}"
    );
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
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
}

#[test]
fn a_rank_that_does_not_exist() {
    answered(&mistake("rank"), &["MPI_Send", "MPI_ERR_RANK", "4711"]);
}

#[test]
fn a_negative_tag() {
    answered(&mistake("tag"), &["MPI_Send", "MPI_ERR_TAG", "-5"]);
}

#[test]
fn a_negative_count() {
    answered(&mistake("count"), &["MPI_Send", "MPI_ERR_COUNT", "-3"]);
}

#[test]
fn a_null_datatype() {
    answered(
        &mistake("datatype"),
        &["MPI_Send", "MPI_ERR_TYPE", "MPI_DATATYPE_NULL"],
    );
}

#[test]
fn a_null_communicator() {
    answered(
        &mistake("comm"),
        &["MPI_Send", "MPI_ERR_COMM", "MPI_COMM_NULL"],
    );
}

#[test]
fn an_invented_communicator() {
    answered(
        &mistake("invented-comm"),
        &["MPI_Send", "MPI_ERR_COMM", "0x123456789abcdef"],
    );
}

#[test]
fn a_root_that_does_not_exist() {
    answered(&mistake("root"), &["MPI_Bcast", "MPI_ERR_ROOT", "4711"]);
}

#[test]
fn a_freed_communicator() {
    answered(&mistake("freed-comm"), &["MPI_Send", "MPI_ERR_COMM"]);
}

#[test]
fn a_freed_request() {
    answered(&mistake("freed-request"), &["MPI_Wait", "MPI_ERR_REQUEST"]);
}

#[test]
fn truncation() {
    answered(
        &mistake("truncate"),
        &["MPI_Recv", "MPI_ERR_TRUNCATE", "8", "4"],
    );
}

#[test]
fn a_function_that_is_not_built_yet() {
    answered(
        &mistake("unsupported"),
        &["MPI_Win_create", "MPI_ERR_UNSUPPORTED_OPERATION"],
    );
}

#[test]
fn before_init() {
    let outcome = Job::new(c("wrong")).ranks(1).args(["before-init"]).run();
    answered(&outcome, &["MPI_Send", "MPI_Init"]);
}

#[test]
fn before_init_without_a_launcher() {
    answered(
        &Job::alone(c("wrong")).args(["before-init"]).run(),
        &["MPI_Send", "MPI_Init"],
    );
}

#[test]
fn after_finalize() {
    answered(&mistake("after-finalize"), &["MPI_Send", "MPI_Finalize"]);
}

#[test]
fn init_twice() {
    let outcome = Job::new(c("wrong")).ranks(1).args(["twice"]).run();
    answered(&outcome, &["MPI_Init", "MPI_Init"]);
}

#[test]
fn a_setting_that_makes_no_sense() {
    let outcome = Job::new(c("hello"))
        .ranks(2)
        .env("FERRITE_EAGER_LIMIT", "lots")
        .run();
    assert!(!outcome.status.success(), "{outcome}");
    assert!(
        outcome.stderr.contains("FERRITE_EAGER_LIMIT") && outcome.stderr.contains("lots"),
        "{outcome}"
    );
}

/// A name that nobody registered is a warning, once per job, with the nearest one that exists.
#[test]
fn a_setting_that_does_not_exist() {
    let outcome = Job::new(c("hello"))
        .ranks(2)
        .env("FERRITE_EAGER_LIMITS", "1k")
        .succeeds();
    let warnings: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("FERRITE_EAGER_LIMITS"))
        .collect();
    assert_eq!(warnings.len(), 1, "{outcome}");
    assert!(
        warnings[0]
            .replace("FERRITE_EAGER_LIMITS", "")
            .contains("FERRITE_EAGER_LIMIT"),
        "{outcome}"
    );
}

/// Whatever it is called on, an abort ends the job with its code and a whole sentence.
#[test]
fn an_abort_on_any_communicator() {
    for (which, named) in [
        ("world", "on MPI_COMM_WORLD"),
        ("named", "on the solver's"),
        ("unnamed", "on a communicator without a name"),
        ("null", "on MPI_COMM_NULL"),
        ("invalid", "on an invalid communicator"),
    ] {
        for job in [Job::alone(c("aborts")), Job::new(c("aborts")).ranks(2)] {
            let outcome = job.args([which]).run();
            assert_eq!(outcome.status.code(), Some(7), "{outcome}");
            let called = format!("MPI_Abort(7): {named}");
            assert!(outcome.stderr.contains(&called), "{outcome}");
        }
    }
}
