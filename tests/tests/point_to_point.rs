//! Point-to-point communication: every mode, call and length, under every protocol, on one rank and on more ranks than cores.

use ferrite_tests::{Job, c, everywhere, passes};

#[test]
fn modes() {
    everywhere("pt2pt_modes");
}

#[test]
fn order() {
    everywhere("pt2pt_order");
}

#[test]
fn probes() {
    everywhere("pt2pt_probe");
}

#[test]
fn completion() {
    everywhere("pt2pt_completion");
}

#[test]
fn persistent_requests() {
    everywhere("pt2pt_persistent");
}

#[test]
fn exchanges() {
    everywhere("pt2pt_exchange");
}

#[test]
fn cancelling() {
    everywhere("pt2pt_cancel");
}

#[test]
fn nobody_and_oneself() {
    everywhere("pt2pt_null");
}

#[test]
fn truncation() {
    everywhere("pt2pt_truncate");
}

#[test]
fn datatypes_and_large_counts() {
    everywhere("pt2pt_types");
}

#[test]
fn threads() {
    everywhere("threads");
}

#[test]
fn thread_levels() {
    for level in ["0", "1", "2", "3"] {
        passes(Job::new(c("thread_level")).ranks(2).args([level]));
    }
}

/// Buffered sends take the room that there is, in one step, and get back what was received.
#[test]
fn buffered_sends() {
    for settings in [
        &[][..],
        &[("FERRITE_CMA", "never")],
        &[("FERRITE_TRANSPORT", "tcp")],
    ] {
        passes(Job::new(c("bsend")).ranks(2).envs(settings));
    }
}
