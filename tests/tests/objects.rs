//! Communicators, groups, attributes, info objects, errors, the environment, and the collectives that stand on them.

use ferrite_tests::{Job, c, everywhere, on};

#[test]
fn attributes() {
    on(&[1, 2, 3], "attributes");
}

#[test]
fn info() {
    on(&[1, 2], "info");
}

#[test]
fn groups() {
    on(&[1, 2, 3, 8], "groups");
}

#[test]
fn communicators() {
    everywhere("communicators");
}

#[test]
fn errors() {
    on(&[1, 2, 3], "errors");
}

#[test]
fn environment() {
    on(&[1, 2], "environment");
}

#[test]
fn collectives() {
    everywhere("collectives");
    on(&[3, 5, 7], "collectives");
}

/// A program that nobody launched is a job of one.
#[test]
fn started_alone() {
    let outcome = Job::alone(c("hello")).args(["100000"]).succeeds();
    assert_eq!(outcome.stdout, "hello from 0 of 1\npassed\n", "{outcome}");
    assert_eq!(outcome.stderr, "", "{outcome}");
}
