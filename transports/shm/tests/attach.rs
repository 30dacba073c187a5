//! Several ranks in one process: the conformance suite, and everything that can be wrong about a
//! segment.

mod common;

use std::sync::atomic::Ordering;

use common::{endpoint, job, segment};
use ferrite_fabric::{
    Failure, Header, Link, LinkDown, Outcome, RawBuf, RawBufMut, Refused, Sent, Sink, Token,
    Transfer, Uses,
};
use ferrite_fabric_testing::conformance::{self, Coverage};
use ferrite_shm::{Shape, ShmConfig, attach, default_shape, region_of};

fn conforms(config: ShmConfig, seed: u64) -> Coverage {
    conformance::run(seed, |size| {
        let segment = segment();
        let end = |rank| {
            endpoint(
                rank,
                size,
                &attach(&job(rank, size, &segment), &config).expect("attached"),
            )
        };
        (0..size).map(end).collect()
    })
}

#[test]
fn conforms_with_default_settings() {
    let covered = conforms(ShmConfig::default(), 0x5eed_0001);
    // Rings copy at once, and the kernel does when it may. Then all that there is of remote memory
    // access is tested.
    let Coverage {
        direct,
        registered,
        denied,
        flushed,
        ordered,
        ..
    } = covered;
    let used = Coverage {
        direct,
        registered,
        denied,
        flushed,
        ordered,
        ..Coverage::default()
    };
    assert_eq!(covered, used);
    let all = [registered, denied, flushed, ordered];
    assert!(
        direct == 0 || all.iter().all(|count| *count > 0),
        "{covered:?}"
    );
}

#[test]
fn conforms_with_small_rings_and_without_cma() {
    let covered = conforms(
        ShmConfig {
            cma: false,
            shape: Some(Shape {
                slots: 4,
                body: 1024,
            }),
            ..ShmConfig::default()
        },
        0x5eed_0002,
    );
    assert_eq!(covered, Coverage::default());
}

#[test]
fn rings_of_many_ranks_are_smaller() {
    assert_eq!(
        default_shape(2),
        Shape {
            slots: 256,
            body: 512 << 10
        }
    );
    assert_eq!(
        default_shape(256),
        Shape {
            slots: 64,
            body: 32 << 10
        }
    );
    for ranks in [0, 1, 2, 3, 8, 63, 64, 65, 100, 1000, 4032] {
        assert!(default_shape(ranks).valid(), "{ranks} ranks");
    }
}

#[test]
fn a_sender_need_not_wait_for_its_receiver_to_attach() {
    let segment = segment();
    let first = attach(&job(0, 2, &segment), &ShmConfig::default()).expect("attached");
    let mut link = first.link(1).expect("mapped").expect("local");
    let header = Header {
        kind: 3,
        flags: 1,
        seq: 0,
        len: 0,
        context: 5,
        tag: 6,
        source: 7,
    };
    // SAFETY: the body is readable.
    let sent = unsafe { link.try_send_inline(&header, RawBuf::of(b"early")) };
    assert_eq!(sent, Sent::Done);

    struct Got(Vec<(u32, Header, Vec<u8>)>);
    impl Sink for Got {
        fn frame(&mut self, peer: u32, header: &Header, body: RawBuf) {
            let mut copy = vec![0; body.len];
            // SAFETY: readable during the call.
            unsafe { body.copy_to(copy.as_mut_ptr()) };
            self.0.push((peer, *header, copy));
        }
        fn completed(&mut self, _: u32, _: Token, _: Outcome) {
            panic!("nothing was queued");
        }
        fn down(&mut self, _: u32, why: LinkDown) {
            panic!("{}", why.reason);
        }
    }
    let second = attach(&job(1, 2, &segment), &ShmConfig::default()).expect("attached");
    let mut got = Got(Vec::new());
    assert_eq!(second.port().poll_into(&mut got), 1);
    assert_eq!(got.0, [(0, Header { len: 5, ..header }, b"early".to_vec())]);
}

#[test]
fn a_rank_that_is_alone() {
    let attachment = attach(&job(0, 1, segment()), &ShmConfig::default()).expect("attached");
    assert!(attachment.is_local(0) && !attachment.is_local(2));
    assert!(attachment.link(2).expect("no error").is_none());
    assert!(attachment.claims(2, 0).is_none());
    let mut end = attachment.port();
    assert!(ferrite_fabric::Port::prepare_sleep(&mut end));
    attachment.sleeper().wake();
    attachment.sleeper().wait(None);
}

