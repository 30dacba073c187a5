//! Receiving, and the persistent operations (MPI 5.0, sections 3.2.4 and 3.9).

use super::send::{nothing_at, outbound_of};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::engine::matching::Envelope;
use crate::engine::requests::{Body, Kind, Mode, RequestRef, Template, idle_body};
use crate::handle::{Comm, Datatype, Request};
use crate::status::{ANY_SOURCE, ANY_TAG, PROC_NULL, Status};
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// `MPI_Irecv`: posts a receive.
    ///
    /// # Safety
    /// `buf` is writable for `count` items of `dt` until the request is done.
    #[inline(always)]
    pub unsafe fn irecv(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        source: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Request> {
        let items = Argument::of(dt, count)?;
        let comm = self.comm(comm)?;
        let (wanted, len) = check_receive(buf, count, &items, source, tag, comm)?;
        let request = self.add_request(comm, || receive_body(buf, len, wanted))?;
        if let Argument::Typed(items) = items {
            // SAFETY: nobody else knows of the request yet.
            unsafe { request.body() }.set_items(count, items);
        }
        self.post(request);
        Ok(request.handle())
    }

    /// `MPI_Recv`: receives a message and returns its status.
    ///
    /// # Safety
    /// `buf` is writable for `count` items of `dt`.
    #[inline]
    pub unsafe fn recv(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        source: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Status> {
        // SAFETY: the caller's promise.
        let mut request = unsafe { self.irecv(buf, count, dt, source, tag, comm)? };
        self.wait(&mut request)
    }

    /// `MPI_Send_init` and its kin: a send to be started later, any number of times.
    ///
    /// # Safety
    /// `buf` is readable for `count` items of `dt` whenever the request is active.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn send_init(
        &self,
        mode: Mode,
        buf: *const u8,
        count: i64,
        datatype: Datatype,
        rank: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Request> {
        // The arguments are checked now, by the rules of the operation itself.
        let items = Argument::of(datatype, count)?;
        let comm = self.comm(comm)?;
        // SAFETY: the caller's promise.
        drop(unsafe { outbound_of(buf, count, items.clone(), rank, tag, comm)? });
        let (kind, buf) = (Kind::Send, buf.cast_mut());
        let template = Template {
            kind,
            mode,
            buf,
            count,
            items,
            rank,
            tag,
        };
        self.add_persistent(comm, template)
    }

    /// `MPI_Recv_init`: a receive to be started later, any number of times.
    ///
    /// # Safety
    /// `buf` is writable for `count` items of `dt` whenever the request is active.
    pub unsafe fn recv_init(
        &self,
        buf: *mut u8,
        count: i64,
        datatype: Datatype,
        rank: i32,
        tag: i32,
        comm: Comm,
    ) -> Result<Request> {
        let items = Argument::of(datatype, count)?;
        let comm = self.comm(comm)?;
        drop(checked_receive_body(
            buf,
            count,
            items.clone(),
            rank,
            tag,
            comm,
        )?);
        let (kind, mode) = (Kind::Recv, Mode::Standard);
        let template = Template {
            kind,
            mode,
            buf,
            count,
            items,
            rank,
            tag,
        };
        self.add_persistent(comm, template)
    }

    fn add_persistent(&self, comm: &CommData, template: Template) -> Result<Request> {
        let envelope = Envelope {
            context: 0,
            source: template.rank,
            tag: template.tag,
        };
        let mut body = idle_body(template.kind, envelope);
        body.active = false;
        body.extra().persistent = Some(Box::new(template));
        let request = self.add_request(comm, || body)?;
        request.finish();
        Ok(request.handle())
    }

    /// Posts a receive, or gives it a message that has arrived already.
    #[inline(always)]
    pub(in crate::engine) fn post(&self, request: RequestRef) {
        // SAFETY: made or restarted just now, nobody else works on it.
        let body = unsafe { request.body() };
        let envelope = body.envelope;
        if envelope.source == PROC_NULL {
            body.status = Status::PROC_NULL;
            return self.complete(request);
        }
        let mut lane = self.lane(envelope.context).lock();
        if let Some((entry, envelope, _)) = lane.find_unexpected(envelope) {
            if let Some(extra) = &mut body.extra {
                extra.remember_arrival(|| lane.arrival_of(entry));
            }
            let message = lane.take_unexpected(entry);
            drop(lane);
            return self.take(request, envelope, message);
        }
        body.entry = lane.post(envelope, request);
    }
}

/// Checks the arguments of a receive. Returns what it matches, and the room it has in bytes.
#[inline(always)]
pub(super) fn check_receive(
    buf: *mut u8,
    count: i64,
    items: &Argument,
    source: i32,
    tag: i32,
    comm: &CommData,
) -> Result<(Envelope, usize)> {
    let len = items.bytes(count)?;
    if tag < 0 && tag != ANY_TAG {
        return Err(bad_tag(tag));
    }
    if source as u32 >= comm.peers() as u32 && source != ANY_SOURCE && source != PROC_NULL {
        return Err(comm.bad_rank("source", source));
    }
    let begin = match items {
        Argument::Plain(_) => buf,
        // The buffer may be MPI_BOTTOM, and the type have addresses.
        Argument::Typed(items) => buf.wrapping_offset(items.true_lb() as isize),
    };
    if begin.is_null() && len > 0 {
        return Err(nothing_at("received", len));
    }
    Ok((envelope(comm, source, tag), len))
}

/// The body of a receive, its arguments checked.
pub(in crate::engine) fn checked_receive_body(
    buf: *mut u8,
    count: i64,
    items: Argument,
    source: i32,
    tag: i32,
    comm: &CommData,
) -> Result<Body> {
    let (wanted, len) = check_receive(buf, count, &items, source, tag, comm)?;
    let mut body = receive_body(buf, len, wanted);
    if let Argument::Typed(items) = items {
        body.set_items(count, items);
    }
    Ok(body)
}

/// The body of a receive into contiguous memory.
#[inline(always)]
pub(super) fn receive_body(buf: *mut u8, len: usize, wanted: Envelope) -> Body {
    let mut body = idle_body(Kind::Recv, wanted);
    body.buf = buf;
    body.len = len;
    body
}

#[inline]
pub(in crate::engine) fn envelope(comm: &CommData, source: i32, tag: i32) -> Envelope {
    Envelope {
        context: comm.context(),
        source,
        tag,
    }
}

#[cold]
pub(super) fn bad_tag(tag: i32) -> Error {
    Error::new(
        ErrorClass::TAG,
        format!(
            "tag {tag} is neither MPI_ANY_TAG nor between 0 and MPI_TAG_UB ({})",
            crate::status::TAG_UB
        ),
    )
}
