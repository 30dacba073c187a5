//! A peer that dies: it is reported once, after which nothing comes of it and nothing of its is
//! touched.

use std::collections::VecDeque;

use super::operations::{Begun, Place, UnderWay, memory, now, put};
use super::process::{All, Expected, Process, expect};
use super::{Coverage, Endpoint, Random};
use ferrite_fabric::{Failure, OwnedBuf, Registration, Uses};

/// Frames sent before the peer dies.
const BEFORE: usize = 300;

/// Puts a network through the death of one of three processes, twenty times. `make(3)` makes a
/// fresh network; `kill` ends a process without taking leave: dropping its endpoint will do for
/// most.
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
    let memory = Registered::new(&mut all, &mut random);
    let mut expected = Expected::new();
    for _ in 0..BEFORE {
        let (from, to) = (random.below(3), random.below(3));
        let len = random.len(limits.inline, limits.frame.min(100_000));
        let (header, body) = (random.header(), random.bytes(len));
        if all.0[from].reaches(to) && all.0[from].try_send(to as u32, &header, &body) {
            let queue = expected.entry((from, to)).or_default();
            queue.push_back((header, body));
        }
        if random.once_in(3) {
            memory.access(&mut all.0[from], &mut random, to);
        }
        if random.below(2) == 0 {
            all.0[random.below(3)].poll();
        }
    }
    // What the dying process has lent stays where it is: a network whose end is gone may not read
    // it, but memory that is used again would hide that it does.
    let dying = all.0.pop().expect("three processes");
    let buffers: Vec<OwnedBuf> = dying
        .under_way
        .into_values()
        .map(UnderWay::buffer)
        .collect();
    let mut remains: Vec<Vec<u8>> = dying.lent.into_values().map(|lent| lent.body).collect();
    kill(dying.end);
    for body in &mut remains {
        body.fill(0xdd);
    }
    let own = memory.registered.iter().map(|one| &one.1).skip(2);
    let of_the_dead: Vec<&OwnedBuf> = buffers.iter().chain(own).collect();
    for buffer in &of_the_dead {
        put(buffer, 0, &vec![0xdd; buffer.buf().len]);
    }
    all.until(0, "the loss of a peer is reported to everybody", |all| {
        for survivor in &mut all.0 {
            // What is accepted for the dead is lost, and may be refused. Only that nothing is kept
            // for ever counts.
            survivor.try_send(2, &random.header(), &[1, 2, 3]);
        }
        all.0.iter().all(|survivor| survivor.log.gone.contains(&2))
    });
    for survivor in &mut all.0 {
        memory.access_the_dead(survivor);
    }
    // The others go on.
    for round in 0..100 {
        let (from, to) = (round % 2, (round + round / 2) % 2);
        memory.access(&mut all.0[from], &mut random, to);
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
    for ended in all.0.iter_mut().flat_map(|survivor| survivor.ended.drain()) {
        let outcome = ended.1.map(|_| ());
        assert!(
            matches!(outcome, Ok(()) | Err(Failure::Unreachable)),
            "{outcome:?}"
        );
    }
    for buffer in of_the_dead {
        let is_left = now(buffer, 0, buffer.buf().len)
            .iter()
            .all(|&byte| byte == 0xdd);
        assert!(is_left, "memory of the dead was touched");
    }
    let coverage = all.coverage();
    drop(remains);
    coverage
}

/// Memory of all three processes that they have registered, where the link has a use for it.
struct Registered {
    registered: Vec<(Registration, OwnedBuf)>,
}

impl Registered {
    /// Bytes of each.
    const BYTES: usize = 4000;

    fn new(all: &mut All, random: &mut Random) -> Registered {
        let caps = all.0[0].limits(1).caps;
        let uses = Uses {
            read: caps.read,
            write: caps.write,
            ..Uses::default()
        };
        let one = |owner| {
            let memory = memory(random.bytes(Registered::BYTES));
            let registration = all.register(owner, &memory, uses);
            registration.map(|registration| (registration, memory))
        };
        let has_a_use = caps.read || caps.write;
        let registered = (0..3).filter(|_| has_a_use).filter_map(one).collect();
        Registered { registered }
    }

    /// Begins to read or to write.
    fn access(&self, process: &mut Process, random: &mut Random, peer: usize) -> Option<Begun> {
        let (registration, _) = self.registered.get(peer)?;
        if !process.reaches(peer) {
            return None;
        }
        let limits = process.limits(peer);
        let len = random.below(Registered::BYTES.min(limits.rma.transfer) + 1);
        let place = Place {
            region: registration.region(),
            offset: random.below(Registered::BYTES - len + 1) as u64,
        };
        match random.below(3) {
            0 => Some(process.flush_writes(peer)),
            1 if limits.caps.read => Some(process.read(peer, place, len)),
            _ => Some(process.write(peer, place, &random.bytes(len))),
        }
    }

    fn access_the_dead(&self, survivor: &mut Process) {
        let mut random = Random(7);
        for _ in 0..20 {
            match self.access(survivor, &mut random, 2) {
                None | Some(Begun::Full | Begun::Unavailable) => {}
                Some(begun) => assert_eq!(begun, Begun::Over(Err(Failure::Unreachable))),
            }
        }
    }
}
