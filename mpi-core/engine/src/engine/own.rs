//! Messages of a process to itself: delivered at once, never sent.

use ferrite_fabric::RawBuf;

use super::Engine;
use super::kept::Kept;
use super::matching::Envelope;
use super::request::RequestRef;
use super::send::Outbound;

impl Engine {
    /// Delivers a message to this process.
    pub(super) fn deliver_to_self(&self, request: RequestRef, synchronous: bool) {
        // SAFETY: the sender's body is ours until the message is matched.
        let body = unsafe { request.body() };
        let mut lane = self.lane(body.envelope.context).lock();
        if let Some(receive) = lane.match_posted(body.envelope) {
            drop(lane);
            return self.hand_over(request, receive);
        }
        if synchronous || body.len > self.settings.eager_limit {
            lane.keep(body.envelope, Kept::own(self.job.rank, request));
            return;
        }
        // SAFETY: the user's buffer is readable for `len` bytes.
        let kept = unsafe {
            Kept::copy_of(
                self.job.rank,
                RawBuf {
                    ptr: body.buf,
                    len: body.len,
                },
            )
        };
        lane.keep(body.envelope, kept);
        drop(lane);
        self.complete(request);
    }

    /// Delivers a copy of a message to this process, whatever its length.
    pub(super) fn deliver_copy_to_self(&self, out: Outbound<'_>) {
        let envelope = Envelope {
            context: out.comm.context(),
            source: out.comm.rank(),
            tag: out.tag,
        };
        let data = RawBuf {
            ptr: out.buf,
            len: out.len,
        };
        let mut lane = self.lane(envelope.context).lock();
        match lane.match_posted(envelope) {
            Some(receive) => {
                drop(lane);
                // SAFETY: matched just now, so the receive is ours; the user's buffer is readable.
                unsafe { self.land(receive, envelope, out.process, data) };
                self.complete(receive);
            }
            // SAFETY: the user's buffer is readable.
            None => lane.keep(envelope, unsafe { Kept::copy_of(self.job.rank, data) }),
        }
    }

    /// Copies from a send to a matched receive of this process; both are done.
    pub(super) fn hand_over(&self, send: RequestRef, receive: RequestRef) {
        // SAFETY: the message is matched: both bodies are ours.
        let body = unsafe { send.body() };
        let data = RawBuf {
            ptr: body.buf,
            len: body.len,
        };
        // SAFETY: as above; the sender's buffer is readable.
        unsafe { self.land(receive, body.envelope, self.job.rank, data) };
        self.complete(receive);
        self.complete(send);
    }
}
