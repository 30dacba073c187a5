//! A peer that dies: it is reported once, after which nothing comes of it and nothing of its is touched.

use std::collections::VecDeque;

use super::process::{All, Expected, expect};
use super::{Coverage, Endpoint, Random};

/// Frames sent before the peer dies.
const BEFORE: usize = 300;

/// Puts a network through the death of one of three processes, twenty times. `make(3)` makes a fresh network; `kill` ends a process
/// without taking leave: dropping its endpoint will do for most.
pub fn loss(seed: u64, make: impl Fn(u32) -> Vec<Endpoint>, kill: impl Fn(Endpoint)) -> Coverage {
    println!("seed {seed:#x}");
    let mut coverage = Coverage::default();
    for round in 0..20 {
        coverage += one_dies(seed.wrapping_add(round), make(3), &kill);
    }
    coverage
}

fn one_dies(seed: u64, ends: Vec<Endpoint>, kill: impl Fn(Endpoint)) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    for survivor in &mut all.0[..2] {
        survivor.log.mortal.insert(2);
    }
    let limits = all.0[0].end.links[2].limits();
    let mut expected = Expected::new();
    for _ in 0..BEFORE {
        let (from, to) = (random.below(3), random.below(3));
        let len = random.len(limits.inline, limits.frame.min(100_000));
        let (header, body) = (random.header(), random.bytes(len));
        if all.0[from].reaches(to) && all.0[from].try_send(to as u32, &header, &body) {
            let queue = expected.entry((from, to)).or_default();
            queue.push_back((header, body));
        }
        if random.below(2) == 0 {
            all.0[random.below(3)].poll();
        }
    }
    // What the dying process has lent stays where it is: a network whose end is gone may not read it, but memory that is used
    // again would hide that it does.
    let dying = all.0.pop().expect("three processes");
    let mut remains: Vec<Vec<u8>> = dying.lent.into_values().map(|lent| lent.body).collect();
    kill(dying.end);
    for body in &mut remains {
        body.fill(0xdd);
    }
    all.until(0, "the loss of a peer is reported to everybody", |all| {
        for survivor in &mut all.0 {
            // What is accepted for the dead is lost, and may be refused. Only that nothing is kept for ever counts.
            survivor.try_send(2, &random.header(), &[1, 2, 3]);
        }
        all.0.iter().all(|survivor| survivor.log.gone.contains(&2))
    });
    // The others go on.
    for round in 0..100 {
        let (from, to) = (round % 2, (round + round / 2) % 2);
        if !all.0[from].reaches(to) {
            continue;
        }
        let (header, len) = (random.header(), random.below(limits.frame.min(3000) + 1));
        let body = random.bytes(len);
        all.send(from, to, &header, &body);
        let queue = expected.entry((from, to)).or_default();
        queue.push_back((header, body));
    }
    all.until(1, "what the living sent arrives", |all| {
        for to in 0..2 {
            for frame in all.0[to].log.frames.drain(..) {
                let from = frame.0;
                let queue = expected.get_mut(&(from as usize, to));
                let (header, body) = queue
                    .and_then(VecDeque::pop_front)
                    .expect("a frame that nobody sent");
                expect(frame, from, &header, &body);
            }
        }
        let arrived = |from, to| expected.get(&(from, to)).is_none_or(VecDeque::is_empty);
        (0..4).all(|pair| arrived(pair / 2, pair % 2))
    });
    all.settle();
    let coverage = all.coverage();
    drop(remains);
    coverage
}
