//! Buffered mode (MPI 5.0, section 3.6).
//!
//! A buffered message is copied to memory of its own, and what it takes is counted against the buffer that the program
//! attached; the program's memory itself is not needed. The count is given back when the message has left. A message goes by the
//! communicator's buffer if it has one, or else by the session's that the communicator comes from, or by the process's.

use core::sync::atomic::Ordering;

use super::Engine;
use super::matching::Envelope;
use super::receive::idle_body;
use super::request::{Body, Kind, RequestRef, SENT};
use crate::handle::{Comm, Request, Session};
use crate::sync::ClassLock;
use crate::{Error, ErrorClass, Result};

/// What a message is taken to need beyond its data, in bytes: the smallest `MPI_BSEND_OVERHEAD` of the binary interfaces, so that a program
/// of any of them has room for as many messages as it asked for.
pub const BSEND_OVERHEAD: usize = 96;

/// The address that stands for automatic buffering: `MPI_BUFFER_AUTOMATIC`.
pub const BUFFER_AUTOMATIC: usize = 2;

/// What a buffer can be attached to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Buffered {
    Process,
    Comm(Comm),
    Session(Session),
}

/// An attached buffer, and the messages that have not left.
pub(super) struct Buffers {
    attached: Option<Attached>,
    under_way: Vec<Message>,
    /// Messages so far.
    number: u64,
}

#[derive(Clone, Copy)]
struct Attached {
    address: usize,
    size: usize,
}

struct Message {
    request: RequestRef,
    cost: usize,
    number: u64,
}

/// A request that is complete once the messages up to a number have left.
pub(super) struct Flush {
    request: RequestRef,
    of: Buffered,
    number: u64,
}

impl Buffers {
    pub(super) const fn new() -> Buffers {
        Buffers {
            attached: None,
            under_way: Vec::new(),
            number: 0,
        }
    }
}

impl Engine {
    fn buffers_of(&self, of: Buffered) -> Result<&ClassLock<Buffers>> {
        Ok(match of {
            Buffered::Process => &self.buffers,
            Buffered::Comm(comm) => &self.comm(comm)?.buffers,
            Buffered::Session(session) => &self.session(session)?.buffers,
        })
    }

    /// Whose buffer a message in a communicator goes by.
    fn buffered_by(&self, comm: Comm) -> Result<Buffered> {
        let data = self.comm(comm)?;
        let session = Session(data.members().session());
        let has_buffer = |of| {
            let buffers = self.buffers_of(of);
            buffers.is_ok_and(|buffers| buffers.lock().attached.is_some())
        };
        let nearer = [Buffered::Comm(comm), Buffered::Session(session)];
        let found = nearer.into_iter().find(|of| has_buffer(*of));
        Ok(found.unwrap_or(Buffered::Process))
    }

    fn buffer_attach_to(&self, of: Buffered, address: *mut u8, size: i64) -> Result<()> {
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
        let mut buffers = self.buffers_of(of)?.lock();
        if buffers.attached.is_some() {
            return Err(Error::new(
                ErrorClass::BUFFER,
                "a buffer is attached already: detach it first",
            ));
        }
        buffers.attached = Some(Attached {
            address: address as usize,
            size,
        });
        Ok(())
    }

    fn buffer_detach_from(&self, of: Buffered) -> Result<(*mut u8, i64)> {
        self.buffer_flush_of(of)?;
        match self.buffers_of(of)?.lock().attached.take() {
            Some(attached) if attached.address == BUFFER_AUTOMATIC => {
                Ok((attached.address as *mut u8, 0))
            }
            Some(attached) => Ok((attached.address as *mut u8, attached.size as i64)),
            None => Err(Error::new(ErrorClass::BUFFER, "no buffer is attached")),
        }
    }

    /// Waits until all messages of a buffer have left.
    pub(super) fn buffer_flush_of(&self, of: Buffered) -> Result<()> {
        let buffers = self.buffers_of(of)?;
        self.wait_until(|| {
            self.reap_buffered(buffers);
            buffers.lock().under_way.is_empty()
        });
        Ok(())
    }

    fn buffer_iflush_of(&self, of: Buffered) -> Result<Request> {
        let buffers = self.buffers_of(of)?;
        self.reap_buffered(buffers);
        let last = buffers
            .lock()
            .under_way
            .last()
            .map(|message| message.number);
        let Some(number) = last else {
            return Ok(SENT);
        };
        let request = self.add_request(|| idle_body(Kind::Flush, Comm::SELF, Envelope::NOWHERE))?;
        let flush = Flush {
            request,
            of,
            number,
        };
        self.flushes.lock().push(flush);
        self.chores.fetch_add(1, Ordering::Relaxed);
        Ok(request.handle())
    }

    /// Completes the requests whose messages have left. Returns whether there was any.
    #[cold]
    pub(super) fn finish_flushes(&self) -> bool {
        let mut waiting = std::mem::take(&mut *self.flushes.lock());
        let before = waiting.len();
        waiting.retain(|flush| {
            let waits = self.buffers_of(flush.of).is_ok_and(|buffers| {
                self.reap_buffered(buffers);
                let buffers = buffers.lock();
                let first = buffers.under_way.first();
                first.is_some_and(|message| message.number <= flush.number)
            });
            if !waits {
                self.complete(flush.request);
            }
            waits
        });
        let gone = before - waiting.len();
        self.chores.fetch_sub(gone as u32, Ordering::Relaxed);
        self.flushes.lock().append(&mut waiting);
        gone > 0
    }

