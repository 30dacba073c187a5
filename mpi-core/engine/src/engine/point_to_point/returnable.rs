//! Receives that give their message back when they are ended early, so that whoever drops one loses
//! nothing.
//!
//! Such a receive remembers when its message arrived. The message goes back to where it would be
//! had the receive never been posted: to a receive that waits for it, or among the kept ones,
//! behind those that arrived before it and before those that arrived after it.

use ferrite_fabric::RawBuf;

use super::receive::checked_receive_body;
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::matching::Envelope;
use crate::engine::protocol::Unexpected;
use crate::engine::requests::{Body, RequestRef, Returnable};
use crate::handle::{Comm, Datatype, Request};
use crate::sync::threaded;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// Posts a receive, as [`Engine::irecv`] does, that [`Engine::give_back`] may end.
    ///
    /// # Safety
    /// As [`Engine::irecv`], for items without gaps.
    pub unsafe fn irecv_returnable(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        source: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Request> {
        let items = Argument::of(dt, count)?;
        if let Argument::Typed(_) = items {
            let why = "a receive of items with gaps cannot give its message back";
            return Err(Error::new(ErrorClass::TYPE, why));
        }
        let comm = self.comm(comm)?;
        let mut body = checked_receive_body(buf, count, items, source, tag, comm)?;
        body.extra().returnable = Some(Returnable::default());
        let request = self.add_request(comm, || body)?;
        self.post(request);
        Ok(request.handle())
    }

    /// Ends a receive that [`Engine::irecv_returnable`] has posted as though it had never been. A
    /// message that has begun to arrive in it is waited for and given to the next receive that
    /// takes it. One that was too long for the receive is lost, with the error that nobody waits
    /// for.
    ///
    /// # Errors
    /// The receive's own, if its message could not be had: its link has died.
    pub fn give_back(&self, request: &mut Request) -> Result<()> {
        self.cancel(*request)?;
        let data = self.request(*request)?;
        self.wait_until(|| data.is_done());
        // SAFETY: done, so the body is the caller's.
        let body = unsafe { RequestRef::new(data).body() };
        let has_message = body.error.is_none() && !body.status.cancelled && body.status.source >= 0;
        if let Some(returnable) = body.extra().returnable.take()
            && has_message
        {
            self.send_back(body, returnable);
        }
        let lost = body
            .error
            .take()
            .filter(|error| error.class() != ErrorClass::TRUNCATE);
        self.remove_request(RequestRef::new(data));
        *request = Request::NULL;
        lost.map_or(Ok(()), Err)
    }

    /// Has the message of a receive that is done arrive again.
    fn send_back(&self, body: &Body, Returnable { arrived }: Returnable) {
        let (process, len) = (body.process, body.status.bytes as usize);
        let envelope = Envelope {
            context: body.envelope.context,
            source: body.status.source,
            tag: body.status.tag,
        };
        // SAFETY: so many bytes were received to there, and the buffer is still the receive's.
        let message = unsafe { Unexpected::copy_of(process, RawBuf { ptr: body.buf, len }) };
        let mut lane = self.lane(envelope.context).lock();
        if let Some(receive) = lane.match_posted(envelope) {
            drop(lane);
            // SAFETY: matched just now, so the receive is ours.
            if let Some(extra) = unsafe { &mut receive.body().extra } {
                extra.remember_arrival(|| arrived);
            }
            return self.take_uncounted(receive, envelope, message);
        }
        // Counted before another thread can take it; a message of this process's own counts for
        // nothing.
        let is_remote = process != self.job.rank;
        let too_much = is_remote && self.count_unexpected(process, message.cost());
        lane.store_again(envelope, arrived, message);
        drop(lane);
        if too_much {
            self.adjust_hold(process);
        }
        if threaded() {
            // Whoever probes for it in another thread may be asleep.
            self.progress.waiting().something_finished();
        }
    }
}
