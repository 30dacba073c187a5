//! Buffered mode (MPI 5.0, section 3.6).
//!
//! A buffered message is copied to memory of its own, and what it takes is counted against the buffer that the program
//! attached; the program's memory itself is not needed. The count is given back when the message has left. A message goes by the
//! communicator's buffer if it has one, or else by the session's that the communicator comes from, or by the process's.

use core::fmt;
use core::sync::atomic::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use super::receive::idle_body;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::engine::matching::Envelope;
use crate::engine::requests::{Body, Kind, RequestRef, SENT};
use crate::handle::{Comm, Request, Session};
use crate::sync::{Class, ClassLock};
use crate::{Error, ErrorClass, Result};

/// What a message is taken to need beyond its data, in bytes: the smallest `MPI_BSEND_OVERHEAD` of the binary interfaces, so
/// that a program of any of them has room for as many messages as it asked for.
pub const BSEND_OVERHEAD: usize = 96;

/// The address that stands for automatic buffering: `MPI_BUFFER_AUTOMATIC`.
pub const BUFFER_AUTOMATIC: usize = 2;

/// The buffer of the process, of a communicator or of a session, and what goes by it. Flushes and groups that refer to it keep
/// it when its object goes.
#[derive(Clone)]
pub(crate) struct SharedBuffers(Arc<ClassLock<Buffers>>);

struct Buffers {
    attached: Option<Attached>,
    /// Messages that have not left, in the order of their numbers.
    under_way: VecDeque<Message>,
    /// Bytes that they take.
    used: usize,
    /// Messages so far.
    number: u64,
}

#[derive(Clone, Copy)]
struct Attached {
    address: usize,
    size: usize,
}

struct Message {
    /// None until it is handed to its link.
    request: Option<RequestRef>,
    /// Where it goes to.
    process: u32,
    cost: usize,
    number: u64,
}

/// A request that is complete once the messages up to a number have left.
pub(in crate::engine) struct Flush {
    request: RequestRef,
    of: SharedBuffers,
    number: u64,
}

impl SharedBuffers {
    pub(in crate::engine) fn new() -> SharedBuffers {
        let buffers = Buffers {
            attached: None,
            under_way: VecDeque::new(),
            used: 0,
            number: 0,
        };
        SharedBuffers(Arc::new(ClassLock::new(Class::Leaf, buffers)))
    }
}

impl fmt::Debug for SharedBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedBuffers")
    }
}

impl Buffers {
    /// Takes room for a message, and returns its number. None without a buffer. To look and to take is one step, so that the messages of
    /// several threads never take more than there is.
    fn take(&mut self, process: u32, len: usize) -> Option<Result<u64>> {
        let room = self.attached?.size;
        let cost = len.saturating_add(BSEND_OVERHEAD);
        if room.saturating_sub(self.used) < cost {
            return Some(Err(no_room(len, room, self.used)));
        }
        self.used += cost;
        self.number += 1;
        self.under_way.push_back(Message {
            request: None,
            process,
            cost,
            number: self.number,
        });
        Some(Ok(self.number))
    }

    /// Gives the room of a message back that was never handed to its link.
    fn give_back(&mut self, number: u64) {
        if let Ok(at) = self.place(number)
            && let Some(message) = self.under_way.remove(at)
        {
            self.used -= message.cost;
        }
    }

    fn set_request(&mut self, number: u64, request: RequestRef) {
        if let Ok(at) = self.place(number) {
            self.under_way[at].request = Some(request);
        }
    }

    fn place(&self, number: u64) -> core::result::Result<usize, usize> {
        self.under_way
            .binary_search_by_key(&number, |message| message.number)
    }

    /// Whether the messages up to a number have left.
    fn have_left(&self, number: u64) -> bool {
        self.under_way
            .front()
            .is_none_or(|message| message.number > number)
    }
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
        let mut buffers = buffers.0.lock();
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

    fn buffer_detach_from(&self, buffers: &SharedBuffers) -> Result<(*mut u8, i64)> {
        let none = || Error::new(ErrorClass::BUFFER, "no buffer is attached");
        let mut detached = Err(none());
        self.wait_until(|| {
            self.reap_buffered(buffers);
            let mut buffers = buffers.0.lock();
            // In one step, so that the next buffer begins without messages.
            let is_empty = buffers.under_way.is_empty();
            if is_empty {
                detached = buffers.attached.take().ok_or_else(none);
            }
            is_empty
        });
        let Attached { address, size } = detached?;
        match address {
            BUFFER_AUTOMATIC => Ok((address as *mut u8, 0)),
            _ => Ok((address as *mut u8, size as i64)),
        }
    }

    /// Waits until the messages that are in a buffer have left.
    pub(in crate::engine) fn buffer_flush_of(&self, buffers: &SharedBuffers) {
        let last = buffers.0.lock().number;
        self.wait_until(|| {
            self.reap_buffered(buffers);
            buffers.0.lock().have_left(last)
        });
    }

