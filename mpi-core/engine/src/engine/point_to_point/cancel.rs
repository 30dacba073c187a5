//! Cancelling operations (MPI 5.0, section 3.8.4).

use crate::engine::Engine;
use crate::engine::protocol::{Frame, QueuedBody, Unexpected};
use crate::engine::requests::{Kind, RequestData, RequestRef, SENT};
use crate::handle::Request;
use crate::status::Status;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// `MPI_Cancel`: asks for a pending operation to be taken back. Whether it was, its status
    /// tells.
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
        // SAFETY: written when the request is made, and stays until it is removed, which only this
        // caller could do.
        if let Some(generalized) = unsafe { request.body() }.generalized() {
            return generalized.cancel(data.is_done());
        }
        if data.is_done() {
            return Ok(());
        }
        // SAFETY: these fields are written before the operation starts and stay until it is done;
        // it cannot be removed, as only this caller could wait for it.
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
            Kind::Sendrecv => {
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

    /// Takes a send back that is not matched yet, or asks its receiver to.
    fn cancel_send(&self, request: RequestRef) {
        // SAFETY: `process` is written before the send starts and stays; the caller keeps the
        // request from being removed.
        let (process, context) = unsafe {
            let body = request.body();
            (body.process, body.envelope.context)
        };
        if process == self.job.rank {
            let mut lane = self.lane(context).lock();
            let own = |message: &Unexpected| message.is_loopback(request);
            if let Some(entry) = lane.find_unexpected_by(own) {
                drop(lane.take_unexpected(entry));
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
        let send = request.as_sender();
        self.send_control(process, Frame::Cancel { send });
    }
}

#[cold]
fn cannot_cancel() -> Error {
    Error::new(
        ErrorClass::REQUEST,
        "a collective operation cannot be cancelled: all its members take part",
    )
}
