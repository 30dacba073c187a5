//! Collective operations: every one, in its three forms, over every transport; and between neighbours in topologies.

use ferrite_tests::{Job, c, on, passes};

#[test]
fn forms() {
    on(&[1, 2, 3, 4, 8], "collectives_forms");
}

#[test]
fn forms_over_tcp() {
    for ranks in [2, 4] {
        let job = Job::new(c("collectives_forms")).ranks(ranks);
        passes(job.envs(&[("FERRITE_TRANSPORT", "tcp")]));
    }
}

#[test]
fn topologies() {
    on(&[1, 2, 3, 4, 8], "topologies");
}

/// Without the thread the same program fails, which is seen too.
#[test]
fn the_progress_thread_works_while_the_program_computes() {
    let folder = tempfile::tempdir().unwrap();
    for (number, transport) in ["shm,tcp", "tcp"].into_iter().enumerate() {
        for ranks in [2, 4] {
            let file = folder.path().join(format!("{number}-{ranks}"));
            let job = Job::new(c("progress_thread")).ranks(ranks);
            let job = job.args([file.to_str().unwrap(), "60"]);
            passes(job.envs(&[
                ("FERRITE_TRANSPORT", transport),
                ("FERRITE_PROGRESS_THREAD", "1"),
            ]));
        }
    }
    let file = folder.path().join("without");
    let job = Job::new(c("progress_thread")).ranks(2);
    let outcome = job.args([file.to_str().unwrap(), "3"]).run();
    assert!(!outcome.status.success(), "{outcome}");
}
