//! Probing, and receiving a message that was probed for (MPI 5.0, section 3.8).

use std::sync::Arc;

use super::receive::{bad_tag, checked_receive_body, envelope};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::engine::completion::in_vain;
use crate::engine::matching::Envelope;
use crate::engine::protocol::Unexpected;
use crate::handle::{Comm, Datatype, Message, Request};
use crate::status::{ANY_SOURCE, ANY_TAG, PROC_NULL, Status};
use crate::{Error, ErrorClass, Result};

/// A message taken out of matching, to be received by its handle.
pub(in crate::engine) struct MessageData {
    comm: Arc<CommData>,
    envelope: Envelope,
    message: Unexpected,
}

// SAFETY: what was kept is used by whoever takes it out of the slab; others read the communicator
// and the envelope.
unsafe impl Sync for MessageData {}

impl Engine {
    /// `MPI_Iprobe`: whether such a message has arrived, and its status.
    pub fn iprobe(&self, source: i32, tag: i32, comm: Comm) -> Result<Option<Status>> {
        let Some(wanted) = self.probed(source, tag, comm)? else {
            return Ok(Some(Status::PROC_NULL));
        };
        let mut found = self.look(wanted);
        if found.is_none() {
            self.glance(1, || {
                found = self.look(wanted);
                found.is_some()
            });
        }
        Ok(found)
    }

    /// `MPI_Probe`: waits for such a message and returns its status.
    pub fn probe(&self, source: i32, tag: i32, comm: Comm) -> Result<Status> {
        let Some(wanted) = self.probed(source, tag, comm)? else {
            return Ok(Status::PROC_NULL);
        };
        let mut found = None;
        self.wait_until(|| {
            found = self.look(wanted);
            found.is_some() || self.progress.waiting().is_over()
        });
        found.ok_or_else(in_vain)
    }

    /// `MPI_Improbe`: takes such a message out of matching, if it has arrived.
    pub fn improbe(&self, source: i32, tag: i32, comm: Comm) -> Result<Option<(Message, Status)>> {
        let Some(wanted) = self.probed(source, tag, comm)? else {
            return Ok(Some((Message::NO_PROC, Status::PROC_NULL)));
        };
        let mut found = self.extract(wanted, comm);
        if matches!(found, Ok(None)) {
            self.glance(1, || {
                found = self.extract(wanted, comm);
                !matches!(found, Ok(None))
            });
        }
        found
    }

    /// `MPI_Mprobe`: waits for such a message and takes it out of matching.
    pub fn mprobe(&self, source: i32, tag: i32, comm: Comm) -> Result<(Message, Status)> {
        let Some(wanted) = self.probed(source, tag, comm)? else {
            return Ok((Message::NO_PROC, Status::PROC_NULL));
        };
        let mut found = Ok(None);
        self.wait_until(|| {
            found = self.extract(wanted, comm);
            !matches!(found, Ok(None)) || self.progress.waiting().is_over()
        });
        found?.ok_or_else(in_vain)
    }

    /// `MPI_Imrecv`: starts to receive a matched message.
    ///
    /// # Safety
    /// As [`Engine::irecv`].
    pub unsafe fn imrecv(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        message: &mut Message,
    ) -> Result<Request> {
        if *message == Message::NO_PROC {
            *message = Message::NULL;
            // SAFETY: nothing is received from MPI_PROC_NULL.
            return unsafe { self.irecv(buf, count, dt, PROC_NULL, ANY_TAG, Comm::WORLD) };
        }
        let Some(data) = self.point_to_point.messages.get(message.0) else {
            return Err(Error::new(
                ErrorClass::REQUEST,
                if *message == Message::NULL {
                    "the message is MPI_MESSAGE_NULL".to_owned()
                } else {
                    format!(
                        "{:#x} is not a message; it may have been received already",
                        message.0
                    )
                },
            ));
        };
        let (comm, envelope) = (data.comm.clone(), data.envelope);
        let in_comm = |error: Error| error.in_comm(comm.clone());
        let items = Argument::new(dt).map_err(in_comm)?;
        let Envelope { source, tag, .. } = envelope;
        let body = checked_receive_body(buf, count, items, source, tag, &comm).map_err(in_comm)?;
        // In its slab before the message gives its reference up, as
        // `crate::engine::constructors::freed` wants it.
        let request = self.add_request(&comm, || body).map_err(in_comm)?;
        let Some(data) = self.point_to_point.messages.remove(message.0) else {
            self.remove_request(request);
            let sentence = "the message is received by another thread";
            return Err(in_comm(Error::new(ErrorClass::REQUEST, sentence)));
        };
        *message = Message::NULL;
        self.take(request, envelope, data.message);
        Ok(request.handle())
    }

    /// `MPI_Mrecv`: receives a matched message.
    ///
    /// # Safety
    /// As [`Engine::recv`].
    pub unsafe fn mrecv(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        message: &mut Message,
    ) -> Result<Status> {
        // SAFETY: the caller's promise.
        let mut request = unsafe { self.imrecv(buf, count, dt, message)? };
        self.wait(&mut request)
    }

    /// Checks the arguments of a probe. `None`: the source is `MPI_PROC_NULL`.
    fn probed(&self, source: i32, tag: i32, comm: Comm) -> Result<Option<Envelope>> {
        let c = self.comm(comm)?;
        if tag < 0 && tag != ANY_TAG {
            return Err(bad_tag(tag));
        }
        if source == PROC_NULL {
            return Ok(None);
        }
        if source != ANY_SOURCE && (source < 0 || source >= c.peers()) {
            return Err(c.bad_rank("source", source));
        }
        Ok(Some(envelope(c, source, tag)))
    }

    fn look(&self, wanted: Envelope) -> Option<Status> {
        let lane = self.lane(wanted.context).lock();
        lane.find_unexpected(wanted)
            .map(|(_, envelope, message)| status_of(envelope, message))
    }

    fn extract(&self, wanted: Envelope, comm: Comm) -> Result<Option<(Message, Status)>> {
        let comm = self.shared_comm(comm)?.clone();
        let mut lane = self.lane(wanted.context).lock();
        let Some((entry, envelope, message)) = lane.find_unexpected(wanted) else {
            return Ok(None);
        };
        let status = status_of(envelope, message);
        // Before the message is taken, which nobody could put back to where it was.
        let Some(handle) = self.point_to_point.messages.reserve() else {
            return Err(Error::new(
                ErrorClass::NO_MEM,
                "4,194,047 matched messages wait, the most there can be: receive some of them",
            ));
        };
        let message = lane.take_unexpected(entry);
        drop(lane);
        let data = MessageData {
            comm,
            envelope,
            message,
        };
        self.point_to_point.messages.fill(handle, data);
        Ok(Some((Message(handle), status)))
    }
}

fn status_of(envelope: Envelope, message: &Unexpected) -> Status {
    Status {
        source: envelope.source,
        tag: envelope.tag,
        bytes: message.message_len() as i64,
        ..Status::EMPTY
    }
}
