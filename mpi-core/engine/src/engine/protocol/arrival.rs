//! What arrives: the engine's side of every frame ([`super::frames`]).

use core::sync::atomic::Ordering;

use ferrite_fabric::{
    Header, Kind as FrameKind, Landing, LinkDown, Outcome, RawBuf, RawBufMut, Sink, Token, Transfer,
};

use super::cooperative_copy::unreadable;
use super::frames::{Frame, Offer, envelope_of};
use super::landing::Landings;
use super::peer::{Outgoing, Stream};
use super::unexpected::{Unexpected, UnexpectedData};
use crate::engine::Engine;
use crate::engine::matching::Envelope;
use crate::engine::requests::{Body, Kind, ReceiversRequest, RequestRef, SendersRequest};
use crate::{Error, ErrorClass};

/// Takes what a port receives. Used under the port's lock.
pub(in crate::engine) struct Receiver<'a> {
    pub(in crate::engine) engine: &'a Engine,
    pub(in crate::engine) landings: &'a mut Landings,
}

impl Sink for Receiver<'_> {
    #[inline]
    fn frame(&mut self, peer: u32, header: &Header, body: RawBuf) {
        if header.kind == FrameKind::Eager as u8 {
            // SAFETY: `body` is readable during this call.
            unsafe { self.engine.eager_arrived(peer, header, body) }
        } else {
            self.engine.other_arrived(peer, header, body);
        }
    }

    fn arriving(&mut self, peer: u32, header: &Header) -> Landing {
        self.engine.landing_of(self.landings, peer, header)
    }

    fn landed(&mut self, peer: u32, header: &Header) {
        if let Some(landing) = self.landings.remove(&peer) {
            self.engine.landed(peer, header, landing);
        }
    }

    fn completed(&mut self, peer: u32, token: Token, outcome: Outcome) {
        self.engine.operation_done(peer, token.0 as u32, outcome);
    }

    fn down(&mut self, peer: u32, why: LinkDown) {
        self.engine.connection_ended(peer, why.reason);
    }
}

impl Engine {
    /// A whole message has arrived.
    ///
    /// # Safety
    /// `data` is readable during the call.
    #[inline]
    unsafe fn eager_arrived(&self, process: u32, header: &Header, data: RawBuf) {
        let envelope = envelope_of(header);
        let mut lane = self.lane(envelope.context).lock();
        if let Some(receive) = lane.match_posted(envelope) {
            drop(lane);
            // SAFETY: matched just now, so the receive is ours; `data` by the caller's promise.
            unsafe { self.land(receive, envelope, process, data) };
            self.complete(receive);
            return;
        }
        // SAFETY: the caller's promise.
        let message = unsafe { Unexpected::copy_of(process, data) };
        // Counted before another thread can take it.
        let too_much = self.count_unexpected(process, message.cost());
        lane.store(envelope, message);
        drop(lane);
        self.tell_unexpected(envelope, process, data.len);
        if too_much {
            self.adjust_hold(process);
        }
    }

    #[inline(never)]
    fn other_arrived(&self, process: u32, head: &Header, data: RawBuf) {
        // SAFETY: `data` is readable during `Sink::frame`.
        let Some(frame) = (unsafe { Frame::decode(head, data) }) else {
            // The peer sends ever the same bytes of nonsense, or this is a newer version's frame:
            // nothing is owed to it.
            return;
        };
        match frame {
            Frame::EagerSync {
                envelope,
                request,
                data,
            } => {
                let data = UnexpectedData::Synchronous { data, request };
                self.match_or_store(envelope, Unexpected { process, data });
            }
            Frame::Rendezvous { envelope, offer } => {
                let data = UnexpectedData::Offered(offer);
                self.match_or_store(envelope, Unexpected { process, data });
            }
            Frame::Help(help) => self.help_wanted(process, help),
            Frame::Clear {
                send,
                receive,
                wanted,
                is_unpacked,
            } => {
                if let Some(request) = self.pending_send(send, process) {
                    // SAFETY: a send whose envelope was matched belongs to whoever has the answer.
                    let body = unsafe { request.body() };
                    body.unregister();
                    let len = body.len;
                    let stream = Stream {
                        request,
                        remote: receive,
                        offset: 0,
                        end: usize::try_from(wanted).map_or(len, |wanted| wanted.min(len)),
                        is_unpacked,
                    };
                    self.stream(process, stream);
                }
            }
            Frame::Data { receive, offset } => self.data_arrived(process, (receive, offset), data),
            Frame::Finished { send } => {
                if let Some(request) = self.pending_send(send, process) {
                    self.delivered(request);
                }
            }
            Frame::Helped { receive } => self.helped(process, receive),
            Frame::Returned { receive, piece } => self.piece_returned(process, receive, piece),
            Frame::Credit { hold } => {
                let mut out = self.peer(process).out.lock();
                out.held = hold;
                out.update();
            }
            Frame::Call(news) => self.stage_told(process, news),
            Frame::Cancel { send } => self.take_back(process, send),
            Frame::Cancelled { send, is_back } => {
                if is_back && let Some(request) = self.pending_send(send, process) {
                    self.cancelled(request);
                }
            }
        }
    }