    /// Sends a message from a copy of its data.
    pub(super) fn launch_buffered(&self, mut body: Body) -> Result<Request> {
        let buffers = self.buffers_of(self.buffered_by(body.comm)?)?;
        self.reap_buffered(buffers);
        let cost = body.len + BSEND_OVERHEAD;
        {
            let buffers = buffers.lock();
            let used: usize = buffers.under_way.iter().map(|message| message.cost).sum();
            let room = buffers.attached.map_or(0, |attached| attached.size);
            if room < used || cost > room - used {
                return Err(no_room(body.len, room, used, buffers.attached.is_some()));
            }
        }
        // SAFETY: the sender's buffer is readable, as whoever made the body promised.
        unsafe { body.keep_copy() };
        let request = self.add_request(|| body)?;
        {
            let mut buffers = buffers.lock();
            buffers.number += 1;
            let number = buffers.number;
            buffers.under_way.push(Message {
                request,
                cost,
                number,
            });
        }
        self.dispatch(request, false);
        Ok(SENT)
    }

    /// Lets go of buffered messages that have left.
    fn reap_buffered(&self, buffers: &ClassLock<Buffers>) {
        let mut gone = Vec::new();
        buffers.lock().under_way.retain(|message| {
            let done = message.request.data().is_done();
            if done {
                gone.push(message.request.handle());
            }
            !done
        });
        for handle in gone {
            self.requests.discard(handle.0);
        }
    }

    /// `MPI_Buffer_attach`. `address` [`BUFFER_AUTOMATIC`] means as much as is needed.
    pub fn buffer_attach(&self, address: *mut u8, size: i64) -> Result<()> {
        self.buffer_attach_to(Buffered::Process, address, size)
    }

    /// `MPI_Buffer_detach`: waits until all buffered messages have left. Returns the buffer's address and size in bytes.
    pub fn buffer_detach(&self) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(Buffered::Process)
    }

    /// `MPI_Buffer_flush`: waits until all buffered messages have left.
    pub fn buffer_flush(&self) -> Result<()> {
        self.buffer_flush_of(Buffered::Process)
    }

    /// `MPI_Buffer_iflush`: a request that is complete when all buffered messages have left.
    pub fn buffer_iflush(&self) -> Result<Request> {
        self.buffer_iflush_of(Buffered::Process)
    }

    /// `MPI_Comm_attach_buffer`, as [`Engine::buffer_attach`].
    pub fn comm_attach_buffer(&self, comm: Comm, address: *mut u8, size: i64) -> Result<()> {
        self.buffer_attach_to(Buffered::Comm(comm), address, size)
    }

    /// `MPI_Comm_detach_buffer`, as [`Engine::buffer_detach`].
    pub fn comm_detach_buffer(&self, comm: Comm) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(Buffered::Comm(comm))
    }

    /// `MPI_Comm_flush_buffer`, as [`Engine::buffer_flush`].
    pub fn comm_flush_buffer(&self, comm: Comm) -> Result<()> {
        self.buffer_flush_of(Buffered::Comm(comm))
    }

    /// `MPI_Comm_iflush_buffer`, as [`Engine::buffer_iflush`].
    pub fn comm_iflush_buffer(&self, comm: Comm) -> Result<Request> {
        self.buffer_iflush_of(Buffered::Comm(comm))
    }

    /// `MPI_Session_attach_buffer`, as [`Engine::buffer_attach`].
    pub fn session_attach_buffer(
        &self,
        session: Session,
        address: *mut u8,
        size: i64,
    ) -> Result<()> {
        self.buffer_attach_to(Buffered::Session(session), address, size)
    }

    /// `MPI_Session_detach_buffer`, as [`Engine::buffer_detach`].
    pub fn session_detach_buffer(&self, session: Session) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(Buffered::Session(session))
    }

    /// `MPI_Session_flush_buffer`, as [`Engine::buffer_flush`].
    pub fn session_flush_buffer(&self, session: Session) -> Result<()> {
        self.buffer_flush_of(Buffered::Session(session))
    }

    /// `MPI_Session_iflush_buffer`, as [`Engine::buffer_iflush`].
    pub fn session_iflush_buffer(&self, session: Session) -> Result<Request> {
        self.buffer_iflush_of(Buffered::Session(session))
    }
}

#[cold]
fn no_room(len: usize, room: usize, used: usize, attached: bool) -> Error {
    let what = if attached {
        format!(
            "the message of {len} bytes (and {BSEND_OVERHEAD} of overhead) does not fit into the attached buffer of \
             {room} bytes, of which {used} are in use"
        )
    } else {
        format!(
            "no buffer is attached for the message of {len} bytes: call MPI_Buffer_attach first"
        )
    };
    Error::new(ErrorClass::BUFFER, what)
}