    fn buffer_iflush_of(&self, comm: &CommData, buffers: &SharedBuffers) -> Result<Request> {
        self.reap_buffered(buffers);
        let (number, have_left) = {
            let buffers = buffers.0.lock();
            (buffers.number, buffers.have_left(buffers.number))
        };
        if have_left {
            return Ok(SENT);
        }
        let request = self.add_request(comm, || idle_body(Kind::Flush, Envelope::NOWHERE))?;
        let flush = Flush {
            request,
            of: buffers.clone(),
            number,
        };
        self.flushes.lock().push(flush);
        self.chores.fetch_add(1, Ordering::Relaxed);
        Ok(request.handle())
    }

    /// Completes the requests whose messages have left. Returns whether there was any.
    #[cold]
    pub(in crate::engine) fn finish_flushes(&self) -> bool {
        let mut waiting = std::mem::take(&mut *self.flushes.lock());
        let before = waiting.len();
        waiting.retain(|flush| {
            self.reap_buffered(&flush.of);
            let waits = !flush.of.0.lock().have_left(flush.number);
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
    pub(in crate::engine) fn launch_buffered(
        &self,
        comm: &CommData,
        mut body: Body,
    ) -> Result<Request> {
        let (buffers, number) = self.take_room(comm, &body)?;
        // SAFETY: the sender's buffer is readable, as whoever made the body promised.
        unsafe { body.keep_copy() };
        let request = self.add_request(comm, || body);
        let request = request.inspect_err(|_| buffers.0.lock().give_back(number))?;
        buffers.0.lock().set_request(number, request);
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
        let nearest_first = [Some(&comm.buffers), session, Some(&self.buffers)];
        let mut is_last = false;
        loop {
            let taken = nearest_first.into_iter().flatten().find_map(|buffers| {
                self.reap_buffered(buffers);
                let taken = buffers.0.lock().take(process, len)?;
                Some(taken.map(|number| (buffers, number)))
            });
            match taken {
                None => return Err(not_attached(len)),
                Some(Ok(taken)) => return Ok(taken),
                // Messages that were received meanwhile give their room back once this process hears of it.
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

    /// Waits for threads that have sent a message and are about to say so, which they do under its link's lock.
    fn settle(&self, buffers: &SharedBuffers) {
        let mut processes: Vec<u32> = {
            let buffers = buffers.0.lock();
            let under_way = buffers.under_way.iter();
            under_way.map(|message| message.process).collect()
        };
        processes.sort_unstable();
        processes.dedup();
        for process in processes {
            drop(self.peer(process).out.lock());
        }
    }

    /// Lets go of buffered messages that have left.
    fn reap_buffered(&self, buffers: &SharedBuffers) {
        let mut gone = Vec::new();
        let mut buffers = buffers.0.lock();
        let Buffers {
            under_way, used, ..
        } = &mut *buffers;
        under_way.retain(|message| match message.request {
            Some(request) if request.data().is_done() => {
                *used -= message.cost;
                gone.push(request);
                false
            }
            _ => true,
        });
        drop(buffers);
        gone.into_iter()
            .for_each(|request| self.remove_request(request));
    }

    /// The same for all buffers.
    #[cold]
    pub(in crate::engine) fn reap_all_buffered(&self) {
        let mut all = vec![self.buffers.clone()];
        all.extend([&self.world, &self.own].map(|comm| comm.buffers.clone()));
        self.comms.for_each(|comm| all.push(comm.buffers.clone()));
        self.sessions
            .for_each(|session| all.push(session.buffers.clone()));
        all.iter().for_each(|buffers| self.reap_buffered(buffers));
    }

    /// `MPI_Buffer_attach`. `address` [`BUFFER_AUTOMATIC`] means as much as is needed.
    pub fn buffer_attach(&self, address: *mut u8, size: i64) -> Result<()> {
        self.buffer_attach_to(&self.buffers, address, size)
    }

    /// `MPI_Buffer_detach`: waits until all buffered messages have left. Returns the buffer's address and size in bytes.
    pub fn buffer_detach(&self) -> Result<(*mut u8, i64)> {
        self.buffer_detach_from(&self.buffers)
    }

    /// `MPI_Buffer_flush`: waits until all buffered messages have left.
    pub fn buffer_flush(&self) -> Result<()> {
        self.buffer_flush_of(&self.buffers);
        Ok(())
    }

    /// `MPI_Buffer_iflush`: a request that is complete when all buffered messages have left.
    pub fn buffer_iflush(&self) -> Result<Request> {
        self.buffer_iflush_of(&self.own, &self.buffers)
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
        self.buffer_iflush_of(&self.own, &self.session(session)?.buffers)
    }
}

#[cold]
fn no_room(len: usize, room: usize, used: usize) -> Error {
    Error::new(
        ErrorClass::BUFFER,
        format!(
            "the message of {len} bytes (and {BSEND_OVERHEAD} of overhead) does not fit into the attached buffer of {room} bytes, of \
             which {used} are in use"
        ),
    )
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