    fn match_or_store(&self, envelope: Envelope, message: Unexpected) {
        let process = message.process;
        let mut lane = self.lane(envelope.context).lock();
        match lane.match_posted(envelope) {
            Some(receive) => {
                drop(lane);
                self.take(receive, envelope, message);
            }
            None => {
                let len = message.message_len();
                lane.store(envelope, message);
                drop(lane);
                self.tell_unexpected(envelope, process, len);
            }
        }
    }

    /// Gives a message that was kept, or has just come, to the receive that matched it. No lane is
    /// locked.
    #[inline(never)]
    pub(in crate::engine) fn take(
        &self,
        receive: RequestRef,
        envelope: Envelope,
        message: Unexpected,
    ) {
        let cost = message.cost();
        let process = message.process;
        self.take_uncounted(receive, envelope, message);
        if cost > 0 && process != self.job.rank {
            self.uncount_unexpected(process, cost);
        }
    }

    /// The same for one that was not counted among the kept.
    pub(in crate::engine) fn take_uncounted(
        &self,
        receive: RequestRef,
        envelope: Envelope,
        message: Unexpected,
    ) {
        let process = message.process;
        match message.data {
            UnexpectedData::Short { bytes, len } => {
                let data = RawBuf::of(&bytes[..usize::from(len)]);
                // SAFETY: the receive is matched, so it is ours; `bytes` is local.
                unsafe { self.land(receive, envelope, process, data) };
                self.complete(receive);
            }
            UnexpectedData::Long(bytes) => {
                // SAFETY: as above.
                unsafe { self.land(receive, envelope, process, RawBuf::of(&bytes)) };
                self.complete(receive);
            }
            UnexpectedData::Synchronous { data, request } => {
                // SAFETY: as above.
                unsafe { self.land(receive, envelope, process, RawBuf::of(data.as_slice())) };
                self.complete(receive);
                self.send_control(process, Frame::Finished { send: request });
            }
            UnexpectedData::Offered(offer) => self.accept(receive, envelope, process, offer),
            UnexpectedData::Loopback(send) => self.hand_over(send, receive),
        }
    }

    /// Copies a whole message into its receive.
    ///
    /// # Safety
    /// The caller owns the receive's body; `data` is readable.
    #[inline]
    pub(super) unsafe fn land(
        &self,
        receive: RequestRef,
        envelope: Envelope,
        process: u32,
        data: RawBuf,
    ) {
        // SAFETY: the caller's promise.
        let body = unsafe { receive.body() };
        let len = body.matched(envelope, process, data.len);
        // SAFETY: the caller's promise for `data`; the user's buffer has room for what is left of
        // it.
        unsafe { body.store(0, data.part(0, len)) };
    }

    /// Moves the data of a rendezvous whose envelope has been matched.
    fn accept(&self, receive: RequestRef, envelope: Envelope, process: u32, offer: Offer) {
        // SAFETY: matched, so the receive is ours.
        let body = unsafe { receive.body() };
        self.note_arrival(body);
        let len = body.matched(envelope, process, offer.len);
        body.remaining = len;
        // Memory of another process is read into one run. What is to be unpacked comes in frames,
        // which is faster than pieces by system call.
        let region = offer.region.filter(|_| body.run().is_some());
        if let Some(region) = &region
            && self.copy_together(receive, process, &offer, region, len)
        {
            return;
        }
        let mut out = self.peer(process).out.lock();
        let (caps, rma) = out.rma();
        let moved = match &region {
            _ if len == 0 => Transfer::Done,
            Some(region) if caps.read && len <= rma.transfer => {
                let ptr = body.buf;
                // Before the read begins: `operation_done` answers with it.
                body.extra().sender = Some(offer.request);
                let token = Token(u64::from(receive.handle().0));
                // SAFETY: the receive's buffer is writable until the request is done.
                unsafe { out.read(RawBufMut { ptr, len }, region, 0, token) }
            }
            _ => Transfer::Unavailable,
        };
        self.moved(&mut out, receive, offer.request, moved);
    }

