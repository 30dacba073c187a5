//! Remote memory access: the words in which a link says what it can do with a peer's memory, and
//! what became of it.
//!
//! What a link promises stands at [`crate::Link`].

use crate::{Token, Uses};

/// What became of an operation on a peer's memory.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Done, as far as this process can see: see [`crate::Link`].
    Done,
    /// Under way; [`crate::Sink::completed`] names the token. Until then the buffer stays as it is
    /// and where it is.
    Queued(Token),
    /// No room now: as many operations as [`RmaLimits::outstanding`] are under way, or the link is
    /// full for another reason. Nothing was begun. Drive the port and try again: a completion makes
    /// room.
    Full,
    /// This pair of processes cannot do it. Final: do not ask again.
    Unavailable,
    /// Over, in vain.
    Failed(Failure),
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The region is not registered any more or never was, is shorter, or is not for this use.
    Denied,
    /// The target of an atomic operation does not lie at a multiple of its width.
    Misaligned,
    /// Memory that should be there is not: this process's or the peer's, the transport cannot tell
    /// whose.
    BadAddress,
    /// The peer or the way to it is gone. Whether the operation took effect is not known.
    Unreachable,
}

/// How an operation ended.
pub type Outcome = Result<(), Failure>;

/// An atomic operation on an unsigned integer of the target's memory, in the byte order of both
/// processes. Arithmetic wraps around. Of operands for 32 bits the low half counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    /// Adds; has no result.
    Add(u64),
    /// Adds; the result is the value before.
    FetchAdd(u64),
    /// Stores; the result is the value before.
    Swap(u64),
    /// Stores `new` where the value is `expected`; the result is the value before, whether it was
    /// or not.
    CompareSwap {
        /// What the value must be.
        expected: u64,
        /// What is stored then.
        new: u64,
    },
}

impl Atomic {
    /// Whether it tells the value before.
    pub fn has_result(self) -> bool {
        !matches!(self, Atomic::Add(_))
    }
}

/// How wide the integer of an atomic operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// The same in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Width::W32 => 4,
            Width::W64 => 8,
        }
    }
}

/// Which atomic operations of one width a link has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtomicOps {
    /// [`Atomic::Add`].
    pub add: bool,
    /// [`Atomic::FetchAdd`].
    pub fetch_add: bool,
    /// [`Atomic::Swap`].
    pub swap: bool,
    /// [`Atomic::CompareSwap`].
    pub compare_swap: bool,
}

impl AtomicOps {
    /// All of them.
    pub const ALL: AtomicOps = AtomicOps {
        add: true,
        fetch_add: true,
        swap: true,
        compare_swap: true,
    };

    /// Whether this one is there.
    pub fn have(self, operation: Atomic) -> bool {
        match operation {
            Atomic::Add(_) => self.add,
            Atomic::FetchAdd(_) => self.fetch_add,
            Atomic::Swap(_) => self.swap,
            Atomic::CompareSwap { .. } => self.compare_swap,
        }
    }
}

/// Which atomic operations a link has. They are atomic with respect to all atomic operations of its
/// network on the same integer, in the same width, whoever's they are; never with respect to reads
/// and writes over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Atomics {
    /// Of 32 bits.
    pub of_32: AtomicOps,
    /// Of 64 bits.
    pub of_64: AtomicOps,
    /// They are atomic also with respect to what processors do: the owner may use its own atomic
    /// instructions on the integer meanwhile. Without it, as with many adapters, the owner too goes
    /// through the network.
    pub with_processors: bool,
}

impl Atomics {
    /// None.
    pub const NONE: Atomics = Atomics {
        of_32: AtomicOps {
            add: false,
            fetch_add: false,
            swap: false,
            compare_swap: false,
        },
        of_64: AtomicOps {
            add: false,
            fetch_add: false,
            swap: false,
            compare_swap: false,
        },
        with_processors: false,
    };

    /// Whether this operation is there.
    pub fn have(self, operation: Atomic, width: Width) -> bool {
        match width {
            Width::W32 => self.of_32.have(operation),
            Width::W64 => self.of_64.have(operation),
        }
    }

    /// Whether any operation is there.
    pub fn any(self) -> bool {
        self.of_32 != AtomicOps::default() || self.of_64 != AtomicOps::default()
    }
}

/// What a link does at the other end, as [`Order`] tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A frame: its effect is that the peer's sink gets it.
    Frame,
    /// A read: its effect is that the target's bytes are looked at.
    Read,
    /// A write: its effect is that the bytes are in the target's memory, for its processors to see.
    /// Among the bytes of one write there is no order.
    Write,
    /// An atomic operation.
    Atomic,
}

