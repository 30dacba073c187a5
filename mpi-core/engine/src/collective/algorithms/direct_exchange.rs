//! Blocks that go straight from one rank to another, as many and as long as each pair has agreed:
//! the `v` and `w` forms, neighbourhood collectives, and what is best done directly.
//!
//! Ranks work through their blocks by distance, above for what they send and below for what they
//! receive, and among several between the same two ranks by their number, in the order of the
//! lists. So when all earlier blocks have moved, both ends of every block that comes next have it
//! before them, at most one to send and one to receive: no window is too small, whatever the
//! pattern.

use std::sync::Arc;

use super::Generator;
use crate::collective::operation::{Place, Round};
use crate::collective::shape::Shape;

/// What one rank sends to, or receives from, another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The other rank, or this one.
    pub peer: u32,
    /// Where it lies: in the input or the output.
    pub place: Place,
    /// Its length.
    pub bytes: usize,
}

/// All blocks of one rank.
#[derive(Debug)]
struct Blocks {
    sends: Box<[Ordered]>,
    receives: Box<[Ordered]>,
    /// How many of each stay on this rank: the first ones.
    own: usize,
}

/// A block and when its time comes: by distance, then by number among those between the same ranks.
type Ordered = ((u32, u32), Block);

fn in_order(mut blocks: Vec<Block>, distance: impl Fn(&Block) -> u32) -> Box<[Ordered]> {
    // Stable: several blocks for one rank stay in order.
    blocks.sort_by_key(&distance);
    let mut last = (0, 0);
    let ordered = blocks.into_iter().enumerate().map(|(at, block)| {
        let distance = distance(&block);
        last = match last {
            (before, number) if at > 0 && before == distance => (distance, number + 1),
            _ => (distance, 0),
        };
        (last, block)
    });
    ordered.collect()
}

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::collective) struct DirectExchange {
    blocks: Arc<Blocks>,
    sent: usize,
    received: usize,
    copied: usize,
}

impl DirectExchange {
    /// The exchange of rank `rank` of `size`. What a rank sends to itself has a receive of the same
    /// length.
    pub(in crate::collective) fn new(
        rank: u32,
        size: u32,
        sends: Vec<Block>,
        receives: Vec<Block>,
    ) -> DirectExchange {
        let is_own = |block: &&Block| block.peer == rank;
        let own = sends.iter().filter(is_own).count();
        debug_assert_eq!(own, receives.iter().filter(is_own).count());
        DirectExchange::ordered(rank, size, sends, receives, own)
    }

    /// The exchange of rank `rank` of one group with the ranks of another; `size` is the size of
    /// the larger one.
    pub(in crate::collective) fn between_groups(
        rank: u32,
        size: u32,
        sends: Vec<Block>,
        receives: Vec<Block>,
    ) -> DirectExchange {
        DirectExchange::ordered(rank, size, sends, receives, 0)
    }

    fn ordered(
        rank: u32,
        size: u32,
        sends: Vec<Block>,
        receives: Vec<Block>,
        own: usize,
    ) -> DirectExchange {
        let sends = in_order(sends, |block| (block.peer + size - rank) % size);
        let receives = in_order(receives, |block| (rank + size - block.peer) % size);
        DirectExchange {
            blocks: Arc::new(Blocks {
                sends,
                receives,
                own,
            }),
            sent: own,
            received: own,
            copied: 0,
        }
    }
}

impl Generator for DirectExchange {
    fn generate(&mut self, _: &Shape, out: &mut Round) -> bool {
        let blocks = &*self.blocks;
        if self.copied < blocks.own {
            let from = blocks.sends[self.copied].1;
            let into = blocks.receives[self.copied].1;
            if from.place != into.place {
                out.copy(from.place, into.place, from.bytes.min(into.bytes), &[]);
            }
            self.copied += 1;
            return true;
        }
        let send = blocks.sends.get(self.sent);
        let receive = blocks.receives.get(self.received);
        let sends_first = match (send, receive) {
            (Some((send, _)), Some((receive, _))) => send <= receive,
            (send, _) => send.is_some(),
        };
        if sends_first && let Some((_, block)) = send {
            out.send(block.peer, block.place, block.bytes, &[]);
            self.sent += 1;
        } else if let Some((_, block)) = receive {
            out.recv(block.peer, block.place, block.bytes, &[]);
            self.received += 1;
        } else {
            return false;
        }
        true
    }
}
