//! Order: for every two acts whose order a link promises, the second never takes effect before the
//! first.

use crate::conformance::operations::{Begun, Place, memory, now, put};
use crate::conformance::process::{All, Process};
use crate::conformance::{Coverage, Endpoint, Random};
use ferrite_fabric::{Act, Atomic, Caps, Failure, Header, OwnedBuf, Registration, Uses, Width};

/// How often each pair is tried.
const ROUNDS: usize = 30;

/// The integer in the peer's memory on which all acts of a round work.
struct Word {
    // Before the memory, as it is dropped.
    registration: Registration,
    memory: OwnedBuf,
    at: usize,
}

impl Word {
    fn now(&self) -> u64 {
        integer(&now(&self.memory, self.at, 8))
    }
}

fn integer(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("8 bytes"))
}

/// Whether a link can do what an act needs in this chapter.
fn has(caps: Caps, act: Act) -> bool {
    match act {
        Act::Frame => true,
        Act::Read => caps.read,
        Act::Write => caps.write,
        Act::Atomic => caps.atomics.of_64.fetch_add,
    }
}

pub(super) fn what_is_promised_holds(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let limits = all.0[0].limits(1);
    let caps = limits.caps;
    let uses = Uses {
        local: false,
        read: caps.read,
        write: caps.write,
        atomic: caps.atomics.any(),
    };
    if !caps.reaches_memory() {
        return all.coverage();
    }
    let memory = memory(vec![0; 24]);
    let at = memory.buf().ptr.align_offset(8);
    let registration = all.register(1, &memory, uses).expect("promised");
    let word = Word {
        registration,
        memory,
        at,
    };
    for (first, then) in Act::ALL.iter().flat_map(|a| Act::ALL.map(|b| (*a, b))) {
        let is_promised = first != Act::Frame && caps.order.holds(first, then);
        if !is_promised || !has(caps, first) || !has(caps, then) {
            continue;
        }
        let mut rounds = 0;
        // Where there is room for one operation only, no two follow each other.
        for _ in 0..10 * ROUNDS {
            rounds += usize::from(one_after_the_other(
                &mut all,
                &mut random,
                &word,
                first,
                then,
            ));
            if rounds == ROUNDS {
                break;
            }
        }
        all.0[0].coverage.ordered += rounds;
    }
    all.settle();
    all.coverage()
}

/// An act that was begun.
enum Acted {
    Frame,
    Operation(Begun),
}

/// What the acts of a round do: a write stores its number, an atomic operation adds its number.
fn act(
    process: &mut Process,
    act: Act,
    word: &Word,
    number: u64,
    header: &Header,
) -> Option<Acted> {
    let place = Place {
        region: word.registration.region(),
        offset: word.at as u64,
    };
    let begun = match act {
        Act::Frame => {
            let sent = process.try_send(1, header, b"look now");
            return sent.then_some(Acted::Frame);
        }
        Act::Read => process.read(1, place, 8),
        Act::Write => process.write(1, place, &number.to_ne_bytes()),
        Act::Atomic => process.atomic(1, place, Atomic::FetchAdd(number), Width::W64),
    };
    let is_begun = !matches!(begun, Begun::Full | Begun::Unavailable);
    is_begun.then_some(Acted::Operation(begun))
}

/// Returns whether both acts were accepted, one right after the other.
fn one_after_the_other(
    all: &mut All,
    random: &mut Random,
    word: &Word,
    first: Act,
    then: Act,
) -> bool {
    // A small number, so that the sum with another is told from both.
    let number = |random: &mut Random| 1 + (random.bits() >> 8);
    let (before, one, two) = (number(random), number(random), number(random));
    put(&word.memory, word.at, &before.to_ne_bytes());
    let header = random.header();
    let Some(Acted::Operation(begun)) = act(&mut all.0[0], first, word, one, &header) else {
        all.settle();
        return false;
    };
    let last = act(&mut all.0[0], then, word, two, &header);
    let was_accepted = last.is_some();
    let after = |what: Act, value: u64, by: u64| match what {
        Act::Frame | Act::Read => value,
        Act::Write => by,
        Act::Atomic => value.wrapping_add(by),
    };
    let between = after(first, before, one);
    if let Some(Acted::Frame) = last {
        all.0[0].end.links[1].flush();
        all.until(1, "a frame arrives", |all| {
            all.0[1].poll();
            !all.0[1].log.frames.is_empty()
        });
        all.0[1].log.frames.clear();
        assert_eq!(
            word.now(),
            between,
            "{first:?} is there before a frame that follows"
        );
        // What a read has looked at before stays.
        put(&word.memory, word.at, &0u64.to_ne_bytes());
    }
    let both_read = (first, then) == (Act::Read, Act::Read);
    if both_read {
        // The owner's processor comes between.
        put(&word.memory, word.at, &two.to_ne_bytes());
    }
    let result = all.end(0, begun);
    let last = last.map(|last| match last {
        Acted::Frame => Ok(Vec::new()),
        Acted::Operation(begun) => all.end(0, begun),
    });
    if both_read {
        let found =
            |result: &Result<Vec<u8>, Failure>| integer(result.as_ref().expect("it is allowed"));
        if let Some(last) = &last {
            let (result, last) = (found(&result), found(last));
            assert!(
                result == before || last == two,
                "the second read finds what is older"
            );
        }
        all.settle();
        return was_accepted;
    }
    if first == Act::Write || then == Act::Write {
        assert_eq!(all.flush(0, 1), Some(Ok(())));
    }
    is_what_was_there(first, result, before);
    if let Some(result) = last {
        is_what_was_there(then, result, between);
        if then != Act::Frame {
            assert_eq!(
                word.now(),
                after(then, between, two),
                "{first:?}, then {then:?}"
            );
        }
    }
    all.settle();
    was_accepted
}

/// The value that a read or an atomic operation has found.
fn is_what_was_there(act: Act, result: Result<Vec<u8>, Failure>, there: u64) {
    let result = result.expect("it is allowed");
    if matches!(act, Act::Read | Act::Atomic) {
        assert_eq!(integer(&result), there, "what {act:?} finds");
    }
}
