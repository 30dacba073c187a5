//! What the tests share: jobs on one node without a launcher.

use std::os::fd::{AsFd, OwnedFd};

use ferrite_fabric::{Job, Link};
use ferrite_fabric_testing::conformance::Endpoint;
use ferrite_shm::{Attachment, ShmLink};
use rustix::fs::{MemfdFlags, memfd_create};

/// An empty memory file as a launcher makes it.
pub(crate) fn segment() -> OwnedFd {
    memfd_create(
        "ferrite-test",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )
    .expect("a memory file")
}

/// Rank `rank` of a job whose ranks are all here.
pub(crate) fn job(rank: u32, size: u32, segment: impl AsFd) -> Job {
    Job {
        id: *b"0123456789abcdef",
        secret: ferrite_fabric::Secret([0; 32]),
        rank,
        size,
        local: (0..size).collect(),
        neighbours: size - 1,
        nodes: Vec::new(),
        cpus: 2,
        appnum: 0,
        part: 0,
        launcher: 0,
        segment: Some(
            segment
                .as_fd()
                .try_clone_to_owned()
                .expect("a second descriptor"),
        ),
    }
}

/// The end of an attachment for the conformance suite.
pub(crate) fn endpoint(rank: u32, size: u32, attachment: &Attachment) -> Endpoint {
    let sleeper = attachment.sleeper();
    let link = |peer| {
        let link = attachment.link(peer).expect("mapped");
        link.expect("a local rank")
    };
    Endpoint {
        rank,
        port: Box::new(attachment.port()),
        links: (0..size)
            .map(link)
            .map(|link: ShmLink| Box::new(link) as Box<dyn Link>)
            .collect(),
        sleep: Box::new(move |timeout| sleeper.wait(Some(timeout))),
        reflexive: true,
        close: Box::new(|| {}),
    }
}
