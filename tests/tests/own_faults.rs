//! What a process lacks, or was given wrongly by its program: the rank, the cause and the remedy
//! are named, and no peer is blamed.

use ferrite_tests::{Job, Outcome, c};

/// The job failed, one sentence has all of these words, and none of those appear.
fn said(outcome: &Outcome, words: &[&str], not: &[&str]) {
    assert!(!outcome.status.success(), "{outcome}");
    let is_it = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(outcome.stderr.lines().any(is_it), "{words:?}: {outcome}");
    for word in not {
        assert!(!outcome.stderr.contains(word), "'{word}': {outcome}");
    }
}

/// Twelve ranks that all talk to each other need more descriptors each than their hard limit
/// allows.
#[test]
fn too_few_descriptors() {
    let limited = "ulimit -n 20; exec \"$0\"";
    let job = Job::new("sh")
        .args(["-c", limited])
        .args([c("all_pairs")])
        .ranks(12)
        .env("FERRITE_TRANSPORT", "tcp");
    said(
        &job.run(),
        &["descriptors", "hard limit is 20", "let it be 88 or more"],
        &["firewall", "proved nothing"],
    );
}

fn bad_memory(which: &str, there: usize, transport: &str, words: &[&str]) {
    let job = Job::new(c("bad_memory"))
        .args([which, &there.to_string()])
        .ranks(2)
        .env("FERRITE_TRANSPORT", transport);
    said(&job.run(), words, &["lost rank"]);
}

#[test]
fn a_send_buffer_that_is_shorter_than_it_claims() {
    for there in [0, 600 << 10] {
        bad_memory(
            "send",
            there,
            "tcp",
            &["rank 0", "a send to rank 1 names memory"],
        );
        let words = [
            "rank 1",
            "the send buffer of 4194304 bytes of rank 0, tag 7",
        ];
        bad_memory("send", there, "shm", &words);
    }
}

#[test]
fn a_receive_buffer_that_is_shorter_than_it_claims() {
    for there in [0, 600 << 10] {
        let words = [
            "rank 1",
            "the receive buffer for 4194304 bytes from rank 0, tag 7",
        ];
        bad_memory("receive", there, "shm", &words);
    }
    bad_memory(
        "receive",
        600 << 10,
        "tcp",
        &["rank 1", "a receive from rank 0 names memory"],
    );
}
