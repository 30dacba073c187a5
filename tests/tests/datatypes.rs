//! Derived datatypes: objects, and messages of them under every protocol.

use ferrite_tests::{Job, c, everywhere, on, passes};

#[test]
fn objects() {
    on(&[1], "datatypes_objects");
}

#[test]
fn messages() {
    everywhere("datatypes_messages");
}

#[test]
fn messages_over_tcp() {
    let job = Job::new(c("datatypes_messages")).ranks(2);
    passes(job.envs(&[("FERRITE_TRANSPORT", "tcp")]));
}
