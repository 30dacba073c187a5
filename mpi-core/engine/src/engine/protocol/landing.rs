//! Long bodies that land where they belong while they arrive, so that a stream transport copies
//! them once.
//!
//! A receive is matched when the header is there. A message without one gets memory of its own, and
//! is matched once it is whole: until then it does not exist for anybody, as if it were still on
//! its way.

use std::collections::HashMap;

use ferrite_fabric::{Header, Kind as FrameKind, Landing, OwnedBuf, RawBuf, RawBufMut};

use super::frames::{Frame, envelope_of};
use super::unexpected::{Unexpected, UnexpectedData};
use crate::engine::Engine;
use crate::engine::requests::RequestRef;

/// By process: the frame that is arriving from it. Under the port's lock.
pub(in crate::engine) type Landings = HashMap<u32, Arrival>;

/// What is to be done once a body has landed.
pub(in crate::engine) enum Arrival {
    /// A message's receive is complete.
    Message(RequestRef),
    /// A message for a receive whose items have gaps.
    Spread(RequestRef, OwnedBuf),
    /// A message that had no receive when it began to arrive.
    Unexpected(OwnedBuf),
    /// A piece of a rendezvous.
    Piece(RequestRef),
}

// SAFETY: a request is `Send`; see `RequestRef`.
unsafe impl Send for Arrival {}

impl Engine {
    /// Where the body of a frame that begins to arrive is to land.
    #[inline(never)]
    pub(super) fn landing_of(
        &self,
        landings: &mut Landings,
        process: u32,
        head: &Header,
    ) -> Landing {
        let (arrival, place) = match FrameKind::from_u8(head.kind) {
            Some(FrameKind::Eager) => self.landing_of_message(process, head),
            Some(FrameKind::Data) => match self.data_place(process, head) {
                // SAFETY: a matched receive whose data are on their way belongs to the port, whose
                // lock is held.
                Some((request, at)) if let Some(run) = unsafe { request.body() }.run() => {
                    let ptr = run.ptr.cast_mut().wrapping_add(at);
                    let len = head.len as usize;
                    (Arrival::Piece(request), RawBufMut { ptr, len })
                }
                _ => return Landing::Anywhere,
            },
            _ => return Landing::Anywhere,
        };
        landings.insert(process, arrival);
        Landing::At(place)
    }

    /// As [`Engine::place_of_data`], for a frame whose body has not come.
    fn data_place(&self, process: u32, head: &Header) -> Option<(RequestRef, usize)> {
        // SAFETY: an empty body is readable.
        match unsafe { Frame::decode(head, RawBuf::EMPTY) }? {
            Frame::Data { receive, offset } => {
                self.place_of_data(process, (receive, offset), head.len as usize)
            }
            _ => None,
        }
    }

    fn landing_of_message(&self, process: u32, head: &Header) -> (Arrival, RawBufMut) {
        let envelope = envelope_of(head);
        let len = head.len as usize;
        let matched = self.lane(envelope.context).lock().match_posted(envelope);
        let Some(receive) = matched else {
            // Zeroed: should the link die half-way, nobody has seen what was in the memory before.
            let memory = OwnedBuf::zeroed(len);
            let place = memory.buf_mut();
            return (Arrival::Unexpected(memory), place);
        };
        // SAFETY: matched just now, so the receive is ours.
        let body = unsafe { receive.body() };
        self.note_arrival(body);
        let taken = body.matched(envelope, process, len);
        if body.run().is_none() {
            let memory = OwnedBuf::zeroed(taken);
            let place = memory.buf_mut();
            return (Arrival::Spread(receive, memory), place);
        }
        let place = RawBufMut {
            ptr: body.buf,
            len: taken,
        };
        (Arrival::Message(receive), place)
    }

    /// The body of a frame has landed.
    pub(super) fn landed(&self, process: u32, head: &Header, arrival: Arrival) {
        match arrival {
            Arrival::Message(receive) => self.complete(receive),
            Arrival::Spread(receive, memory) => {
                // SAFETY: matched when it began to arrive, so the receive is ours, with room for
                // what was taken of the message.
                unsafe { receive.body().store(0, memory.buf()) };
                self.complete(receive);
            }
            Arrival::Piece(request) => self.data_landed(request, head.len as usize),
            Arrival::Unexpected(memory) => {
                let message = Unexpected {
                    process,
                    data: UnexpectedData::Long(memory.into()),
                };
                let envelope = envelope_of(head);
                let mut lane = self.lane(envelope.context).lock();
                if let Some(receive) = lane.match_posted(envelope) {
                    drop(lane);
                    return self.take_uncounted(receive, envelope, message);
                }
                // Counted before another thread can take it.
                let too_much = self.count_unexpected(process, message.cost());
                lane.store(envelope, message);
                drop(lane);
                self.tell_unexpected(envelope, process, head.len as usize);
                if too_much {
                    self.adjust_hold(process);
                }
            }
        }
    }
}
