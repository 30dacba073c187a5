//! Sending: argument checks, the small-message path, and the choice of a protocol (MPI 5.0, sections 3.2 to 3.9).
//!
//! inline (in the header's slot) -> eager (copied, whole) -> rendezvous (only the envelope goes; the data follow the
//! receiver's answer). A synchronous message is a rendezvous, or small and acknowledged. A peer that holds more of our
//! eager bytes than it wants to asks for envelopes only, so its memory stays bounded whatever it does not receive.

use ferrite_fabric::{Header, Kind as FrameKind, RawBuf, Sent, Token};

use super::Engine;
use super::comm::CommData;
use super::matching::Envelope;
use super::peer::{ALLOWANCE, CONTROL, Outgoing, Peer, Queued, QueuedBody, Stream, cost};
use super::protocol::{self, Kept};
use super::receive::idle_body;
use super::request::{Body, Kind, Mode, RequestRef, SENT};
use crate::handle::{Comm, Datatype, Request};
use crate::status::PROC_NULL;
use crate::sync::threaded;
use crate::{Error, ErrorClass, Result, datatype};

/// A synchronous message up to this long goes with its envelope: the sender's request takes 8 of the slot's 40 bytes.
const SYNC_INLINE: usize = 32;

/// A message about to be sent, its arguments checked.
pub(super) struct Outbound<'a> {
    pub(super) comm: &'a CommData,
    pub(super) process: u32,
    pub(super) tag: i32,
    pub(super) buf: *const u8,
    pub(super) len: usize,
    /// Packed data that `buf` points into, when the user's are not contiguous.
    pub(super) copy: Option<Box<[u8]>>,
}

