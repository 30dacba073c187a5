//! Memory under valgrind, with the prefix's suppressions: nothing is used that is not there or was
//! never written, and nothing is lost.

use ferrite_tests::{Job, c, cc, needs, passes, pick, prefix, sources};
use std::path::PathBuf;
use std::time::Duration;

/// The first program only, and in shared memory only, in a quick run.
fn clean(names: &[&str]) {
    if needs("valgrind") {
        check(names[..pick(1, names.len())].iter().map(|name| c(name)));
    }
}

fn check(programs: impl Iterator<Item = PathBuf>) {
    let suppressions = prefix().path().join("share/ferrite/valgrind.supp");
    let checks = [
        "--quiet".to_owned(),
        "--leak-check=full".to_owned(),
        "--error-exitcode=9".to_owned(),
        format!("--suppressions={}", suppressions.display()),
    ];
    for program in programs {
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
        "attributes",
        "communicators",
        "datatypes_objects",
        "info",
        "sessions",
    ]);
}

/// The suppressions are for the library of MPICH's binary interface, too.
#[test]
fn mpichs_interface() {
    if needs("valgrind") {
        let build = |name: &str| {
            let source = sources().join(format!("{name}.c"));
            cc(&source, &["-abi=mpich", "-O1", "-g"])
        };
        let names = ["threads", "pt2pt_modes"];
        check(names[..pick(1, 2)].iter().map(|name| build(name)));
    }
}
