//! Messages of a process to itself: delivered at once, never sent.

use super::unexpected::Unexpected;
use crate::engine::Engine;
use crate::engine::requests::{Body, RequestRef};

impl Engine {
    /// Delivers a message to this process.
    pub(in crate::engine) fn deliver_to_self(&self, request: RequestRef, synchronous: bool) {
        // SAFETY: the sender's body is ours until the message is matched.
        let body = unsafe { request.body() };
        let (envelope, len) = (body.envelope, body.len);
        let eager = self.count_loopback(len);
        let mut lane = self.lane(body.envelope.context).lock();
        if let Some(receive) = lane.match_posted(body.envelope) {
            drop(lane);
            return self.hand_over(request, receive);
        }
        if synchronous || body.len > eager {
            lane.store(body.envelope, Unexpected::loopback(self.job.rank, request));
            drop(lane);
            // Its receive may come at any time, and the body go with it: what is told comes from
            // before.
            return self.tell_unexpected(envelope, self.job.rank, len);
        }
        lane.store(body.envelope, self.copy_of_loopback(body));
        drop(lane);
        self.tell_unexpected(envelope, self.job.rank, len);
        self.complete(request);
    }

    /// Delivers a copy of a message to this process, whatever its length.
    #[inline(never)]
    pub(in crate::engine) fn deliver_copy_to_self(&self, mut send: Body) {
        self.count_loopback(send.len);
        let mut lane = self.lane(send.envelope.context).lock();
        match lane.match_posted(send.envelope) {
            Some(receive) => {
                drop(lane);
                self.land_loopback(&mut send, receive);
                self.complete(receive);
            }
            None => {
                lane.store(send.envelope, self.copy_of_loopback(&mut send));
                drop(lane);
                self.tell_unexpected(send.envelope, self.job.rank, send.len);
            }
        }
    }

    /// Counts a message to this process. Returns the length of the longest that is copied at once.
    fn count_loopback(&self, len: usize) -> usize {
        let mut out = self.peer(self.job.rank).out.lock();
        out.sends.count(len);
        out.eager
    }

    /// Copies from a send to a matched receive of this process; both are done.
    pub(super) fn hand_over(&self, send: RequestRef, receive: RequestRef) {
        // SAFETY: the message is matched: both bodies are ours.
        self.land_loopback(unsafe { send.body() }, receive);
        // The send first: whoever knows of the receive may count on the send's room in a buffer.
        self.complete(send);
        self.complete(receive);
    }

    fn copy_of_loopback(&self, send: &mut Body) -> Unexpected {
        let (rank, len) = (self.job.rank, send.len);
        // SAFETY: the sender's buffer is readable, and all of it is copied.
        unsafe { Unexpected::filled(rank, len, |to| send.load(0..len, to)) }
    }

    /// Copies a message of this process to its receive.
    fn land_loopback(&self, send: &mut Body, receive: RequestRef) {
        // SAFETY: matched, so the receive is ours; the sender's buffer is readable, and the
        // receiver's has room for so many bytes.
        unsafe {
            let body = receive.body();
            let len = body.matched(send.envelope, self.job.rank, send.len);
            body.store_from(send, len);
        }
    }
}