    /// What follows an attempt to read a message. `send`: its sender's request.
    fn moved(
        &self,
        out: &mut Outgoing,
        receive: RequestRef,
        send: SendersRequest,
        moved: Transfer,
    ) {
        // SAFETY: a matched receive whose data are not on their way belongs to the link, whose lock
        // is held.
        let body = unsafe { receive.body() };
        let process = body.process;
        let answer = match moved {
            // `operation_done` goes on.
            Transfer::Queued(_) => return,
            Transfer::Done => Frame::Finished { send },
            Transfer::Failed(_) => {
                body.error = Some(match self.peer(process).is_remote {
                    true => undelivered(body),
                    false => unreadable(body),
                });
                Frame::Finished { send }
            }
            // Frames find room at some time.
            Transfer::Unavailable | Transfer::Full => Frame::Clear {
                send,
                receive: receive.as_receiver(),
                wanted: body.status.bytes as u64,
                is_unpacked: body.run().is_none(),
            },
        };
        self.push(self.peer(process), out, answer.encode());
        // Last: once the receive is complete, the program may tell the sender so by another way,
        // and its buffer has room then.
        if !matches!(moved, Transfer::Unavailable | Transfer::Full) {
            self.complete(receive);
        }
    }

    fn data_arrived(&self, process: u32, piece: (ReceiversRequest, u64), data: RawBuf) {
        if let Some((request, at)) = self.place_of_data(process, piece, data.len) {
            // SAFETY: the receive is the port's, whose lock is held, and has room for the piece,
            // which is readable during `Sink::frame`.
            unsafe { request.body().store(at, data) };
            self.data_landed(request, data.len);
        }
    }

    /// The receive that a piece of a rendezvous of this length belongs to, and where in the message
    /// it lies; `None` for one that nobody waits for.
    pub(super) fn place_of_data(
        &self,
        process: u32,
        (receive, offset): (ReceiversRequest, u64),
        len: usize,
    ) -> Option<(RequestRef, usize)> {
        let request = self.pending_receive(receive, process)?;
        // SAFETY: a matched receive whose data are on their way belongs to the port, whose lock is
        // held.
        let body = unsafe { request.body() };
        let total = body.status.bytes as usize;
        let at = usize::try_from(offset).ok().filter(|at| *at <= total)?;
        (len <= total - at && len <= body.remaining).then_some((request, at))
    }

    pub(super) fn data_landed(&self, request: RequestRef, len: usize) {
        // SAFETY: as in `place_of_data`.
        let body = unsafe { request.body() };
        body.remaining -= len;
        if body.remaining == 0 {
            self.complete(request);
        }
    }

    /// An operation that a link answered `Queued` has finished: a piece of a send has left, or a
    /// message was read.
    fn operation_done(&self, process: u32, handle: u32, outcome: Outcome) {
        let mut out = self.peer(process).out.lock();
        if let Some(request) = self.pending(handle, Kind::Send) {
            if outcome.is_err() {
                // SAFETY: the link, whose lock is held, owns the body of a send under way.
                unsafe { request.body() }.error = Some(Error::new(
                    ErrorClass::OTHER,
                    "the transport could not deliver the message",
                ));
            }
            self.piece_gone(request);
            // A message with gaps sends a piece when the one before it has left.
            self.pump(&mut out);
        } else if let Some(receive) = self.pending_receive(ReceiversRequest(handle), process) {
            // SAFETY: a receive whose message is being read belongs to the link, whose lock is
            // held.
            let body = unsafe { receive.body() };
            if let Some(sender) = body.extra().sender {
                let moved = outcome.map_or_else(Transfer::Failed, |()| Transfer::Done);
                self.moved(&mut out, receive, sender, moved);
            }
        }
    }

    /// The sender wants a message back that may still be unmatched.
    fn take_back(&self, process: u32, send: SendersRequest) {
        let mut is_back = false;
        for lane in self.lanes.iter() {
            let mut lane = lane.lock();
            let found = lane.find_unexpected_by(|message| {
                message.process == process
                    && match &message.data {
                        UnexpectedData::Offered(offer) => offer.request == send,
                        UnexpectedData::Synchronous { request, .. } => *request == send,
                        _ => false,
                    }
            });
            if let Some(entry) = found {
                drop(lane.take_unexpected(entry));
                is_back = true;
                break;
            }
        }
        self.send_control(process, Frame::Cancelled { send, is_back });
    }

