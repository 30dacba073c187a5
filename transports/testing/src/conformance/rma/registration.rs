//! Registered memory is what peers reach, and all that they reach.

use crate::conformance::operations::{Place, memory, now};
use crate::conformance::process::All;
use crate::conformance::{Coverage, Endpoint, Random};
use ferrite_fabric::{Failure, OwnedBuf, Refused, Region, Uses};

/// Bytes of the registered memory; there are more of it on both sides.
const BYTES: usize = 3000;

pub(super) fn only_what_is_registered_is_reached(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let caps = all.0[0].limits(1).caps;
    let memory = memory(random.bytes(BYTES));
    if !caps.read {
        refuses_what_it_lacks(&mut all, &memory, caps);
        return all.coverage();
    }
    let registration = all.register(1, &memory, Uses::READ).expect("it reads");
    let region = *registration.region();
    // Every peer may have the same region.
    let readers = [0, 2];
    for reader in readers {
        reads(&mut all, reader, &region, &memory);
    }
    let beyond = [
        (BYTES as u64 + 1, 0),
        (BYTES as u64 - 3, 4),
        (BYTES as u64, 1),
        (u64::MAX, 1),
        (u64::MAX - 3, 4),
        (1 << 40, 1),
    ];
    for (offset, len) in beyond {
        is_denied(&mut all, &region, offset, len);
        reads(&mut all, 0, &region, &memory);
    }
    if caps.write {
        writing_needs_leave(&mut all, &region, &memory, caps.checks_keys);
    }
    if !caps.checks_keys {
        return all.coverage();
    }
    for invented in inventions(&region) {
        is_denied(&mut all, &invented, 0, 4);
    }
    reads(&mut all, 0, &region, &memory);
    // Another one's memory of the same content.
    let theirs = all.register(2, &memory, Uses::READ).expect("it reads");
    is_denied(&mut all, theirs.region(), 0, 4);
    drop(registration);
    is_denied(&mut all, &region, 0, 4);
    let again = all.register(1, &memory, Uses::READ).expect("it reads");
    assert_ne!(again.region(), &region, "a revoked key is not given again");
    is_denied(&mut all, &region, 0, 4);
    reads(&mut all, 0, again.region(), &memory);
    all.settle();
    all.coverage()
}

fn refuses_what_it_lacks(all: &mut All, memory: &OwnedBuf, caps: ferrite_fabric::Caps) {
    let link = &mut all.0[1].end.links[0];
    // SAFETY: the memory is there to the end of the test.
    let answer = unsafe { link.register(memory.buf_mut(), Uses::READ) };
    assert_eq!(answer.err(), Some(Refused::Unavailable), "{caps:?}");
}

/// Whether the link can still do what its capabilities said at first.
fn reads(all: &mut All, reader: usize, region: &Region, memory: &OwnedBuf) {
    let most = all.0[reader].limits(1).rma.transfer;
    let (offset, len) = (17, most.min(BYTES - 17));
    let place = Place { region, offset };
    if let Some(read) = all.perform(reader, |process| process.read(1, place, len)) {
        assert!(
            read == Ok(now(memory, 17, len)),
            "what was registered is read"
        );
    }
}

fn is_denied(all: &mut All, region: &Region, offset: u64, len: usize) {
    let place = Place { region, offset };
    if let Some(read) = all.perform(0, |process| process.read(1, place, len)) {
        assert_eq!(
            read,
            Err(Failure::Denied),
            "{len} bytes at {offset} of {region:?}"
        );
        all.0[0].coverage.denied += 1;
    }
}

/// Memory that is registered for reading is not written to.
fn writing_needs_leave(all: &mut All, region: &Region, memory: &OwnedBuf, is_checked: bool) {
    let before = now(memory, 0, BYTES);
    // Not even at its end, where it is anybody's.
    let end = Place {
        region,
        offset: BYTES as u64 - 2,
    };
    let start = Place { region, offset: 0 };
    for place in [end, start] {
        if place.offset == 0 && !is_checked {
            return;
        }
        let Some(written) = all.perform(0, |process| process.write(1, place, &[1, 2, 3, 4])) else {
            return;
        };
        let flushed = all.flush(0, 1).expect("it writes");
        let told = written.map(|_| ()).and(flushed);
        assert_eq!(told, Err(Failure::Denied));
        all.0[0].coverage.denied += 1;
        if is_checked {
            assert!(now(memory, 0, BYTES) == before);
        }
    }
}

/// Regions like one that nobody has registered.
fn inventions(region: &Region) -> Vec<Region> {
    let mut all = vec![Region {
        addr: region.addr ^ 1 << 40,
        ..*region
    }];
    for at in [
        0,
        usize::from(region.key_len / 2),
        usize::from(region.key_len),
    ] {
        if at < usize::from(region.key_len) {
            let mut other = *region;
            other.key[at] ^= 1;
            all.push(other);
        }
    }
    if region.key_len > 0 {
        let key_len = region.key_len - 1;
        all.push(Region { key_len, ..*region });
    }
    let key_len = u8::MAX;
    all.push(Region { key_len, ..*region });
    all
}

pub(super) fn registrations_have_limits(ends: Vec<Endpoint>) -> Coverage {
    /// More than limits that are tested are.
    const MANY: usize = 1200;
    let mut all = All::new(ends, 0);
    let limits = all.0[0].limits(1);
    if !limits.caps.read {
        return all.coverage();
    }
    let (most, bytes) = (limits.rma.registrations, limits.rma.registered);
    let memory = OwnedBuf::zeroed(BYTES);
    let mut registrations = Vec::new();
    let mut in_vain = 0;
    while registrations.len() < MANY && in_vain < 100 {
        let link = &mut all.0[0].end.links[1];
        // SAFETY: the memory is there to the end of the test.
        match unsafe { link.register(memory.buf_mut(), Uses::READ) } {
            Ok(one) => {
                in_vain = 0;
                registrations.push(one);
            }
            Err(Refused::NoRoom(reason)) => {
                assert!(!reason.is_empty(), "a refusal has a reason");
                in_vain += 1;
            }
            Err(Refused::Unavailable) => panic!("it reads"),
        }
        let count = registrations.len();
        assert!(
            count <= most && count * BYTES <= bytes,
            "{count} registrations"
        );
    }
    let room = MANY.min(most).min(bytes / BYTES);
    assert_eq!(
        registrations.len(),
        room,
        "what the limits allow is registered"
    );
    if room < MANY {
        all.0[0].coverage.refused += 1;
        registrations.pop();
        let again = all.register(0, &memory, Uses::READ);
        assert!(again.is_some(), "a registration that is dropped makes room");
    }
    all.coverage()
}
