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
