//! Memory under valgrind, with the prefix's suppressions: nothing is used that is not there or was never written, and nothing is lost.

use ferrite_tests::{Job, c, needs, passes, pick, prefix};
use std::time::Duration;

/// The first program only, and in shared memory only, in a quick run.
fn clean(names: &[&str]) {
    if !needs("valgrind") {
        return;
    }
    let suppressions = prefix().path().join("share/ferrite/valgrind.supp");
    let checks = [
        "--quiet".to_owned(),
        "--leak-check=full".to_owned(),
        "--error-exitcode=9".to_owned(),
        format!("--suppressions={}", suppressions.display()),
    ];
    for name in &names[..pick(1, names.len())] {
        let program = c(name);
        for transport in pick(&["shm"][..], &["shm", "tcp"]) {
            let job = Job::new("valgrind")
                .ranks(2)
                .args(&checks)
                .args([&program])
                .env("FERRITE_TRANSPORT", transport)
                .timeout(Duration::from_secs(300));
            passes(job);
        }
    }
}

#[test]
fn messages() {
    clean(&[
        "pt2pt_modes",
        "pt2pt_types",
        "threads",
        "partitioned",
        "grequests",
    ]);
}

#[test]
fn collectives() {
    clean(&["collectives", "intercomms", "topologies"]);
}

#[test]
fn objects() {
    clean(&[
        "communicators",
        "datatypes_objects",
        "attributes",
        "info",
        "sessions",
    ]);
}