impl Engine {
    /// `MPI_Isend`: starts a standard-mode send.
    ///
    /// # Safety
    /// `buf` is readable for `count` items of `dt` until the request is done.
    #[inline(always)]
    pub unsafe fn isend(
        &self,
        buf: *const u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Request> {
        let c = self.comm(comm)?;
        // SAFETY: the caller's promise.
        if unsafe { self.send_small(c, buf, count, dt, dest, tag) } {
            return Ok(SENT);
        }
        // SAFETY: the caller's promise.
        unsafe { self.isend_mode(Mode::Standard, buf, count, dt, dest, tag, comm) }
    }

    /// `MPI_Send`: returns when the buffer may be used again.
    ///
    /// # Safety
    /// `buf` is readable for `count` items of `dt`.
    #[inline(always)]
    pub unsafe fn send(
        &self,
        buf: *const u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<()> {
        let c = self.comm(comm)?;
        // SAFETY: the caller's promise.
        if unsafe { self.send_small(c, buf, count, dt, dest, tag) } {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.send_mode(Mode::Standard, buf, count, dt, dest, tag, comm) }
    }

    /// Sends a message of a slot's length at once, if nothing speaks against it; checks just enough to know.
    ///
    /// # Safety
    /// As [`Engine::isend`].
    #[inline(always)]
    unsafe fn send_small(
        &self,
        comm: &CommData,
        buf: *const u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
    ) -> bool {
        let Some(size) = datatype::contiguous_size(dt) else {
            return false;
        };
        let bytes = count.wrapping_mul(i64::from(size)) as u64;
        if count as u64 > ferrite_shm::INLINE as u64
            || bytes > ferrite_shm::INLINE as u64
            || tag < 0
            || dest as u32 >= comm.size() as u32
            || buf.is_null()
        {
            return false;
        }
        let header = Header {
            kind: FrameKind::Eager as u8,
            flags: 0,
            seq: 0,
            len: bytes as u32,
            context: comm.context(),
            tag,
            source: comm.rank(),
        };
        let data = RawBuf {
            ptr: buf,
            len: bytes as usize,
        };
        let peer = self.peer(comm.process(dest));
        // SAFETY: the caller's promise; the length was checked. One thread at a time is in the library, and this one
        // holds no lock.
        unsafe {
            if threaded() {
                return peer.send_small(&header, data);
            }
            peer.out.alone().send_small(&header, data)
        }
    }

    /// Sends in the given mode and waits until the buffer may be used again.
    ///
    /// # Safety
    /// As [`Engine::send`].
    #[inline(never)]
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn send_mode(
        &self,
        mode: Mode,
        buf: *const u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        let Some(out) = (unsafe { self.outbound(buf, count, dt, dest, tag, comm)? }) else {
            return Ok(());
        };
        if out.process == self.job.rank && mode == Mode::Standard {
            // Waiting for a receive that this very thread would have to post could last forever.
            self.deliver_copy_to_self(out);
            return Ok(());
        }
        let mut request = self.launch_send(mode, out, comm)?;
        self.wait(&mut request).map(|_| ())
    }

    /// Starts a send in the given mode.
    ///
    /// # Safety
    /// As [`Engine::isend`].
    #[inline(never)]
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn isend_mode(
        &self,
        mode: Mode,
        buf: *const u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Request> {
        // SAFETY: the caller's promise.
        match unsafe { self.outbound(buf, count, dt, dest, tag, comm)? } {
            Some(out) => self.launch_send(mode, out, comm),
            None => Ok(SENT),
        }
    }

    /// Checks the arguments of a send. `None`: the destination is `MPI_PROC_NULL`.
    ///
    /// # Safety
    /// As [`Engine::isend`].
    pub(super) unsafe fn outbound(
        &self,
        buf: *const u8,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Option<Outbound<'_>>> {
        let c = self.comm(comm)?;
        let len = self.bytes(count, dt)?;
        if tag < 0 {
            return Err(Error::new(
                ErrorClass::TAG,
                format!("tag {tag} is negative; a message's tag lies between 0 and MPI_TAG_UB"),
            ));
        }
        if dest == PROC_NULL {
            return Ok(None);
        }
        if dest < 0 || dest >= c.size() {
            return Err(c.bad_rank("destination", dest));
        }
        if buf.is_null() && len > 0 {
            return Err(Error::new(
                ErrorClass::BUFFER,
                format!("the buffer is a null pointer, but {len} bytes are to be sent"),
            ));
        }
        let process = c.process(dest);
        let mut out = Outbound {
            comm: c,
            process,
            tag,
            buf,
            len,
            copy: None,
        };
        if datatype::contiguous_size(dt).is_none() && len > 0 {
            let mut packed = vec![0u8; len].into_boxed_slice();
            // SAFETY: the caller's promise; `packed` has room for the data of `count` items.
            unsafe { datatype::pack(element(dt), count as usize, buf, packed.as_mut_ptr()) };
            out.buf = packed.as_ptr();
            out.copy = Some(packed);
        }
        Ok(Some(out))
    }

    /// Bytes of data in `count` items of a datatype.
    #[inline]
    pub(crate) fn bytes(&self, count: i64, dt: Datatype) -> Result<usize> {
        let Some(size) = datatype::size_of(dt) else {
            return Err(bad_datatype(dt));
        };
        if count < 0 {
            return Err(Error::new(
                ErrorClass::COUNT,
                format!("count {count} is negative"),
            ));
        }
        usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(size as usize))
            .ok_or_else(|| {
                Error::new(
                    ErrorClass::COUNT,
                    format!("{count} items of {size} bytes are more than memory can hold"),
                )
            })
    }

    /// Sends a checked message. The request is `SENT` when nothing remains to be done.
    pub(super) fn launch_send(&self, mode: Mode, out: Outbound<'_>, comm: Comm) -> Result<Request> {
        let body = send_body(out, comm);
        if mode == Mode::Buffered {
            return self.launch_buffered(body);
        }
        if mode != Mode::Synchronous && self.send_whole(&body) {
            return Ok(SENT);
        }
        let request = self.add_request(|| body)?;
        self.dispatch(request, mode == Mode::Synchronous);
        Ok(request.handle())
    }

    /// The body of a persistent send that starts now. Without a process there is nothing to do.
    pub(super) fn persistent_send(
        &self,
        mode: Mode,
        out: Option<Outbound<'_>>,
        comm: Comm,
    ) -> Result<Body> {
        let Some(out) = out else {
            let nowhere = Envelope {
                context: 0,
                source: PROC_NULL,
                tag: 0,
            };
            return Ok(idle_body(Kind::Send, comm, nowhere));
        };
        let body = send_body(out, comm);
        if mode == Mode::Buffered {
            // The message goes as a request of its own; this one is done at once.
            self.launch_buffered(body)?;
            let nowhere = Envelope {
                context: 0,
                source: PROC_NULL,
                tag: 0,
            };
            return Ok(idle_body(Kind::Send, comm, nowhere));
        }
        Ok(body)
    }

    /// Takes a send back that is not matched yet, or asks its receiver to.
    pub(super) fn cancel_send(&self, request: RequestRef) {
        // SAFETY: `process` is written before the send starts and stays; the caller keeps the request from being removed.
        let (process, context) = unsafe {
            let body = request.body();
            (body.process, body.envelope.context)
        };
        if process == self.job.rank {
            let mut lane = self.lane(context).lock();
            let own = |kept: &Kept| kept.is_own(request);
            if let Some(entry) = lane.find_kept_by(own) {
                drop(lane.take_kept(entry));
                drop(lane);
                self.cancelled(request);
            }
            return;
        }
        let mut out = self.peer(process).out.lock();
        let queued = out.frames.iter().position(
            |queued| matches!(&queued.body, QueuedBody::Message(waiting) if *waiting == request),
        );
        if let Some(at) = queued {
            out.frames.remove(at);
            out.update();
            drop(out);
            return self.cancelled(request);
        }
        drop(out);
        self.answer(FrameKind::Cancel, process, request.handle().0, 0, 0);
    }

    /// Finishes a send that was taken back.
    pub(super) fn cancelled(&self, request: RequestRef) {
        // SAFETY: taken back, so the send is ours.
        unsafe { request.body() }.status.cancelled = true;
        self.complete(request);
    }

    /// Sends an eager message without a request, if the link takes it now.
    pub(super) fn send_whole(&self, body: &Body) -> bool {
        if body.process == self.job.rank || body.len > self.settings.eager_limit {
            return false;
        }
        let peer = self.peer(body.process);
        let mut out = peer.out.lock();
        let cost = cost(body.len);
        if out.allowance < cost {
            if !out.is_open() {
                return false;
            }
            drop(out);
            self.progress();
            out = peer.out.lock();
            out.allowance = cost.max(ALLOWANCE);
        }
        // Only the node's rings: they never keep a frame, so no request is needed to wait for.
        out.is_open() && body.len <= out.frame_limit() && {
            out.allowance -= cost;
            let data = RawBuf {
                ptr: body.buf,
                len: body.len,
            };
            // SAFETY: the user's buffer (or the packed copy, alive in `body`) is readable during the call.
            unsafe {
                out.try_send(&header(FrameKind::Eager, body.envelope), data, Token(0)) == Sent::Done
            }
        }
    }

    /// Gives a send to its link, or to ourselves.
    pub(super) fn dispatch(&self, request: RequestRef, synchronous: bool) {
        // SAFETY: the request was made or restarted just now and nobody else works on it.
        let body = unsafe { request.body() };
        if body.process == self.job.rank {
            return self.deliver_to_self(request, synchronous);
        }
        let peer = self.peer(body.process);
        let mut out = peer.out.lock();
        let eager = body.len <= self.settings.eager_limit.min(out.frame_limit());
        if synchronous && body.len <= SYNC_INLINE && !out.held {
            let mut bytes = [0u8; CONTROL];
            bytes[..8].copy_from_slice(&u64::from(request.handle().0).to_le_bytes());
            // SAFETY: the user's buffer is readable for `len` bytes, which fit.
            unsafe {
                RawBuf {
                    ptr: body.buf,
                    len: body.len,
                }
                .copy_to(bytes[8..].as_mut_ptr())
            };
            let header = header(FrameKind::EagerSync, body.envelope);
            self.push(
                peer,
                &mut out,
                header,
                QueuedBody::Control {
                    bytes,
                    len: 8 + body.len,
                },
            );
        } else if eager && !synchronous && !out.held {
            let header = header(FrameKind::Eager, body.envelope);
            self.push(peer, &mut out, header, QueuedBody::Message(request));
        } else {
            let Queued { header, body } = self.rendezvous(&mut out, request);
            self.push(peer, &mut out, header, body);
        }
    }

    /// The frame that offers a message whose data stay here until the receiver has answered.
    fn rendezvous(&self, out: &mut Outgoing, request: RequestRef) -> Queued {
        // SAFETY: the link, whose lock is held, owns a send until its envelope has gone.
        let body = unsafe { request.body() };
        let region = if body.len >= self.settings.cma_limit {
            // SAFETY: the buffer stays until the request is done, which the receiver's answer brings about.
            unsafe {
                out.expose(RawBuf {
                    ptr: body.buf,
                    len: body.len,
                })
            }
        } else {
            None
        };
        let offer = protocol::Offer {
            len: body.len,
            request: request.handle().0,
            region,
        };
        let (bytes, len) = offer.encode();
        let header = header(FrameKind::Rendezvous, body.envelope);
        Queued {
            header,
            body: QueuedBody::Control { bytes, len },
        }
    }

    /// Sends a frame behind those that wait, now if there is room.
    pub(super) fn push(&self, peer: &Peer, out: &mut Outgoing, header: Header, body: QueuedBody) {
        let queued = Queued { header, body };
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
                // SAFETY: `bytes` is a local array; frames this short are copied before the call returns.
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
                let data = RawBuf {
                    ptr: body.buf,
                    len: body.len,
                };
                // SAFETY: the user's buffer is readable until the request is done.
                match unsafe { out.try_send(&queued.header, data, token(*request)) } {
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
    pub(super) fn send_control(&self, process: u32, header: Header, data: &[u8]) {
        let peer = self.peer(process);
        let mut bytes = [0u8; CONTROL];
        bytes[..data.len()].copy_from_slice(data);
        let body = QueuedBody::Control {
            bytes,
            len: data.len(),
        };
        self.push(peer, &mut peer.out.lock(), header, body);
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
        while let Some(mut stream) = out.streams.pop_front() {
            // SAFETY: the link's queue owns the body of a send that streams.
            let body = unsafe { stream.request.body() };
            let len = (stream.end - stream.offset).min(limit);
            let header = Header {
                context: stream.offset as u64,
                tag: stream.remote as i32,
                ..header(FrameKind::Data, body.envelope)
            };
            let data = RawBuf {
                ptr: body.buf,
                len: body.len,
            }
            .part(stream.offset, len);
            // SAFETY: the user's buffer is readable until the request is done.
            match unsafe { out.try_send(&header, data, token(stream.request)) } {
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

    /// A piece of a send has left for good; with the last one the send is done. Called under the link's lock.
    pub(super) fn piece_gone(&self, request: RequestRef) {
        // SAFETY: the link owns the body of a send whose data are on their way.
        let body = unsafe { request.body() };
        body.remaining -= 1;
        if body.remaining == 0 {
            self.complete(request);
        }
    }

    /// Delivers a message to this process.
    fn deliver_to_self(&self, request: RequestRef, synchronous: bool) {
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
    fn deliver_copy_to_self(&self, out: Outbound<'_>) {
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

/// The body of a send's request.
fn send_body(out: Outbound<'_>, comm: Comm) -> Body {
    let envelope = Envelope {
        context: out.comm.context(),
        source: out.comm.rank(),
        tag: out.tag,
    };
    let mut body = idle_body(Kind::Send, comm, envelope);
    body.buf = out.buf.cast_mut();
    body.len = out.len;
    body.process = out.process;
    if out.copy.is_some() {
        body.extra().copy = out.copy;
    }
    body
}

/// A frame header for an envelope. `len` is the link's to fill in.
pub(super) fn header(kind: FrameKind, envelope: Envelope) -> Header {
    Header {
        kind: kind as u8,
        flags: 0,
        seq: 0,
        len: 0,
        context: envelope.context,
        tag: envelope.tag,
        source: envelope.source,
    }
}

/// What the items of a type with gaps consist of. `Engine::bytes` knows the type.
pub(super) fn element(dt: Datatype) -> datatype::Element {
    datatype::info(dt).expect("checked by `bytes`").element
}

fn token(request: RequestRef) -> Token {
    Token(u64::from(request.handle().0))
}

#[cold]
fn bad_datatype(dt: Datatype) -> Error {
    let what = if dt == Datatype::NULL {
        "the datatype is MPI_DATATYPE_NULL".to_owned()
    } else {
        format!(
            "{:#x} is not the handle of a datatype; it may have been freed",
            dt.0
        )
    };
    Error::new(ErrorClass::TYPE, what)
}
