//! Reads and writes: one after the other, several at once, and those that fail.

use crate::conformance::operations::{Begun, Place, memory, now};
use crate::conformance::process::All;
use crate::conformance::{Coverage, Endpoint, Random};
use ferrite_fabric::{Failure, OwnedBuf, Region, Uses};

/// Transfers under way at once, each in a part of the memory of its own.
const PARTS: usize = 10;

/// What of reading and writing the capabilities promise.
fn uses(all: &All) -> Option<Uses> {
    let caps = all.0[0].limits(1).caps;
    let (read, write) = (caps.read, caps.write);
    (read || write).then_some(Uses {
        read,
        write,
        ..Uses::default()
    })
}

pub(super) fn registered_memory_is_read_and_written(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let Some(uses) = uses(&all) else {
        return all.coverage();
    };
    let bytes = all.0[0].limits(1).rma.registered.min(300_000);
    let memory = memory(random.bytes(bytes));
    let registration = all.register(1, &memory, uses).expect("promised");
    let region = *registration.region();
    for _ in 0..100 {
        one_after_the_other(&mut all, &mut random, &region, &memory);
    }
    for _ in 0..20 {
        many_at_once(&mut all, &mut random, &region, &memory);
    }
    all.settle();
    all.coverage()
}

fn one_after_the_other(all: &mut All, random: &mut Random, region: &Region, memory: &OwnedBuf) {
    let (bytes, most) = (memory.buf().len, all.0[0].limits(1).rma.transfer);
    let at = random.below(bytes);
    let len = random.below((bytes - at).min(most) + 1);
    let place = Place {
        region,
        offset: at as u64,
    };
    if all.0[0].limits(1).caps.read {
        match all.perform(0, |process| process.read(1, place, len)) {
            Some(read) => assert!(read == Ok(now(memory, at, len)), "{len} bytes at {at}"),
            None => assert!(
                !all.0[0].limits(1).caps.read,
                "caps lose what is unavailable"
            ),
        }
    }
    if all.0[0].limits(1).caps.write {
        let bytes = random.bytes(len);
        let written = all.perform(0, |process| process.write(1, place, &bytes));
        let Some(written) = written else {
            assert!(
                !all.0[0].limits(1).caps.write,
                "caps lose what is unavailable"
            );
            return;
        };
        assert!(written.is_ok(), "{len} bytes at {at}: {written:?}");
        if !all.0[0].limits(1).caps.visible_writes {
            assert_eq!(all.flush(0, 1), Some(Ok(())));
        }
        assert!(now(memory, at, len) == bytes, "{len} bytes at {at}");
    }
}

/// Reads and writes in parts that do not overlap, while frames go the same way.
fn many_at_once(all: &mut All, random: &mut Random, region: &Region, memory: &OwnedBuf) {
    let limits = all.0[0].limits(1);
    let part = (memory.buf().len / PARTS).min(limits.rma.transfer);
    let before = now(memory, 0, memory.buf().len);
    let written: Vec<Vec<u8>> = (0..PARTS).map(|_| random.bytes(part)).collect();
    let (mut begun, mut sent) = (Vec::new(), 0);
    for (number, bytes) in written.iter().enumerate() {
        let place = Place {
            region,
            offset: (number * part) as u64,
        };
        let caps = all.0[0].limits(1).caps;
        let (reads, writes) = (caps.read && number % 2 == 0, caps.write && number % 2 == 1);
        let one = all.begin(0, |process| match (reads, writes) {
            (true, _) => process.read(1, place, part),
            (_, true) => process.write(1, place, bytes),
            _ => Begun::Unavailable,
        });
        begun.push(one);
        sent += usize::from(all.0[0].try_send(1, &random.header(), &[number as u8]));
    }
    let ended: Vec<_> = begun
        .into_iter()
        .map(|one| one.map(|one| all.end(0, one)))
        .collect();
    let has_written = ended.iter().skip(1).step_by(2).any(Option::is_some);
    if has_written {
        assert_eq!(all.flush(0, 1), Some(Ok(())));
    }
    for _ in 0..sent {
        all.next(1);
    }
    for (number, ended) in ended.into_iter().enumerate() {
        let at = number * part;
        match ended {
            None => {}
            Some(read) if number % 2 == 0 => {
                assert!(
                    read.as_deref() == Ok(&before[at..at + part]),
                    "part {number} is read"
                );
            }
            Some(wrote) => {
                let there = now(memory, at, part);
                assert!(
                    wrote.is_ok() && there == written[number],
                    "part {number} is written"
                );
            }
        }
    }
}

/// A write that is denied says so, itself or by the next flush, and only once.
pub(super) fn what_fails_late_is_told_by_the_flush(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let limits = all.0[0].limits(1);
    if !limits.caps.write {
        return all.coverage();
    }
    let uses = Uses {
        write: true,
        ..Uses::default()
    };
    let first = OwnedBuf::zeroed(1000);
    let registration = all.register(1, &first, uses).expect("it writes");
    let region = *registration.region();
    for round in 0..40 {
        let len = (1 + random.below(900)).min(limits.rma.transfer);
        let is_good = round % 3 != 0;
        let offset = match is_good {
            true => random.below(1000 - len + 1),
            false => 1000 - random.below(len),
        };
        let place = Place {
            region: &region,
            offset: offset as u64,
        };
        let bytes = random.bytes(len);
        let Some(written) = all.perform(0, |process| process.write(1, place, &bytes)) else {
            break;
        };
        let flushed = all.flush(0, 1).expect("it writes");
        if is_good {
            assert_eq!((written.map(|_| ()), flushed), (Ok(()), Ok(())));
            assert!(now(&first, offset, len) == bytes);
        } else {
            let told = (written.map(|_| ()), flushed);
            let denied = Err(Failure::Denied);
            assert!(
                told == (denied, Ok(())) || told == (Ok(()), denied),
                "{told:?}"
            );
            all.0[0].coverage.denied += 1;
            assert_eq!(all.flush(0, 1), Some(Ok(())), "a failure is told once");
        }
    }
    all.settle();
    all.coverage()
}
