//! Buffered mode (MPI 5.0, section 3.6).
//!
//! A buffered message is copied to memory of its own, and what it takes is counted against the buffer that the program
//! attached; the program's memory itself is not needed. The count is given back when the message has left.

use super::Engine;
use super::request::{Body, RequestRef, SENT};
use crate::handle::Request;
use crate::{Error, ErrorClass, Result};

/// What a message takes beyond its data: `MPI_BSEND_OVERHEAD`, in bytes.
pub const BSEND_OVERHEAD: usize = 512;

/// The address that stands for automatic buffering: `MPI_BUFFER_AUTOMATIC`.
pub const BUFFER_AUTOMATIC: usize = 2;

/// The attached buffer, and the messages that have not left.
pub(super) struct Buffers {
    attached: Option<Attached>,
    under_way: Vec<(RequestRef, usize)>,
}

#[derive(Clone, Copy)]
struct Attached {
    address: usize,
    size: usize,
}

impl Buffers {
    pub(super) const fn new() -> Buffers {
        Buffers {
            attached: None,
            under_way: Vec::new(),
        }
    }
}

impl Engine {
    /// `MPI_Buffer_attach`. `address` [`BUFFER_AUTOMATIC`] means as much as is needed.
    pub fn buffer_attach(&self, address: *mut u8, size: i64) -> Result<()> {
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
        let mut buffers = self.buffers.lock();
        if buffers.attached.is_some() {
            return Err(Error::new(
                ErrorClass::BUFFER,
                "a buffer is attached already: detach it with MPI_Buffer_detach first",
            ));
        }
        buffers.attached = Some(Attached {
            address: address as usize,
            size,
        });
        Ok(())
    }

    /// `MPI_Buffer_detach`: waits until all buffered messages have left. Returns the buffer's address and size in bytes.
    pub fn buffer_detach(&self) -> Result<(*mut u8, i64)> {
        self.buffer_flush()?;
        match self.buffers.lock().attached.take() {
            Some(attached) if attached.address == BUFFER_AUTOMATIC => {
                Ok((attached.address as *mut u8, 0))
            }
            Some(attached) => Ok((attached.address as *mut u8, attached.size as i64)),
            None => Err(Error::new(ErrorClass::BUFFER, "no buffer is attached")),
        }
    }

    /// `MPI_Buffer_flush`: waits until all buffered messages have left.
    pub fn buffer_flush(&self) -> Result<()> {
        self.wait_until(|| {
            self.reap_buffered();
            self.buffers.lock().under_way.is_empty()
        });
        Ok(())
    }

    /// Sends a message from a copy of its data.
    pub(super) fn launch_buffered(&self, mut body: Body) -> Result<Request> {
        self.reap_buffered();
        let cost = body.len + BSEND_OVERHEAD;
        {
            let buffers = self.buffers.lock();
            let used: usize = buffers.under_way.iter().map(|(_, cost)| cost).sum();
            let room = buffers.attached.map_or(0, |attached| attached.size);
            if room < used || cost > room - used {
                return Err(no_room(body.len, room, used, buffers.attached.is_some()));
            }
        }
        // SAFETY: the sender's buffer is readable, as whoever made the body promised.
        unsafe { body.keep_copy() };
        let request = self.add_request(|| body)?;
        self.buffers.lock().under_way.push((request, cost));
        self.dispatch(request, false);
        Ok(SENT)
    }

    /// Lets go of buffered messages that have left.
    fn reap_buffered(&self) {
        let mut gone = Vec::new();
        self.buffers.lock().under_way.retain(|(request, _)| {
            let done = request.data().is_done();
            if done {
                gone.push(request.handle());
            }
            !done
        });
        for handle in gone {
            self.requests.discard(handle.0);
        }
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
