//! Budgets: no more is under way than was said, what is refused was not begun, and a completion
//! makes room.

use crate::conformance::operations::{Begun, Place, memory, now};
use crate::conformance::process::All;
use crate::conformance::{Coverage, Endpoint, Random};
use ferrite_fabric::Uses;

/// Operations that are begun in a row; a link may take more.
const MANY: usize = 300;
/// Bytes that each of them moves.
const PART: usize = 100;

pub(super) fn full_means_nothing_was_begun(seed: u64, ends: Vec<Endpoint>) -> Coverage {
    let mut random = Random(seed);
    let mut all = All::acquainted(ends, seed);
    let limits = all.0[0].limits(1);
    let (reads, writes) = (limits.caps.read, limits.caps.write);
    if !reads && !writes {
        return all.coverage();
    }
    let part = PART.min(limits.rma.transfer);
    let memory = memory(random.bytes(MANY * part));
    let uses = Uses {
        read: reads,
        write: writes,
        ..Uses::default()
    };
    let registration = all.register(1, &memory, uses).expect("promised");
    let region = *registration.region();
    for _ in 0..3 {
        let mut expected = now(&memory, 0, MANY * part);
        let (mut begun, mut refused) = (Vec::new(), 0);
        for number in 0..MANY {
            let at = number * part;
            let place = Place {
                region: &region,
                offset: at as u64,
            };
            let bytes = random.bytes(part);
            let is_write = writes && (!reads || random.once_in(2));
            let one = match is_write {
                true => all.0[0].write(1, place, &bytes),
                false => all.0[0].read(1, place, part),
            };
            match one {
                Begun::Full => refused += 1,
                Begun::Unavailable => {}
                one => {
                    if is_write {
                        expected[at..at + part].copy_from_slice(&bytes);
                    }
                    begun.push((one, at, is_write));
                }
            }
            let under_way = all.0[0].under_way.len();
            assert!(
                under_way <= limits.rma.outstanding,
                "{under_way} are under way"
            );
        }
        assert!(refused < MANY, "an idle link takes an operation");
        for (one, at, is_write) in begun {
            let ended = all.end(0, one).expect("it is allowed");
            assert!(
                is_write || ended == expected[at..at + part],
                "what was read at {at}"
            );
        }
        if writes {
            // It may have been lost on the way.
            if let Some(flushed) = all.flush(0, 1) {
                assert_eq!(flushed, Ok(()));
            }
        }
        assert!(
            now(&memory, 0, MANY * part) == expected,
            "what was refused has done nothing"
        );
    }
    all.settle();
    all.coverage()
}
