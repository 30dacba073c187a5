//! Reduction of what another group has. (Other collectives of intercommunicators are a [direct
//! exchange](super::direct_exchange).)

use std::sync::Arc;

use super::Generator;
use crate::collective::operation::{Id, Place, Round};
use crate::collective::scratch::LINE;
use crate::collective::shape::Shape;

/// Operands that can be on their way at the same time.
const SLOTS: usize = 4;

/// A reduction of the vectors of the other group, directly: whoever wants the result receives all
/// of them, from the last rank to the first, so that each goes to the left of what there is.
///
/// Rank `i` of `n` sends to rank `j` of the other group at the time `n - 1 - i + j`. That is in
/// ascending order for the sender as for the receiver, and at any time a rank has at most one to
/// send to and one to receive from: no window is too small.
#[derive(Clone, Debug)]
pub(in crate::collective) struct IntergroupReduce {
    /// Where what each receiver gets begins in the input, and its bytes.
    sends: Arc<[(u32, usize, usize)]>,
    /// Ranks of the other group; 0 where nothing is received.
    operands: u32,
    /// Times of the first send to rank 0 and of the first receive.
    first: (u32, u32),
    sent: usize,
    received: u32,
    /// The last operation on each slot, and on the result.
    slots: [Id; SLOTS],
    result: Id,
}

impl IntergroupReduce {
    /// For rank `shape.rank` of `group`, which sends {receiver, offset in the input, bytes} in the
    /// order of receivers, and receives `operands` vectors as the shape describes them.
    pub(in crate::collective) fn new(
        shape: &Shape,
        group: u32,
        sends: Vec<(u32, usize, usize)>,
        operands: u32,
    ) -> IntergroupReduce {
        IntergroupReduce {
            sends: sends.into(),
            operands,
            first: (group - 1 - shape.rank, shape.rank),
            sent: 0,
            received: 0,
            slots: [Id::NONE; SLOTS],
            result: Id::NONE,
        }
    }

    fn receive(&mut self, shape: &Shape, out: &mut Round) {
        let from = self.operands - 1 - self.received;
        let (result, bytes) = (Place::output(0), shape.bytes());
        if self.received == 0 {
            self.result = out.recv(from, result, bytes, &[]);
        } else {
            let slot = (self.received as usize - 1) % SLOTS;
            let place = Place::scratch(slot * bytes.next_multiple_of(LINE));
            let received = out.recv(from, place, bytes, &[self.slots[slot]]);
            self.result = out.reduce(place, result, shape.count, &[received, self.result]);
            self.slots[slot] = self.result;
        }
        self.received += 1;
    }
}

impl Generator for IntergroupReduce {
    fn generate(&mut self, shape: &Shape, out: &mut Round) -> bool {
        let send = self.sends.get(self.sent);
        let send_at = send.map(|(to, ..)| u64::from(self.first.0) + u64::from(*to));
        let receives = self.received < self.operands;
        let receive_at = receives.then_some(u64::from(self.first.1) + u64::from(self.received));
        match (send, receive_at) {
            (Some((to, offset, bytes)), _) if receive_at.is_none_or(|at| send_at <= Some(at)) => {
                out.send(*to, Place::input(*offset), *bytes, &[]);
                self.sent += 1;
            }
            (_, Some(_)) => self.receive(shape, out),
            _ => return false,
        }
        true
    }

    fn scratch_bytes(&self, shape: &Shape) -> usize {
        let slots = (self.operands.saturating_sub(1) as usize).min(SLOTS);
        slots * shape.bytes().next_multiple_of(LINE)
    }
}
