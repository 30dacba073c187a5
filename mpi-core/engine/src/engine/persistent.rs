//! Starting persistent operations, of whatever kind (MPI 5.0, section 3.9).

use crate::engine::Engine;
use crate::engine::point_to_point::{checked_receive_body, outbound_of};
use crate::engine::requests::{Kind, Mode, NO_PROCESS, RequestData, RequestRef, SENT};
use crate::handle::Request;
use crate::{Error, ErrorClass, Result};

impl Engine {
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
}
