//! The room for buffered messages, and what goes by it (MPI 5.0, section 3.6). Messages are sent by
//! it in [`crate::engine::point_to_point`].

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::handle::Request;
use crate::sync::{Class, ClassLock};
use crate::{Error, ErrorClass, Result};

/// What a message is taken to need beyond its data, in bytes: the smallest `MPI_BSEND_OVERHEAD` of
/// the binary interfaces, so that a program of any of them has room for as many messages as it
/// asked for.
pub const BSEND_OVERHEAD: usize = 96;

/// The address that stands for automatic buffering: `MPI_BUFFER_AUTOMATIC`.
pub const BUFFER_AUTOMATIC: usize = 2;

/// The buffer of the process, of a communicator or of a session, and what goes by it. Flushes and
/// groups that refer to it keep it when its object goes.
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

/// The memory that the program has given.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Attached {
    pub(in crate::engine) address: usize,
    pub(in crate::engine) size: usize,
}

struct Message {
    /// None until it is handed to its link. Nobody else has this handle.
    request: Option<Request>,
    /// Where it goes to.
    process: u32,
    cost: usize,
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

    /// Takes over the program's memory. `MPI_ERR_BUFFER` where there is some already.
    pub(in crate::engine) fn attach(&self, memory: Attached) -> Result<()> {
        let mut buffers = self.0.lock();
        if buffers.attached.is_some() {
            return Err(Error::new(
                ErrorClass::BUFFER,
                "a buffer is attached already: detach it first",
            ));
        }
        buffers.attached = Some(memory);
        Ok(())
    }

    /// Gives the program's memory back if no message is under way. In one step, so that the next
    /// buffer begins without messages. `None`: messages are under way. `MPI_ERR_BUFFER`: nothing is
    /// attached.
    pub(in crate::engine) fn detach(&self) -> Option<Result<Attached>> {
        let mut buffers = self.0.lock();
        let none = || Error::new(ErrorClass::BUFFER, "no buffer is attached");
        let is_empty = buffers.under_way.is_empty();
        is_empty.then(|| buffers.attached.take().ok_or_else(none))
    }

    /// The number of the last message.
    pub(in crate::engine) fn last(&self) -> u64 {
        self.0.lock().number
    }

    /// Whether the messages up to a number have left.
    pub(in crate::engine) fn have_left(&self, number: u64) -> bool {
        let buffers = self.0.lock();
        let first = buffers.under_way.front();
        first.is_none_or(|message| message.number > number)
    }

    /// Takes room for a message, and returns its number. `None` without a buffer. To look and to
    /// take is one step, so that the messages of several threads never take more than there is.
    pub(in crate::engine) fn take(&self, process: u32, len: usize) -> Option<Result<u64>> {
        let mut buffers = self.0.lock();
        let room = buffers.attached?.size;
        let cost = len.saturating_add(BSEND_OVERHEAD);
        if room.saturating_sub(buffers.used) < cost {
            return Some(Err(no_room(len, room, buffers.used)));
        }
        buffers.used += cost;
        buffers.number += 1;
        let number = buffers.number;
        buffers.under_way.push_back(Message {
            request: None,
            process,
            cost,
            number,
        });
        Some(Ok(number))
    }

    /// Gives the room of a message back that was never handed to its link.
    pub(in crate::engine) fn give_back(&self, number: u64) {
        let mut buffers = self.0.lock();
        if let Ok(at) = buffers.index(number)
            && let Some(message) = buffers.under_way.remove(at)
        {
            buffers.used -= message.cost;
        }
    }

    /// Says which request sends a message. It stays until [`SharedBuffers::reap`] returns it.
    pub(in crate::engine) fn set_request(&self, number: u64, request: Request) {
        let mut buffers = self.0.lock();
        if let Ok(at) = buffers.index(number) {
            buffers.under_way[at].request = Some(request);
        }
    }

    /// Where the messages under way go to.
    pub(in crate::engine) fn destinations(&self) -> Vec<u32> {
        let buffers = self.0.lock();
        let under_way = buffers.under_way.iter();
        under_way.map(|message| message.process).collect()
    }

    /// Lets go of messages that have left, and returns their requests.
    pub(in crate::engine) fn reap(&self, has_left: impl Fn(Request) -> bool) -> Vec<Request> {
        let mut gone = Vec::new();
        let mut buffers = self.0.lock();
        let Buffers {
            under_way, used, ..
        } = &mut *buffers;
        under_way.retain(|message| match message.request {
            Some(request) if has_left(request) => {
                *used -= message.cost;
                gone.push(request);
                false
            }
            _ => true,
        });
        gone
    }
}

impl fmt::Debug for SharedBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedBuffers")
    }
}

impl Buffers {
    fn index(&self, number: u64) -> core::result::Result<usize, usize> {
        self.under_way
            .binary_search_by_key(&number, |message| message.number)
    }
}

#[cold]
fn no_room(len: usize, room: usize, used: usize) -> Error {
    Error::new(
        ErrorClass::BUFFER,
        format!(
            "the message of {len} bytes (and {BSEND_OVERHEAD} of overhead) does not fit into the \
             attached buffer of {room} bytes, of \
             which {used} are in use"
        ),
    )
}