#[test]
fn ranks_that_do_not_agree_are_told() {
    let refused = |segment: &_, change: &dyn Fn(&mut ferrite_fabric::Job, &mut ShmConfig)| {
        let (mut job, mut config) = (job(1, 2, segment), ShmConfig::default());
        change(&mut job, &mut config);
        attach(&job, &config)
            .map(|_| ())
            .expect_err("refused")
            .to_string()
    };
    let segment = segment();
    attach(&job(0, 2, &segment), &ShmConfig::default()).expect("attached");
    let error = refused(&segment, &|job, _| job.id[0] ^= 1);
    assert!(error.contains("job id"), "{error}");
    let error = refused(&segment, &|job, _| job.local = vec![0, 1, 2]);
    assert!(error.contains("number of ranks"), "{error}");
    let error = refused(&segment, &|_, config| {
        config.shape = Some(Shape {
            slots: 128,
            body: 512 << 10,
        })
    });
    assert!(error.contains("slots"), "{error}");
    let error = refused(&segment, &|job, _| job.segment = None);
    assert!(error.contains("no memory file"), "{error}");
    let error = refused(&segment, &|job, _| job.local = vec![1, 0]);
    assert!(error.contains("ascending"), "{error}");
    let error = refused(&segment, &|job, _| job.local = vec![0, 2]);
    assert!(error.contains("not in the list"), "{error}");
    let error = refused(&segment, &|_, config| {
        config.shape = Some(Shape {
            slots: 3,
            body: 1024,
        })
    });
    assert!(error.contains("powers of two"), "{error}");
    let error = refused(&segment, &|job, _| job.local = (0..5000).collect());
    assert!(error.contains("5000 ranks"), "{error}");
    // The one that fits still fits.
    attach(&job(1, 2, &segment), &ShmConfig::default()).expect("attached");
}

#[test]
fn the_segment_cannot_be_cut_off() {
    let segment = segment();
    attach(&job(0, 2, &segment), &ShmConfig::default()).expect("attached");
    assert!(rustix::fs::ftruncate(&segment, 0).is_err());
}

#[test]
fn cross_memory_attach_is_refused_or_fails_cleanly() {
    let segment = segment();
    let (first, second) = (
        attach(&job(0, 2, &segment), &ShmConfig::default()).expect("attached"),
        attach(&job(1, 2, &segment), &ShmConfig::default()).expect("attached"),
    );
    let mut link = first.link(1).expect("mapped").expect("local");
    let mut into = [0u8; 16];
    let nowhere = region_of(8, 16);
    let beyond = region_of(into.as_ptr().expose_provenance() as u64, 15);
    // SAFETY: `into` is readable and writable.
    unsafe {
        assert_eq!(
            link.read(RawBufMut::of(&mut into), &nowhere, 0, Token(0)),
            Transfer::Failed(Failure::BadAddress)
        );
        assert_eq!(
            link.write(RawBuf::of(&into), &nowhere, 0, Token(0)),
            Transfer::Failed(Failure::BadAddress)
        );
        assert_eq!(
            link.read(RawBufMut::of(&mut into), &beyond, 0, Token(0)),
            Transfer::Failed(Failure::Denied)
        );
    }
    assert!(
        link.limits().caps.read && link.limits().caps.write,
        "bad memory says nothing about the capability"
    );

    let off = ShmConfig {
        cma: false,
        ..ShmConfig::default()
    };
    let segment = common::segment();
    let third = attach(&job(0, 2, &segment), &off).expect("attached");
    let mut link = third.link(1).expect("mapped").expect("local");
    assert!(!link.limits().caps.read && !link.limits().caps.write);
    // SAFETY: `into` is readable and writable.
    unsafe {
        let registered = link.register(RawBufMut::of(&mut into), Uses::READ);
        assert_eq!(registered.err(), Some(Refused::Unavailable));
        assert_eq!(link.flush_writes(Token(0)), Transfer::Unavailable);
        assert_eq!(
            link.read(RawBufMut::of(&mut into), &nowhere, 0, Token(0)),
            Transfer::Unavailable
        );
        assert_eq!(
            link.write(RawBuf::of(&into), &nowhere, 0, Token(0)),
            Transfer::Unavailable
        );
    }

    // A peer that has not attached cannot be identified.
    let segment = common::segment();
    let early = attach(&job(0, 2, &segment), &ShmConfig::default()).expect("attached");
    let mut link = early.link(1).expect("mapped").expect("local");
    assert!(link.limits().caps.read);
    // SAFETY: `into` is writable.
    let transfer = unsafe { link.read(RawBufMut::of(&mut into), &nowhere, 0, Token(0)) };
    assert_eq!(transfer, Transfer::Unavailable);
    assert!(!link.limits().caps.read && !link.limits().caps.write);
    drop(second);
}

#[test]
fn claims_are_shared() {
    let segment = segment();
    let (first, second) = (
        attach(&job(0, 2, &segment), &ShmConfig::default()).expect("attached"),
        attach(&job(1, 2, &segment), &ShmConfig::default()).expect("attached"),
    );
    first.claims(0, 1).expect("local")[7]
        .next
        .store(42, Ordering::Relaxed);
    assert_eq!(
        second.claims(0, 1).expect("local")[7]
            .next
            .load(Ordering::Relaxed),
        42
    );
    assert_eq!(
        second.claims(1, 0).expect("local")[7]
            .next
            .load(Ordering::Relaxed),
        0
    );
    assert_eq!(
        second.claims(0, 1).expect("local")[6]
            .next
            .load(Ordering::Relaxed),
        0
    );
}

#[test]
#[should_panic(expected = "one port")]
fn a_second_port_is_a_bug() {
    let attachment = attach(&job(0, 1, segment()), &ShmConfig::default()).expect("attached");
    let _ports = (attachment.port(), attachment.port());
}

#[test]
#[should_panic(expected = "has its link")]
fn a_second_link_is_a_bug() {
    let attachment = attach(&job(0, 1, segment()), &ShmConfig::default()).expect("attached");
    let _links = (attachment.link(0), attachment.link(0));
}
