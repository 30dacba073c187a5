//! What a network may be able to do with registered memory, as a seed wants it.

use crate::conformance::Random;
use ferrite_fabric::{Act, AtomicOps, Atomics, Caps, Order, RmaLimits};

/// As adapters have them that speak verbs.
const VERBS: AtomicOps = AtomicOps {
    add: false,
    fetch_add: true,
    swap: false,
    compare_swap: true,
};

/// As RDMA keeps it on a connection: what follows a read may pass it.
pub(crate) const CONNECTED: Order = Order::NONE
    .with(Act::Read, Act::Read)
    .with(Act::Write, Act::Read)
    .with(Act::Write, Act::Write)
    .with(Act::Write, Act::Frame)
    .with(Act::Write, Act::Atomic)
    .with(Act::Atomic, Act::Read)
    .with(Act::Atomic, Act::Write)
    .with(Act::Atomic, Act::Frame)
    .with(Act::Atomic, Act::Atomic);

/// Capabilities, and limits to go with them.
pub(crate) fn rma(random: &mut Random) -> (Caps, RmaLimits) {
    let mut order = random.choose(&[Order::NONE, CONNECTED]);
    for first in [Act::Read, Act::Write, Act::Atomic] {
        for then in Act::ALL {
            if random.once_in(4) {
                order = order.with(first, then);
            }
        }
    }
    let sets = [AtomicOps::default(), VERBS, AtomicOps::ALL];
    let caps = Caps {
        read: random.once_in(2),
        write: random.once_in(2),
        atomics: Atomics {
            of_32: random.choose(&sets),
            of_64: random.choose(&sets),
            with_processors: random.once_in(2),
        },
        visible_writes: random.once_in(2),
        checks_keys: true,
        order,
    };
    if !caps.reaches_memory() {
        return (Caps::NONE, RmaLimits::NONE);
    }
    let limits = RmaLimits {
        inline: random.choose(&[0, 4, 64, 1000]),
        transfer: random.choose(&[100, 4096, 1 << 20, usize::MAX]),
        outstanding: random.choose(&[1, 2, 16, usize::MAX]),
        registrations: random.choose(&[1, 3, 1000]),
        registered: random.choose(&[70_000, 400_000, usize::MAX]),
    };
    (caps, limits)
}
