//! Frames on their way to a link: sent at once where there is room, otherwise in the order in which
//! they must go.
//!
//! Two queues for each link: frames, whose order matters, and streams, the data of rendezvous,
//! which take turns and go behind the frames. Everything here is done under the link's lock.

use ferrite_fabric::{RawBuf, RawBufMut, Sent, Token, Uses};

use super::frames::{Frame, Offer};
use super::peer::{Outgoing, Peer, Queued, QueuedBody, Stream};
use crate::engine::Engine;
use crate::engine::requests::RequestRef;

impl Engine {
    /// The frame that offers a message whose data stay here until the receiver has answered.
    pub(in crate::engine) fn rendezvous(&self, out: &mut Outgoing, request: RequestRef) -> Queued {
        // SAFETY: the link, whose lock is held, owns a send until its envelope has gone.
        let body = unsafe { request.body() };
        let run = body.run().filter(|run| run.len >= out.direct_from());
        let registration = run.and_then(|run| {
            let (ptr, len) = (run.ptr.cast_mut(), run.len);
            // SAFETY: the buffer stays until the request is done, which the receiver's answer
            // brings about, and peers only read it.
            let registered = unsafe { out.register(RawBufMut { ptr, len }, Uses::READ) };
            registered
                .map_err(|refused| self.go_without_registration(refused))
                .ok()
        });
        let region = registration.as_ref().map(|it| *it.region());
        if registration.is_some() {
            body.extra().registration = registration;
        }
        out.sends.rendezvous += 1;
        let offer = Offer {
            len: body.len,
            request: request.as_sender(),
            region,
        };
        let envelope = body.envelope;
        Frame::Rendezvous { envelope, offer }.encode()
    }

    /// Sends a frame behind those that wait, now if there is room.
    pub(in crate::engine) fn push(&self, peer: &Peer, out: &mut Outgoing, queued: Queued) {
        if !out.frames.is_empty() || !self.offer(out, &queued) {
            out.frames.push_back(queued);
            out.update();
            self.enlist(peer, out);
        }
    }

    /// Offers a frame to the link. Returns whether it was accepted.
    fn offer(&self, out: &mut Outgoing, queued: &Queued) -> bool {
        match &queued.body {
            QueuedBody::Control { bytes, len } => {
                // SAFETY: `bytes` is a local array; frames this short are copied before the call
                // returns.
                let sent =
                    unsafe { out.try_send(&queued.header, RawBuf::of(&bytes[..*len]), Token(0)) };
                assert!(
                    !matches!(sent, Sent::Queued(_)),
                    "a link keeps a control frame"
                );
                sent == Sent::Done
            }
            QueuedBody::Message(request) => {
                // SAFETY: the link's queue owns the body of a send that waits in it.
                let body = unsafe { request.body() };
                let whole = 0..body.len;
                // SAFETY: the user's buffer is readable until the request is done.
                match unsafe { out.try_send_part(&queued.header, body, whole, token(*request)) } {
                    Sent::Full => false,
                    Sent::Queued(_) => {
                        body.remaining = 1;
                        true
                    }
                    Sent::Done => {
                        self.complete(*request);
                        true
                    }
                }
            }
        }
    }

    /// Sends a frame of the engine's own to a process.
    pub(in crate::engine) fn send_control(&self, process: u32, frame: Frame) {
        let peer = self.peer(process);
        self.push(peer, &mut peer.out.lock(), frame.encode());
    }

    /// Starts to send the data of a rendezvous in frames.
    pub(super) fn stream(&self, process: u32, stream: Stream) {
        let peer = self.peer(process);
        let mut out = peer.out.lock();
        // One for the stream itself, besides the frames that the link keeps.
        // SAFETY: the receiver's answer made this link the owner of the send.
        unsafe { stream.request.body() }.remaining = 1;
        out.streams.push_back(stream);
        self.enlist(peer, &mut out);
        self.pump(&mut out);
    }

    /// Sends what waits for room on a link, until there is none.
    pub(super) fn pump(&self, out: &mut Outgoing) {
        while let Some(mut queued) = out.frames.pop_front() {
            if out.held
                && let QueuedBody::Message(request) = queued.body
            {
                queued = self.rendezvous(out, request);
            }
            if !self.offer(out, &queued) {
                out.frames.push_front(queued);
                return;
            }
        }
        out.update();
        let limit = out.frame_limit();
        // Streams in a row that have nothing for the link now.
        let mut paused = 0;
        while paused < out.streams.len()
            && let Some(mut stream) = out.streams.pop_front()
        {
            // SAFETY: the link's queue owns the body of a send that streams.
            let body = unsafe { stream.request.body() };
            let is_packed = body.run().is_none();
            if is_packed && body.remaining > 1 {
                // Its memory for packed data is in use until the piece before has left.
                paused += 1;
                out.streams.push_back(stream);
                continue;
            }
            paused = 0;
            let limit = if is_packed || stream.is_unpacked {
                out.piece_limit()
            } else {
                limit
            };
            let len = (stream.end - stream.offset).min(limit);
            let header = Frame::Data {
                receive: stream.remote,
                offset: stream.offset as u64,
            }
            .header();
            let part = stream.offset..stream.offset + len;
            // SAFETY: the user's buffer is readable until the request is done.
            match unsafe { out.try_send_part(&header, body, part, token(stream.request)) } {
                Sent::Full => {
                    out.streams.push_front(stream);
                    return;
                }
                Sent::Queued(_) => body.remaining += 1,
                Sent::Done => {}
            }
            stream.offset += len;
            if stream.offset < stream.end {
                // Streams to one peer take turns.
                out.streams.push_back(stream);
            } else {
                self.piece_gone(stream.request);
            }
        }
    }

    /// A piece of a send has left for good; with the last one the send is done. Called under the
    /// link's lock.
    pub(super) fn piece_gone(&self, request: RequestRef) {
        // SAFETY: the link owns the body of a send whose data are on their way.
        let body = unsafe { request.body() };
        body.remaining -= 1;
        if body.remaining == 0 {
            self.complete(request);
        }
    }
}

fn token(request: RequestRef) -> Token {
    Token(u64::from(request.handle().0))
}
