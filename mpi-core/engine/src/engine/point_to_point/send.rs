//! Sending: argument checks, the small-message path, and the choice of a protocol (MPI 5.0,
//! sections 3.2 to 3.9).
//!
//! inline (in the header's slot) -> eager (copied, whole) -> rendezvous (only the envelope goes;
//! the data follow the receiver's answer). A synchronous message is a rendezvous, or small and
//! acknowledged. A peer that holds more of our eager bytes than it wants to asks for envelopes
//! only, so its memory stays bounded whatever it does not receive.

use ferrite_fabric::{Header, Kind as FrameKind, RawBuf, Sent, Token};

use crate::datatype::{Argument, Type};
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::engine::matching::Envelope;
use crate::engine::protocol::{
    ALLOWANCE, Frame, Queued, QueuedBody, SYNC_DATA, ShortData, cost, with_envelope,
};
use crate::engine::requests::{Body, Kind, Mode, RequestRef, SENT, idle_body};
use crate::handle::{Comm, Datatype, Request};
use crate::status::PROC_NULL;
use crate::sync::threaded;
use crate::{Error, ErrorClass, Result, datatype};

/// A message about to be sent, its arguments checked.
pub(in crate::engine) struct Outbound<'a> {
    pub(in crate::engine) comm: &'a CommData,
    pub(in crate::engine) process: u32,
    pub(in crate::engine) tag: i32,
    pub(in crate::engine) buf: *const u8,
    pub(in crate::engine) len: usize,
    /// What `buf` has `count` of, where it is not `len` bytes.
    pub(in crate::engine) items: Option<(i64, Type)>,
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

    /// Sends a message of a slot's length at once, if nothing speaks against it; checks just enough
    /// to know.
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
            || dest as u32 >= comm.peers() as u32
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
        // SAFETY: the caller's promise; the length was checked. One thread at a time is in the
        // library, and this one holds no lock.
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
        let comm = self.comm(comm)?;
        // SAFETY: the caller's promise.
        let Some(out) = (unsafe { outbound(buf, count, dt, dest, tag, comm)? }) else {
            return Ok(());
        };
        if out.process == self.job.rank && mode == Mode::Standard {
            // Waiting for a receive that this very thread would have to post could last forever.
            self.deliver_copy_to_self(send_body(out));
            return Ok(());
        }
        let peer = self.peer(out.process);
        let mut request = self.launch_send(mode, out)?;
        if peer.is_remote {
            peer.out.lock().flush();
        }
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
        let comm = self.comm(comm)?;
        // SAFETY: the caller's promise.
        match unsafe { outbound(buf, count, dt, dest, tag, comm)? } {
            Some(out) => self.launch_send(mode, out),
            None => Ok(SENT),
        }
    }

    /// Sends a checked message. The request is `SENT` when nothing remains to be done.
    pub(super) fn launch_send(&self, mode: Mode, out: Outbound<'_>) -> Result<Request> {
        let comm = out.comm;
        let mut body = send_body(out);
        if matches!(mode, Mode::Standard | Mode::Ready) && self.send_at_once(&mut body) {
            return Ok(SENT);
        }
        self.launch_rest(mode, comm, body)
    }

    /// [`Engine::launch_send`] for what needs more than a frame.
    #[inline(never)]
    fn launch_rest(&self, mode: Mode, comm: &CommData, body: Body) -> Result<Request> {
        if mode == Mode::Buffered {
            return self.launch_buffered(comm, body);
        }
        let request = self.add_request(comm, || body)?;
        self.dispatch(request, mode == Mode::Synchronous);
        Ok(request.handle())
    }

    /// The body of a persistent send that starts now. Without a process there is nothing to do.
    pub(in crate::engine) fn persistent_send(
        &self,
        mode: Mode,
        out: Option<Outbound<'_>>,
    ) -> Result<Body> {
        let Some(out) = out else {
            return Ok(idle_body(Kind::Send, Envelope::NOWHERE));
        };
        let comm = out.comm;
        let body = send_body(out);
        if mode == Mode::Buffered {
            // The message goes as a request of its own; this one is done at once.
            self.launch_buffered(comm, body)?;
            return Ok(idle_body(Kind::Send, Envelope::NOWHERE));
        }
        Ok(body)
    }

    /// Sends an eager message without a request, if the link takes it now.
    pub(in crate::engine) fn send_at_once(&self, body: &mut Body) -> bool {
        if body.process == self.job.rank {
            return false;
        }
        let peer = self.peer(body.process);
        let mut out = peer.out.lock();
        if body.len > out.at_once {
            return false;
        }
        let cost = cost(body.len);
        if out.allowance < cost {
            if !out.is_open() {
                return false;
            }
            drop(out);
            self.progress();
            out = peer.out.lock();
            if !out.is_open() {
                return false;
            }
            out.allowance = cost.max(ALLOWANCE);
        }
        // A link never keeps a body as short as this, so no request is needed to wait for.
        out.is_open() && {
            out.allowance -= cost;
            let header = with_envelope(FrameKind::Eager, body.envelope);
            // SAFETY: the user's buffer is readable during the call.
            let sent = unsafe { out.try_send_part(&header, body, 0..body.len, Token(0)) };
            if sent == Sent::Done {
                out.sends.count(body.len);
            }
            sent == Sent::Done
        }
    }

    /// Gives a send to its link, or to ourselves.
    pub(in crate::engine) fn dispatch(&self, request: RequestRef, synchronous: bool) {
        // SAFETY: the request was made or restarted just now and nobody else works on it.
        let body = unsafe { request.body() };
        if body.process == self.job.rank {
            return self.deliver_to_self(request, synchronous);
        }
        let peer = self.peer(body.process);
        let mut out = peer.out.lock();
        out.sends.count(body.len);
        let eager = body.len <= out.eager;
        let queued = if synchronous && body.len <= SYNC_DATA && !out.held {
            let len = body.len;
            // SAFETY: the user's buffer is readable for `len` bytes, which fit.
            let data = unsafe { ShortData::filled(len, |to| body.load(0..len, to)) };
            let (envelope, request) = (body.envelope, request.as_sender());
            Frame::EagerSync {
                envelope,
                request,
                data,
            }
            .encode()
        } else if eager && !synchronous && !out.held {
            Queued {
                header: with_envelope(FrameKind::Eager, body.envelope),
                body: QueuedBody::Message(request),
            }
        } else {
            self.rendezvous(&mut out, request)
        };
        self.push(peer, &mut out, queued);
    }
}

