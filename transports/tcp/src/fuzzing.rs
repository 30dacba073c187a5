//! Doors for fuzzers: what bytes of strangers reach, as functions of bytes. Not part of the
//! interface.
#![doc(hidden)]

use ferrite_fabric::{Secret, Sink};

use crate::card::Card;
use crate::handshake::{CHALLENGE, Callee, Caller, HELLO, Identity, PROOF};
use crate::inflow::Inflow;

/// Feeds a stream of frames in pieces as long as the first bytes say.
pub fn frames(bytes: &[u8], sink: &mut dyn Sink) {
    let mut inflow = Inflow::default();
    let (sizes, mut rest) = bytes.split_at(bytes.len().min(8));
    for turn in 0.. {
        if rest.is_empty() {
            return;
        }
        let size = sizes
            .get(turn % 8)
            .map_or(1, |&size| 1 + usize::from(size) * 31);
        let (now, later) = rest.split_at(size.min(rest.len()));
        let mut all = if inflow.rest().len == 0 {
            std::mem::take(inflow.carry())
        } else {
            Vec::new()
        };
        all.extend_from_slice(now);
        if inflow.feed(1, &all, sink).is_err() {
            return;
        }
        rest = later;
    }
}

/// Plays a caller, and a callee, to the bytes.
pub fn handshake(bytes: &[u8]) {
    let own = Identity {
        job: [1; 16],
        secret: Secret([2; 32]),
        rank: 0,
        size: 4,
    };
    if let Some((hello, rest)) = bytes.split_first_chunk::<HELLO>()
        && let Ok(callee) = Callee::hear(&own, hello, [3; 32])
        && let Some(proof) = rest.first_chunk::<PROOF>()
    {
        assert!(callee.judge(proof).is_err(), "a proof was guessed");
    }
    if let Some(challenge) = bytes.first_chunk::<CHALLENGE>() {
        let answer = Caller::new(&own, 1, [4; 32]).answer(challenge);
        assert!(answer.is_none(), "a proof was guessed");
    }
}

/// Reads a card.
pub fn card(text: &str) {
    if let Ok(card) = Card::decode(text) {
        card.reachable_from(&card.stack);
        assert!(card.encode(800).len() <= 800);
    }
}
