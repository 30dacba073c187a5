//! Atomic operations: each by itself, and many of several processes on one integer.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::conformance::operations::{Begun, Place, memory, now, put};
use crate::conformance::process::All;
use crate::conformance::{Coverage, Endpoint, Random};
use ferrite_fabric::{Atomic, Failure, OwnedBuf, Region, Uses, Width};

const ATOMIC: Uses = Uses {
    local: false,
    read: false,
    write: false,
    atomic: true,
};

/// Integers of 64 bits, so that the memory is aligned for them.
const WORDS: usize = 8;

/// Memory that begins at a multiple of 8, and where.
fn aligned(random: &mut Random) -> (OwnedBuf, usize) {
    let memory = memory(random.bytes(8 * WORDS + 8));
    let start = memory.buf().ptr.align_offset(8);
    (memory, start)
}

fn integer(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => u64::from_ne_bytes(bytes.try_into().expect("4 or 8 bytes")),
    }
}

/// What memory holds after an operation.
fn after(before: u64, operation: Atomic, width: Width) -> u64 {
    let mask = if width == Width::W32 {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    mask & match operation {
        Atomic::Add(by) | Atomic::FetchAdd(by) => before.wrapping_add(by),
        Atomic::Swap(new) => new,
        Atomic::CompareSwap { expected, new } if expected & mask == before => new,
        Atomic::CompareSwap { .. } => before,
    }
}

pub(super) fn integers_change_as_they_should(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    if !all.0[0].limits(1).caps.atomics.any() {
        return all.coverage();
    }
    let (memory, start) = aligned(&mut random);
    let registration = all.register(1, &memory, ATOMIC).expect("promised");
    let region = *registration.region();
    for _ in 0..300 {
        let width = random.choose(&[Width::W32, Width::W64]);
        let bytes = width.bytes();
        let at = start + bytes * random.below(8 * WORDS / bytes);
        let before = integer(&now(&memory, at, bytes));
        let value = random.bits();
        let operation = match random.below(5) {
            0 => Atomic::Add(value),
            1 => Atomic::FetchAdd(value),
            2 => Atomic::Swap(value),
            3 => Atomic::CompareSwap {
                expected: before | !after(u64::MAX, Atomic::Swap(u64::MAX), width),
                new: value,
            },
            _ => Atomic::CompareSwap {
                expected: before ^ 1,
                new: value,
            },
        };
        one(&mut all, &region, &memory, at, operation, width);
        if random.once_in(4) {
            misaligned(&mut all, &region, start, operation, width);
        }
    }
    all.settle();
    all.coverage()
}

fn one(
    all: &mut All,
    region: &Region,
    memory: &OwnedBuf,
    at: usize,
    operation: Atomic,
    width: Width,
) {
    let bytes = width.bytes();
    let place = Place {
        region,
        offset: at as u64,
    };
    let mut expected = now(memory, 0, memory.buf().len);
    let before = integer(&expected[at..at + bytes]);
    let ended = all.perform(0, |process| process.atomic(1, place, operation, width));
    let has = all.0[0].limits(1).caps.atomics.have(operation, width);
    let Some(ended) = ended else {
        return assert!(
            !has,
            "caps lack what is unavailable: {operation:?}, {width:?}"
        );
    };
    assert!(
        has,
        "what caps lack is unavailable: {operation:?}, {width:?}"
    );
    let result = ended.expect("it is allowed");
    match operation.has_result() {
        true => assert_eq!(integer(&result), before, "{operation:?}, {width:?}"),
        false => assert_eq!(result, []),
    }
    if !operation.has_result() {
        assert_eq!(all.flush(0, 1), Some(Ok(())));
    }
    all.0[0].coverage.atomics += 1;
    let value = after(before, operation, width);
    match width {
        Width::W32 => expected[at..at + 4].copy_from_slice(&(value as u32).to_ne_bytes()),
        Width::W64 => expected[at..at + 8].copy_from_slice(&value.to_ne_bytes()),
    }
    assert!(
        now(memory, 0, memory.buf().len) == expected,
        "{operation:?}, {width:?} at {at} of {before:#x}"
    );
}

fn misaligned(all: &mut All, region: &Region, start: usize, operation: Atomic, width: Width) {
    let offset = (start + width.bytes() + width.bytes() / 2) as u64;
    let place = Place { region, offset };
    let ended = all.perform(0, |process| process.atomic(1, place, operation, width));
    let Some(ended) = ended else {
        return;
    };
    let flushed = all.flush(0, 1).expect("it has atomic operations");
    let told = ended.map(|_| ()).and(flushed);
    assert_eq!(told, Err(Failure::Misaligned), "{operation:?}, {width:?}");
    all.0[0].coverage.denied += 1;
}

/// Three processes, one of them the owner, count in one place.
pub(super) fn nobody_comes_between(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let atomics = all.0[0].limits(2).caps.atomics;
    if !atomics.of_64.fetch_add {
        return all.coverage();
    }
    let (memory, start) = aligned(&mut random);
    put(&memory, start, &0u64.to_ne_bytes());
    let registration = all.register(2, &memory, ATOMIC).expect("promised");
    let place = Place {
        region: registration.region(),
        offset: start as u64,
    };
    let mut seen = Vec::new();
    let (mut begun, mut total) = (Vec::new(), 0);
    for _ in 0..400 {
        let process = random.below(3);
        if process == 2 {
            // The owner, by its processor, if that goes together.
            if atomics.with_processors {
                // SAFETY: aligned, and there to the end of the test.
                let integer =
                    unsafe { AtomicU64::from_ptr(memory.buf_mut().ptr.add(start).cast()) };
                seen.push(integer.fetch_add(1, Ordering::Relaxed));
                total += 1;
            }
            continue;
        }
        let add = Atomic::FetchAdd(1);
        match all.0[process].atomic(2, place, add, Width::W64) {
            Begun::Full => all.poll(process),
            Begun::Unavailable => break,
            one => {
                total += 1;
                begun.push((process, one));
            }
        }
        if random.once_in(4) {
            all.poll(process);
        }
    }
    for (process, one) in begun {
        all.0[process].coverage.atomics += 1;
        let result = all.end(process, one).expect("it is allowed");
        seen.push(integer(&result));
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..total), "each value is seen once");
    assert_eq!(integer(&now(&memory, start, 8)), total);
    all.settle();
    all.coverage()
}