    /// The pending request of this kind that a handle in a frame names.
    fn pending(&self, handle: u32, kind: Kind) -> Option<RequestRef> {
        let data = self.requests.get(handle)?;
        let request = RequestRef::new(data);
        // SAFETY: `kind` and `process` are written before the peer learns of the request, and not
        // again while it is pending.
        (!data.is_done() && unsafe { request.body() }.kind == kind).then_some(request)
    }

    /// A pending send to this process.
    pub(super) fn pending_send(&self, send: SendersRequest, process: u32) -> Option<RequestRef> {
        self.pending_to(send.0, Kind::Send, process)
    }

    /// A pending receive whose message comes from this process.
    pub(super) fn pending_receive(
        &self,
        receive: ReceiversRequest,
        process: u32,
    ) -> Option<RequestRef> {
        self.pending_to(receive.0, Kind::Recv, process)
    }

    /// As `pending`, if its other end is this process.
    fn pending_to(&self, handle: u32, kind: Kind, process: u32) -> Option<RequestRef> {
        let request = self.pending(handle, kind)?;
        // SAFETY: as in `pending`.
        (unsafe { request.body() }.process == process).then_some(request)
    }

    /// Counts a message kept for want of a receive. Returns whether its sender should send
    /// envelopes only.
    pub(in crate::engine) fn count_unexpected(&self, process: u32, cost: usize) -> bool {
        let bytes = self
            .peer(process)
            .unexpected_bytes
            .fetch_add(cost, Ordering::Relaxed)
            + cost;
        bytes > self.protocol_limits.eager_budget()
    }

    fn uncount_unexpected(&self, process: u32, cost: usize) {
        let peer = self.peer(process);
        let bytes = peer.unexpected_bytes.fetch_sub(cost, Ordering::Relaxed) - cost;
        if bytes <= self.protocol_limits.eager_budget() / 2
            && bytes + cost > self.protocol_limits.eager_budget() / 2
        {
            self.adjust_hold(process);
        }
    }

    /// Tells the peer whether to send envelopes only, if that has changed. Decided under the link's
    /// lock, so that what the peer hears last is what holds.
    #[cold]
    pub(in crate::engine) fn adjust_hold(&self, process: u32) {
        let peer = self.peer(process);
        let mut out = peer.out.lock();
        let bytes = peer.unexpected_bytes.load(Ordering::Relaxed);
        let hold = if out.holding {
            bytes > self.protocol_limits.eager_budget() / 2
        } else {
            bytes > self.protocol_limits.eager_budget()
        };
        if hold != out.holding {
            out.holding = hold;
            self.push(peer, &mut out, Frame::Credit { hold }.encode());
        }
    }
}

impl Body {
    /// Notes which message a receive has been matched with. Returns how many of its `len` bytes
    /// there is room for.
    #[inline(always)]
    pub(in crate::engine) fn matched(
        &mut self,
        envelope: Envelope,
        process: u32,
        len: usize,
    ) -> usize {
        self.process = process;
        self.status.source = envelope.source;
        self.status.tag = envelope.tag;
        let taken = len.min(self.len);
        self.status.bytes = taken as i64;
        if len > taken {
            self.error = Some(truncated(envelope, len, taken));
        } else if len < self.len && self.ends_within_an_element(len) {
            self.error = Some(partial(envelope, len));
        }
        taken
    }
}

/// A network could not read a message.
#[cold]
fn undelivered(receive: &Body) -> Error {
    Error::new(
        ErrorClass::OTHER,
        format!(
            "the memory of rank {}'s message could not be read over the network",
            receive.status.source
        ),
    )
}

#[cold]
fn partial(envelope: Envelope, len: usize) -> Error {
    Error::new(
        ErrorClass::TYPE,
        format!(
            "the message of {len} bytes from rank {} with tag {} ends within an element of the \
             receive's datatype: it was sent \
             as another one",
            envelope.source, envelope.tag
        ),
    )
}

#[cold]
fn truncated(envelope: Envelope, len: usize, room: usize) -> Error {
    Error::new(
        ErrorClass::TRUNCATE,
        format!(
            "the message of {len} bytes from rank {} with tag {} is longer than the receive buffer \
             of {room} bytes; \
             the first {room} bytes were received",
            envelope.source, envelope.tag
        ),
    )
}
