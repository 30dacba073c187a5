//! Frames: whole, in order, whatever their length, and nobody waits for ever.

use core::time::Duration;
use std::collections::VecDeque;

use super::process::{All, Expected, Process, expect};
use super::{Coverage, Endpoint, Random};
use ferrite_fabric::{CONTROL, Header};

pub(super) fn every_length_arrives(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::new(ends, seed);
    let limits = all.0[0].end.links[1].limits();
    assert!(limits.inline <= limits.frame);
    assert!(CONTROL <= limits.frame, "the engine's own frames fit");
    let near = |middle: usize| middle.saturating_sub(2)..=middle + 2;
    let mut lens: Vec<usize> = (0..=300)
        .chain(near(limits.inline))
        .chain(near(limits.frame))
        .collect();
    lens.extend((8..usize::BITS - 1).flat_map(|bit| near(1 << bit)));
    lens.retain(|&len| len <= limits.frame);
    for len in lens {
        let (header, body) = (random.header(), random.bytes(len));
        all.send(0, 1, &header, &body);
        expect(all.next(1), 0, &header, &body);
        all.0[0].poll();
    }
    all.settle();
    all.coverage()
}

pub(super) fn full_means_nothing_was_sent(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::new(ends, seed);
    let limits = all.0[0].end.links[1].limits();
    for len in [
        0,
        limits.inline,
        limits.inline + 1,
        limits.frame / 3,
        limits.frame,
    ] {
        let len = len.min(limits.frame);
        for _ in 0..3 {
            let mut sent = VecDeque::new();
            let refused = loop {
                assert!(sent.len() < 1 << 20, "a link must be full at some time");
                let (header, body) = (random.header(), random.bytes(len));
                // A system's buffers can find room while one looks. What counts is that a refusal
                // sends nothing.
                if !all.0[0].try_send(1, &header, &body) && !all.0[0].try_send(1, &header, &body) {
                    break (header, body);
                }
                sent.push_back((header, body));
            };
            for (header, body) in &sent {
                expect(all.next(1), 0, header, body);
            }
            all.0[1].poll();
            assert_eq!(
                all.0[1].log.frames.len(),
                0,
                "what was refused must not arrive"
            );
            all.send(0, 1, &refused.0, &refused.1);
            expect(all.next(1), 0, &refused.0, &refused.1);
        }
    }
    all.settle();
    all.coverage()
}

pub(super) fn order_holds_between_interleaved_peers(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::new(ends, seed);
    let n = all.0.len();
    let limits = all.0[0].end.links[1].limits();
    let mut expected = Expected::new();
    for _ in 0..5_000 {
        let process = random.below(n);
        if random.below(2) == 0 {
            let peer = random.below(n);
            let len = random.len(limits.inline, limits.frame.min(100_000));
            let (header, body) = (random.header(), random.bytes(len));
            if all.0[process].reaches(peer) && all.0[process].try_send(peer as u32, &header, &body)
            {
                expected
                    .entry((process, peer))
                    .or_default()
                    .push_back((header, body));
            }
        } else {
            all.0[process].poll();
            deliver(&mut all, process, &mut expected);
        }
    }
    all.until(0, "everything sent arrives", |all| {
        for process in 0..n {
            deliver(all, process, &mut expected);
        }
        expected.values().all(VecDeque::is_empty)
    });
    all.settle();
    all.coverage()
}

fn deliver(all: &mut All, process: usize, expected: &mut Expected) {
    for frame in all.0[process].log.frames.drain(..) {
        let from = frame.0;
        let queue = expected.get_mut(&(from as usize, process));
        let (header, body) = queue
            .and_then(VecDeque::pop_front)
            .expect("a frame that nobody sent");
        expect(frame, from, &header, &body);
    }
}

/// A process that has sent and computes ever since must not keep what it sent.
pub(super) fn what_was_flushed_needs_its_sender_no_more(
    seed: u64,
    ends: Vec<Endpoint>,
) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    for round in 0..50 {
        let mut sent = Vec::new();
        for _ in 0..=round % 5 {
            let (header, len) = (random.header(), random.below(CONTROL + 1));
            let body = random.bytes(len);
            if all.0[0].try_send(1, &header, &body) {
                sent.push((header, body));
            }
        }
        all.0[0].end.links[1].flush();
        let mut receiver = All(vec![all.0.pop().expect("two processes")]);
        for (header, body) in &sent {
            expect(receiver.next(0), 0, header, body);
        }
        all.0.append(&mut receiver.0);
        // Room is made while the sender polls.
        all.settle();
        all.poll(0);
    }
    all.coverage()
}

pub(super) fn one_sender_cannot_starve_another(ends: Vec<Endpoint>) {
    let mut all = All::acquainted(ends, 1);
    let header = Random(1).header();
    let flood = |all: &mut All| while all.0[0].try_send(2, &header, &[]) {};
    flood(&mut all);
    all.0[2].poll();
    flood(&mut all);
    all.send(1, 2, &header, b"me too");
    all.0[1].end.links[2].flush();
    let mut polls = 0;
    loop {
        assert!(polls < 100, "the other sender's frame has not arrived");
        polls += usize::from(all.0[2].poll() > 0);
        all.0[1].poll();
        all.0[0].poll();
        flood(&mut all);
        if all.0[2].log.frames.drain(..).any(|(peer, ..)| peer == 1) {
            break;
        }
    }
}

/// `prepare_sleep` refuses exactly while something is there, and what comes later ends the sleep.
pub(super) fn a_frame_ends_sleep(ends: Vec<Endpoint>) {
    let mut all = All::acquainted(ends, 2);
    let header = Random(2).header();
    for round in 0..20 {
        all.until(1, "sleep when nothing is there", |all| {
            all.0[1].end.port.prepare_sleep()
        });
        if round % 2 == 0 {
            // What arrives in sleep ends it at once, however long it was to be.
            send_alone(&mut all.0[0], &header, b"wake up");
            (all.0[1].end.sleep)(Duration::from_secs(3600));
        }
        all.0[1].end.port.awake();
        if round % 2 == 1 {
            send_alone(&mut all.0[0], &header, b"hello");
            assert!(!all.0[1].end.port.prepare_sleep(), "a frame is there");
        }
        all.next(1);
        for _ in 0..round {
            all.send(0, 1, &header, &[]);
            all.next(1);
        }
    }
}

/// Sends to process 1 while that does nothing. Its link may be in a mood to refuse, but not for
/// ever.
fn send_alone(process: &mut Process, header: &Header, body: &[u8]) {
    let mut polls = 0;
    while !process.try_send(1, header, body) {
        polls += 1;
        assert!(polls < 1000, "an empty link takes a frame");
        process.poll();
    }
    process.end.links[1].flush();
}