/// Checks the arguments of a send. `None`: the destination is `MPI_PROC_NULL`.
///
/// # Safety
/// As [`Engine::isend`].
pub(super) unsafe fn outbound(
    buf: *const u8,
    count: i64,
    dt: Datatype,
    dest: i32,
    tag: i32,
    comm: &CommData,
) -> Result<Option<Outbound<'_>>> {
    // SAFETY: the caller's promise.
    unsafe { outbound_of(buf, count, Argument::of(dt, count)?, dest, tag, comm) }
}

/// As [`outbound`], for a type looked up before.
///
/// # Safety
/// As [`Engine::isend`].
pub(in crate::engine) unsafe fn outbound_of(
    buf: *const u8,
    count: i64,
    items: Argument,
    dest: i32,
    tag: i32,
    comm: &CommData,
) -> Result<Option<Outbound<'_>>> {
    let len = items.bytes(count)?;
    if tag < 0 {
        return Err(Error::new(
            ErrorClass::TAG,
            format!("tag {tag} is negative; a message's tag lies between 0 and MPI_TAG_UB"),
        ));
    }
    if dest == PROC_NULL {
        return Ok(None);
    }
    if dest < 0 || dest >= comm.peers() {
        return Err(comm.bad_rank("destination", dest));
    }
    let mut out = Outbound {
        comm,
        process: comm.process(dest),
        tag,
        buf,
        len,
        items: None,
    };
    let Argument::Typed(items) = items else {
        if buf.is_null() && len > 0 {
            return Err(nothing_at("sent", len));
        }
        return Ok(Some(out));
    };
    if len == 0 {
        return Ok(Some(out));
    }
    // The buffer may be MPI_BOTTOM, and the type have addresses.
    if buf.wrapping_offset(items.true_lb() as isize).is_null() {
        return Err(nothing_at("sent", len));
    }
    out.items = Some((count, items));
    Ok(Some(out))
}

/// The body of a send's request.
pub(super) fn send_body(out: Outbound<'_>) -> Body {
    let envelope = Envelope {
        context: out.comm.context(),
        source: out.comm.rank(),
        tag: out.tag,
    };
    let mut body = idle_body(Kind::Send, envelope);
    body.buf = out.buf.cast_mut();
    body.len = out.len;
    body.process = out.process;
    if let Some((count, items)) = out.items {
        body.set_items(count, items);
    }
    body
}

#[cold]
pub(super) fn nothing_at(what: &str, len: usize) -> Error {
    Error::new(
        ErrorClass::BUFFER,
        format!("the data begin at a null pointer, but {len} bytes are to be {what}"),
    )
}
