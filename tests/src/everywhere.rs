//! Running a program under every protocol and at several sizes of job.

use crate::job::Job;
use crate::program::c;
use ferrite_fabric_testing::depth::pick;

/// Settings that move the limits between protocols, so that every length of message takes each of
/// them somewhere.
const PROTOCOLS: [&[(&str, &str)]; 5] = [
    &[],
    // No direct copies between processes: long messages go through shared memory.
    &[("FERRITE_CMA", "never")],
    // Everything that can wait for its receiver does.
    &[
        ("FERRITE_EAGER_LIMIT", "64"),
        ("FERRITE_EAGER_BUDGET", "256"),
        ("FERRITE_CMA_LIMIT", "1k"),
    ],
    // A network takes the place of shared memory.
    &[("FERRITE_TRANSPORT", "tcp")],
    // The same, and everything that can wait for its receiver does.
    &[
        ("FERRITE_TRANSPORT", "tcp"),
        ("FERRITE_NET_EAGER_LIMIT", "64"),
        ("FERRITE_EAGER_BUDGET", "256"),
    ],
];

/// Runs a self-checking program of `tests/c` under every protocol: on 1, 2, 4 and 8 ranks (alone,
/// one a core, more than cores), or, in a quick run, on 1, 2 and 4 as it is started by default, and
/// on 3 under the other protocols.
///
/// # Panics
/// When a run fails.
pub fn everywhere(name: &str) {
    for settings in PROTOCOLS {
        let quick: &[u32] = if settings.is_empty() {
            &[1, 2, 4]
        } else {
            &[3]
        };
        for ranks in pick(quick, &[1, 2, 4, 8]) {
            passes(Job::new(c(name)).ranks(*ranks).envs(settings));
        }
    }
}

/// Runs a self-checking program of `tests/c` as it is started by default.
///
/// # Panics
/// When a run fails.
pub fn on(ranks: &[u32], name: &str) {
    for ranks in ranks {
        passes(Job::new(c(name)).ranks(*ranks));
    }
}

/// Runs a job of a self-checking program: it succeeds, a line is `passed`, and nobody complains.
///
/// # Panics
/// When the run fails.
pub fn passes(job: Job) {
    let outcome = job.succeeds();
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
    assert_eq!(outcome.stderr, "", "{outcome}");
}
