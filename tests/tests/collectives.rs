//! Collective operations: every one, in its three forms, over every transport; and between
//! neighbours in topologies.

use std::time::Duration;

use ferrite_tests::{Job, c, full, on, passes, pick, seed};

#[test]
fn forms() {
    on(pick(&[1, 3][..], &[1, 2, 3, 4, 8]), "collectives_forms");
}

#[test]
fn forms_over_tcp() {
    for ranks in pick(&[2][..], &[2, 4]) {
        let job = Job::new(c("collectives_forms")).ranks(*ranks);
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

/// A job of a program whose trials follow from a seed, which is told where one fails.
fn trials(program: &str, ranks: u32, transport: &str, trials: u32, mode: &[&str]) {
    let seed = seed();
    let trials = if full() { 10 * trials } else { trials };
    println!("{program}: {ranks} ranks, transport '{transport}', FERRITE_TEST_SEED={seed}");
    let job = Job::new(c(program))
        .ranks(ranks)
        .args([seed.to_string(), trials.to_string()]);
    let job = job.args(mode).timeout(Duration::from_secs(300));
    let job = job.envs(&[("FERRITE_TRANSPORT", transport), ("FERRITE_STALL", "100ms")]);
    if mode == ["late", "threads"] {
        // Where one is long in an operation, it may be said that it is not known whether the call
        // ends.
        let outcome = job.succeeds();
        assert_eq!(outcome.stdout, "passed\n", "{outcome}");
    } else {
        passes(job);
    }
}

/// Colours, kinds of splits, groups, roots, counts and types that differ from rank to rank where
/// the standard lets them.
#[test]
fn ranks_may_give_different_arguments() {
    for (ranks, transport) in [
        (1, ""),
        (2, ""),
        (3, ""),
        (5, ""),
        (8, ""),
        (2, "tcp"),
        (5, "tcp"),
    ] {
        trials("mixtures", ranks, transport, 200, &[]);
    }
}

/// Counts, roots, operations, types and functions that do not agree, around the lengths at which
/// algorithms change: no call hangs.
#[test]
fn calls_that_do_not_agree_end() {
    for (ranks, transport) in [(2, ""), (3, ""), (4, ""), (8, ""), (2, "tcp"), (4, "tcp")] {
        trials("disagree", ranks, transport, 40, &[]);
    }
    for (ranks, transport) in [(2, ""), (4, ""), (3, "tcp")] {
        trials("disagree", ranks, transport, 20, &["threads"]);
    }
}

/// However late a rank comes to a call, or how long its operation takes, it is no error.
#[test]
fn who_is_late_is_not_wrong() {
    for (ranks, transport) in [(2, ""), (4, ""), (4, "tcp")] {
        trials("disagree", ranks, transport, 4, &["late"]);
        trials("disagree", ranks, transport, 4, &["late", "threads"]);
    }
}

/// That no member can go on is told with threads, too, unless there is one that may do anything;
/// then it is said that the call may never end.
#[test]
fn threads_that_cannot_go_on_are_told_from_others() {
    for transport in ["", "tcp"] {
        let run = |mode: &str| {
            let job = Job::new(c("disagree")).ranks(3).args([mode]);
            let job = job.envs(&[("FERRITE_TRANSPORT", transport), ("FERRITE_STALL", "100ms")]);
            let outcome = job.run();
            assert!(!outcome.status.success(), "{outcome}");
            outcome
        };
        let outcome = run("neighbours");
        assert!(outcome.stderr.contains("MPI_ERR_COUNT"), "{outcome}");
        let outcome = run("doubt");
        assert!(!outcome.stderr.contains("MPI_ERR"), "{outcome}");
        for expected in ["MPI_Neighbor_allgather", "Unless a thread", "it never ends"] {
            assert!(outcome.stderr.contains(expected), "{outcome}");
        }
    }
}

/// What the person who reads it is told: who has called what.
#[test]
fn the_sentence_names_both_calls() {
    let short = ("FERRITE_STALL", "100ms");
    // However ranks wait, and though it is only a tool that wants to know so soon.
    let always = |how: &'static str| [short, (how, "3600s")];
    for (mode, settings) in [
        ("roots", &[short][..]),
        ("roots", &always("FERRITE_SPIN")),
        ("roots", &always("FERRITE_YIELD")),
        ("tool", &[("FERRITE_STALL", "0")]),
        ("polls", &[short]),
    ] {
        let job = Job::new(c("disagree")).ranks(2).args([mode]);
        let outcome = job.envs(settings).run();
        assert!(!outcome.status.success(), "{outcome}");
        let sentence = "the members do not agree about collective call 1 of the communicator";
        assert!(outcome.stderr.contains(sentence), "{outcome}");
        for root in [0, 1] {
            let call = format!("cast of 8192 bytes, root {root}");
            assert!(outcome.stderr.contains(&call), "{outcome}");
        }
    }
}
