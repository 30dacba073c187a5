//! Buffered mode (MPI 5.0, section 3.6).
//!
//! A buffered message is copied to memory of its own, and what it takes is counted against the
//! buffer that the program attached; the program's memory itself is not needed. The count is given
//! back when the message has left. A message goes by the communicator's buffer if it has one, or
//! else by the session's that the communicator comes from, or by the process's.

use crate::engine::Engine;
use crate::engine::communicators::{Attached, BUFFER_AUTOMATIC, CommData, SharedBuffers};
use crate::engine::matching::Envelope;
use crate::engine::requests::{Body, Kind, RequestRef, SENT, idle_body};
use crate::handle::{Comm, Request, Session};
use crate::{Error, ErrorClass, Result};

/// A request that is complete once the messages up to a number have left.
pub(in crate::engine) struct Flush {
    request: RequestRef,
    of: SharedBuffers,
    number: u64,
}

impl Engine {
    fn buffer_attach_to(&self, buffers: &SharedBuffers, address: *mut u8, size: i64) -> Result<()> {
        let automatic = address as usize == BUFFER_AUTOMATIC;
        let size = if automatic {
            usize::MAX
        } else {
            usize::try_from(size).map_err(|_| {
                Error::new(
                    ErrorClass::ARG,
                    format!("the buffer's size {size} is negative"),
                )
            })?
        };
        buffers.attach(Attached {
            address: address as usize,
            size,
        })
    }

    fn buffer_detach_from(&self, buffers: &SharedBuffers) -> Result<(*mut u8, i64)> {
        let mut detached = None;
        self.wait_until(|| {
            self.reap_buffered(buffers);
            detached = buffers.detach();
            detached.is_some()
        });
        let Attached { address, size } = detached.expect("the wait is over")?;
        match address {
            BUFFER_AUTOMATIC => Ok((address as *mut u8, 0)),
            _ => Ok((address as *mut u8, size as i64)),
        }
    }

    /// Waits until the messages that are in a buffer have left.
    pub(in crate::engine) fn buffer_flush_of(&self, buffers: &SharedBuffers) {
        let last = buffers.last();
        self.wait_until(|| {
            self.reap_buffered(buffers);
            buffers.have_left(last)
        });
    }

    /// Waits until the messages in the buffers of the process and of the predefined communicators
    /// have left.
    pub(in crate::engine) fn flush_predefined_buffers(&self) {
        let comms = [self.comms.world(), self.comms.itself()];
        self.buffer_flush_of(&self.point_to_point.buffers);
        comms
            .iter()
            .for_each(|comm| self.buffer_flush_of(&comm.buffers));
    }

    fn buffer_iflush_of(&self, comm: &CommData, buffers: &SharedBuffers) -> Result<Request> {
        self.reap_buffered(buffers);
        let number = buffers.last();
        if buffers.have_left(number) {
            return Ok(SENT);
        }
        let request = self.add_request(comm, || idle_body(Kind::Flush, Envelope::NOWHERE))?;
        let flush = Flush {
            request,
            of: buffers.clone(),
            number,
        };
        self.point_to_point.flushes.lock().push(flush);
        self.chores.add();
        Ok(request.handle())
    }

    /// Completes the requests whose messages have left. Returns whether there was any.
    #[cold]
    pub(in crate::engine) fn finish_flushes(&self) -> bool {
        let mut waiting = std::mem::take(&mut *self.point_to_point.flushes.lock());
        let before = waiting.len();
        waiting.retain(|flush| {
            self.reap_buffered(&flush.of);
            let waits = !flush.of.have_left(flush.number);
            if !waits {
                self.complete(flush.request);
            }
            waits
        });
        let gone = before - waiting.len();
        self.chores.done(gone as u32);
        self.point_to_point.flushes.lock().append(&mut waiting);
        gone > 0
    }

    /// Sends a message from a copy of its data.
    pub(super) fn launch_buffered(&self, comm: &CommData, mut body: Body) -> Result<Request> {
        let (buffers, number) = self.take_room(comm, &body)?;
        // SAFETY: the sender's buffer is readable, as whoever made the body promised.
        unsafe { body.keep_copy() };
        let request = self.add_request(comm, || body);
        let request = request.inspect_err(|_| buffers.give_back(number))?;
        buffers.set_request(number, request.handle());
        self.dispatch(request, false);
        Ok(SENT)
    }