impl Act {
    /// All of them.
    pub const ALL: [Act; 4] = [Act::Frame, Act::Read, Act::Write, Act::Atomic];
}

/// Which order of acts a link keeps, of those that it accepted one after the other: for some pairs
/// of acts that the first takes effect before the second does. Nothing else may be assumed, not
/// even by way of a third act; frames among each other are always in order. Who needs an order that
/// is not kept waits for a completion in between: of a read or an atomic operation with a result
/// its own, of a write [`crate::Link::flush_writes`].
///
/// In libfabric's words `holds(Write, Frame)` is `FI_ORDER_SAW`, `holds(Write, Write)` is
/// `FI_ORDER_WAW`, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order(u16);

impl Order {
    /// None but that of frames.
    pub const NONE: Order = Order(0);

    /// This one, and `first` takes effect before `then`.
    #[must_use]
    pub const fn with(self, first: Act, then: Act) -> Order {
        Order(self.0 | Order::bit(first, then))
    }

    /// Whether `first`, accepted before `then`, takes effect before it.
    pub const fn holds(self, first: Act, then: Act) -> bool {
        matches!((first, then), (Act::Frame, Act::Frame)) || self.0 & Order::bit(first, then) != 0
    }

    const fn bit(first: Act, then: Act) -> u16 {
        1 << (first as u16 * 4 + then as u16)
    }
}

/// What a link can do beyond frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// [`crate::Link::read`] may work.
    pub read: bool,
    /// [`crate::Link::write`] and [`crate::Link::flush_writes`] may work.
    pub write: bool,
    /// [`crate::Link::atomic`] may work for these.
    pub atomics: Atomics,
    /// A write that is done or completed is in the target's memory, too. Then `flush_writes` has
    /// nothing to wait for.
    pub visible_writes: bool,
    /// A key that was revoked or invented opens nothing, and a registration is good for its uses
    /// only. Without it, the system protects memory that is not there, and no other.
    pub checks_keys: bool,
    /// The order in which acts take effect.
    pub order: Order,
}

impl Caps {
    /// Frames only.
    pub const NONE: Caps = Caps {
        read: false,
        write: false,
        atomics: Atomics::NONE,
        visible_writes: false,
        checks_keys: false,
        order: Order::NONE,
    };

    /// Whether peers can reach registered memory at all.
    pub fn reaches_memory(&self) -> bool {
        self.read || self.write || self.atomics.any()
    }

    /// Whether peers can do with registered memory whatever `uses` names.
    pub fn allow(&self, uses: Uses) -> bool {
        self.reaches_memory()
            && (self.read || !uses.read)
            && (self.write || !uses.write)
            && (self.atomics.any() || !uses.atomic)
    }
}

/// How much of remote memory access a link takes; `usize::MAX`: there is no limit. All 0 where it
/// has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RmaLimits {
    /// Writes up to this many bytes let go of their buffer at once: they are answered `Done`,
    /// `Full` or `Failed`, never `Queued`.
    pub inline: usize,
    /// The most bytes that one read or write moves. A longer one is a panic.
    pub transfer: usize,
    /// Operations on the link that were answered `Queued` and are not completed. One more is
    /// answered [`Transfer::Full`]; it may be at fewer, as a link may share its room with frames,
    /// but an idle link takes one.
    pub outstanding: usize,
    /// Registrations of this process in the network at one time. What the link registers itself for
    /// frames and operations under way is not among them.
    pub registrations: usize,
    /// Bytes of all of them together.
    pub registered: usize,
}

impl RmaLimits {
    /// Of a link without remote memory access.
    pub const NONE: RmaLimits = RmaLimits {
        inline: 0,
        transfer: 0,
        outstanding: 0,
        registrations: 0,
        registered: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_what_was_said_and_no_more() {
        for first in Act::ALL {
            for then in Act::ALL {
                let frames = (first, then) == (Act::Frame, Act::Frame);
                assert_eq!(Order::NONE.holds(first, then), frames);
                let order = Order::NONE.with(first, then);
                for (other, after) in Act::ALL.iter().flat_map(|a| Act::ALL.map(|b| (*a, b))) {
                    let said = (other, after) == (first, then);
                    let frames = (other, after) == (Act::Frame, Act::Frame);
                    assert_eq!(order.holds(other, after), said || frames);
                }
            }
        }
    }
}
