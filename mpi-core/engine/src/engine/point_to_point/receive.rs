//! Receiving, and the persistent operations (MPI 5.0, sections 3.2.4 and 3.9).

use super::send::{nothing_at, outbound_of};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::collectives::cannot_cancel;
use crate::engine::communicators::CommData;
use crate::engine::matching::{Entry, Envelope};
use crate::engine::requests::{Body, Kind, Mode, RequestData, RequestRef, SENT, Template};
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

    /// `MPI_Start`: starts a persistent operation.
    ///
    /// # Safety
    /// As when the request was made.
    pub unsafe fn start(&self, request: Request) -> Result<()> {
        if request == Request::NULL || request == SENT {
            let sentence = "the request is not a persistent one";
            return Err(Error::new(ErrorClass::REQUEST, sentence));
        }
        let data = self.request(request)?;
        // SAFETY: the caller's promise.
        let started = unsafe { self.start_anew(data) };
        started.map_err(|error| error.in_comm(data.shared_comm()))
    }

    /// # Safety
    /// As of [`Engine::start`].
    unsafe fn start_anew(&self, data: &RequestData) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(ErrorClass::REQUEST, what));
        let (request, comm) = (RequestRef::new(data), data.comm());
        if !data.is_done() {
            return wrong(
                "the request is active: it must be waited for before it is started again",
            );
        }
        // SAFETY: done, so the body is the caller's.
        let body = unsafe { request.body() };
        if body.active {
            return wrong(if body.is_persistent() {
                "the request is active: it must be waited for before it is started again"
            } else {
                "the request is not a persistent one"
            });
        }
        if let Some(what) = body.extra().partitioned.clone() {
            self.start_partitioned(request, &what);
            return Ok(());
        }
        if body.extra().collective.is_some() && body.is_persistent() {
            // SAFETY: not active, so the body is ours; the caller's promise.
            unsafe { self.restart_collective(request) };
            return Ok(());
        }
        let Some(t) = body.extra().persistent.take() else {
            return wrong("the request is not a persistent one");
        };
        let items = t.items.clone();
        let fresh = match t.kind {
            Kind::Recv => checked_receive_body(t.buf, t.count, items, t.rank, t.tag, comm),
            _ => {
                // SAFETY: the caller's promise.
                let out = unsafe { outbound_of(t.buf, t.count, items, t.rank, t.tag, comm) };
                out.and_then(|out| self.persistent_send(t.mode, out))
            }
        };
        let mode = t.mode;
        let fresh = match fresh {
            Ok(fresh) => fresh,
            Err(error) => {
                body.extra().persistent = Some(t);
                return Err(error);
            }
        };
        let nothing_to_do = fresh.process == NO_PROCESS && fresh.kind == Kind::Send;
        *body = fresh;
        body.extra().persistent = Some(t);
        request.restart();
        match body.kind {
            Kind::Recv => self.post(request),
            Kind::Send if nothing_to_do => self.complete(request),
            _ => self.dispatch(request, mode == Mode::Synchronous),
        }
        Ok(())
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
        if let Some((entry, envelope, _)) = lane.find_kept(envelope) {
            if let Some(extra) = &mut body.extra {
                extra.remember_arrival(|| lane.kept_at(entry));
            }
            let kept = lane.take_kept(entry);
            drop(lane);
            return self.take(request, envelope, kept);
        }
        body.entry = lane.post(envelope, request);
    }

    /// `MPI_Cancel`: asks for a pending operation to be taken back. Whether it was, its status tells.
    pub fn cancel(&self, request: Request) -> Result<()> {
        if request == SENT {
            return Ok(());
        }
        if request == Request::NULL {
            return Err(Error::new(
                ErrorClass::REQUEST,
                "the request is MPI_REQUEST_NULL",
            ));
        }
        let data = self.request(request)?;
        let asked = self.cancel_pending(data);
        asked.map_err(|error| error.in_comm(data.shared_comm()))
    }

    fn cancel_pending(&self, data: &RequestData) -> Result<()> {
        let request = RequestRef::new(data);
        // SAFETY: written when the request is made, and stays until it is removed, which only this caller could do.
        if let Some(generalized) = unsafe { request.body() }.generalized() {
            return generalized.cancel(data.is_done());
        }
        if data.is_done() {
            return Ok(());
        }
        // SAFETY: these fields are written before the operation starts and stay until it is done; it cannot be removed,
        // as only this caller could wait for it.
        let (kind, envelope, entry) = unsafe {
            let body = request.body();
            (body.kind, body.envelope, body.entry)
        };
        match kind {
            Kind::Recv => {
                let mut lane = self.lane(envelope.context).lock();
                if lane.withdraw(entry, |posted| *posted == request).is_some() {
                    drop(lane);
                    // SAFETY: withdrawn, so the receive is ours.
                    unsafe { request.body() }.status = Status {
                        cancelled: true,
                        ..Status::EMPTY
                    };
                    self.complete(request);
                }
            }
            Kind::Send => self.cancel_send(request),
            Kind::Exchange => {
                return Err(Error::new(
                    ErrorClass::REQUEST,
                    "a combined send and receive cannot be cancelled",
                ));
            }
            Kind::Collective => return Err(cannot_cancel()),
            Kind::Generalized => unreachable!("asked above"),
            Kind::Flush | Kind::Partitioned => {
                return Err(Error::new(
                    ErrorClass::REQUEST,
                    "neither partitioned communication nor the flush of a buffer can be cancelled",
                ));
            }
        }
        Ok(())
    }
}

/// Checks the arguments of a receive. Returns what it matches, and the room it has in bytes.
#[inline(always)]
pub(in crate::engine) fn check_receive(
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
pub(in crate::engine) fn receive_body(buf: *mut u8, len: usize, wanted: Envelope) -> Body {
    let mut body = idle_body(Kind::Recv, wanted);
    body.buf = buf;
    body.len = len;
    body
}

/// In the place of a process not known yet.
pub(in crate::engine) const NO_PROCESS: u32 = u32::MAX;

/// A body with nothing to do.
#[inline(always)]
pub(in crate::engine) fn idle_body(kind: Kind, envelope: Envelope) -> Body {
    Body {
        kind,
        active: true,
        buf: core::ptr::null_mut(),
        len: 0,
        envelope,
        process: NO_PROCESS,
        entry: Entry::NONE,
        remaining: 0,
        status: Status::EMPTY,
        error: None,
        extra: None,
    }
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
pub(in crate::engine) fn bad_tag(tag: i32) -> Error {
    Error::new(
        ErrorClass::TAG,
        format!(
            "tag {tag} is neither MPI_ANY_TAG nor between 0 and MPI_TAG_UB ({})",
            crate::status::TAG_UB
        ),
    )
}