    /// Takes room for a message, by its number, in the buffer that it goes by.
    fn take_room<'a>(
        &'a self,
        comm: &'a CommData,
        message: &Body,
    ) -> Result<(&'a SharedBuffers, u64)> {
        let (process, len) = (message.process, message.len);
        let session = comm.members().session();
        let nearest_first = [
            Some(&comm.buffers),
            session,
            Some(&self.point_to_point.buffers),
        ];
        let mut is_last = false;
        loop {
            let taken = nearest_first.into_iter().flatten().find_map(|buffers| {
                self.reap_buffered(buffers);
                let taken = buffers.take(process, len)?;
                Some(taken.map(|number| (buffers, number)))
            });
            match taken {
                None => return Err(not_attached(len)),
                Some(Ok(taken)) => return Ok(taken),
                // Messages that were received meanwhile give their room back once this process
                // hears of it.
                Some(Err(_)) if self.hear() => {}
                Some(Err(_)) if !is_last => {
                    is_last = true;
                    nearest_first
                        .into_iter()
                        .flatten()
                        .for_each(|buffers| self.settle(buffers));
                }
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Waits for threads that have sent a message and are about to say so, which they do under its
    /// link's lock.
    fn settle(&self, buffers: &SharedBuffers) {
        let mut processes = buffers.destinations();
        processes.sort_unstable();
        processes.dedup();
        for process in processes {
            drop(self.peer(process).out.lock());
        }
    }

    /// Lets go of buffered messages that have left.
    fn reap_buffered(&self, buffers: &SharedBuffers) {
        for request in buffers.reap(|request| self.is_done(request)) {
            if let Some(data) = self.requests.get(request.0) {
                self.remove_request(RequestRef::new(data));
            }
        }
    }

    /// The same for all buffers.
    #[cold]
    pub(in crate::engine) fn reap_all_buffered(&self) {
        let mut all = vec![self.point_to_point.buffers.clone()];
        all.extend([self.comms.world(), self.comms.itself()].map(|comm| comm.buffers.clone()));
        self.comms
            .table()
            .for_each(|comm| all.push(comm.buffers.clone()));
        self.comms
            .sessions()
            .for_each(|session| all.push(session.buffers.clone()));
        all.iter().for_each(|buffers| self.reap_buffered(buffers));
    }

    /// `MPI_Buffer_attach`. `address` [`BUFFER_AUTOMATIC`] means as much as is needed.
    pub fn buffer_attach(&self, address: *mut u8, size: i64) -> Result<()> {
        self.buffer_attach_to(&self.point_to_point.buffers, address, size)
    }

    /// `MPI_Buffer_detach`: waits until all buffered messages have left. Returns the buffer's
    /// address and size in bytes.
    pub fn buffer_detach(&self) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(&self.point_to_point.buffers)
    }

    /// `MPI_Buffer_flush`: waits until all buffered messages have left.
    pub fn buffer_flush(&self) -> Result<()> {
        self.buffer_flush_of(&self.point_to_point.buffers);
        Ok(())
    }

    /// `MPI_Buffer_iflush`: a request that is complete when all buffered messages have left.
    pub fn buffer_iflush(&self) -> Result<Request> {
        self.buffer_iflush_of(self.comms.itself(), &self.point_to_point.buffers)
    }

    /// `MPI_Comm_attach_buffer`, as [`Engine::buffer_attach`].
    pub fn comm_attach_buffer(&self, comm: Comm, address: *mut u8, size: i64) -> Result<()> {
        self.buffer_attach_to(&self.comm(comm)?.buffers, address, size)
    }

    /// `MPI_Comm_detach_buffer`, as [`Engine::buffer_detach`].
    pub fn comm_detach_buffer(&self, comm: Comm) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(&self.comm(comm)?.buffers)
    }

    /// `MPI_Comm_flush_buffer`, as [`Engine::buffer_flush`].
    pub fn comm_flush_buffer(&self, comm: Comm) -> Result<()> {
        self.buffer_flush_of(&self.comm(comm)?.buffers);
        Ok(())
    }

    /// `MPI_Comm_iflush_buffer`, as [`Engine::buffer_iflush`].
    pub fn comm_iflush_buffer(&self, comm: Comm) -> Result<Request> {
        self.buffer_iflush_of(self.comm(comm)?, &self.comm(comm)?.buffers)
    }

    /// `MPI_Session_attach_buffer`, as [`Engine::buffer_attach`].
    pub fn session_attach_buffer(
        &self,
        session: Session,
        address: *mut u8,
        size: i64,
    ) -> Result<()> {
        self.buffer_attach_to(&self.session(session)?.buffers, address, size)
    }

    /// `MPI_Session_detach_buffer`, as [`Engine::buffer_detach`].
    pub fn session_detach_buffer(&self, session: Session) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(&self.session(session)?.buffers)
    }

    /// `MPI_Session_flush_buffer`, as [`Engine::buffer_flush`].
    pub fn session_flush_buffer(&self, session: Session) -> Result<()> {
        self.buffer_flush_of(&self.session(session)?.buffers);
        Ok(())
    }

    /// `MPI_Session_iflush_buffer`, as [`Engine::buffer_iflush`].
    pub fn session_iflush_buffer(&self, session: Session) -> Result<Request> {
        self.buffer_iflush_of(self.comms.itself(), &self.session(session)?.buffers)
    }
}

#[cold]
fn not_attached(len: usize) -> Error {
    Error::new(
        ErrorClass::BUFFER,
        format!(
            "no buffer is attached for the message of {len} bytes: call MPI_Buffer_attach first"
        ),
    )
}
