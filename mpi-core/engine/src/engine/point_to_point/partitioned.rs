//! Partitioned communication (MPI 5.0, chapter 4): a message whose parts become ready one by one,
//! in any order and by any thread.
//!
//! The sender composes a context for the pair of requests, the *channel*, and announces it with the
//! number of its partitions when it initialises; the receiver posts a receive for that announcement
//! when it does, so the two are matched in the order of initialisation, as the standard says. From
//! then on each of the sender's partitions is a message in the channel, whose tag is its number. A
//! receive that is started before the announcement is here goes on when it comes.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use ferrite_fabric::{OwnedBuf, RawBuf};

use super::receive::check_receive;
use super::send::outbound_of;
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::engine::matching::Envelope;
use crate::engine::requests::{
    Channel, Cycle, Kind, NO_PROCESS, Parent, Partitioned, RequestData, RequestRef, idle_body,
};
use crate::handle::{Comm, Datatype, Info, Request};
use crate::status::{ANY_SOURCE, ANY_TAG, PROC_NULL, Status};
use crate::{Error, ErrorClass, Result};

/// In the context of an announcement, beside that of the communicator: no context of a message has
/// it.
const ANNOUNCEMENTS: u64 = 1 << 62;
/// Bytes of an announcement: channel, number of partitions, bytes of each.
const ANNOUNCEMENT: usize = 24;

impl Engine {
    /// `MPI_Psend_init`
    ///
    /// # Safety
    /// `buf` is readable for `partitions` times `count` items of `dt` whenever the request is
    /// active.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn psend_init(
        &self,
        buf: *const u8,
        partitions: i32,
        count: i64,
        dt: Datatype,
        dest: i32,
        tag: i32,
        comm: Comm,
        _info: Info,
    ) -> Result<Request> {
        let items = Argument::of(dt, count)?;
        let comm = self.comm(comm)?;
        // SAFETY: the caller's promise; nothing is sent yet.
        let out = unsafe { outbound_of(buf, count, items.clone(), dest, tag, comm)? };
        let process = out.map_or(NO_PROCESS, |out| out.process);
        let mut what = Partitioned {
            is_send: true,
            ..Partitioned::new(buf.cast_mut(), partitions, count, items)?
        };
        (what.rank, what.process, what.tag) = (dest, process, tag);
        if what.process != NO_PROCESS {
            let channel = Channel {
                context: self.comms.contexts().compose()?,
                pieces: what.partitions,
                bytes: what.bytes,
            };
            self.announce(comm, &what, channel)?;
            what.channel = channel.into();
        }
        self.add_partitioned(comm, what)
    }

    /// `MPI_Precv_init`
    ///
    /// # Safety
    /// `buf` is writable for `partitions` times `count` items of `dt` whenever the request is
    /// active.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn precv_init(
        &self,
        buf: *mut u8,
        partitions: i32,
        count: i64,
        dt: Datatype,
        source: i32,
        tag: i32,
        comm: Comm,
        _info: Info,
    ) -> Result<Request> {
        if source == ANY_SOURCE || tag == ANY_TAG {
            return Err(Error::new(
                ErrorClass::ARG,
                "a partitioned receive names its source and its tag: wildcards match nothing",
            ));
        }
        let items = Argument::of(dt, count)?;
        let comm = self.comm(comm)?;
        check_receive(buf, count, &items, source, tag, comm)?;
        let process = match source {
            PROC_NULL => NO_PROCESS,
            source => comm.process(source),
        };
        let mut what = Partitioned::new(buf, partitions, count, items)?;
        (what.rank, what.process, what.tag) = (source, process, tag);
        if what.process != NO_PROCESS {
            let wanted = Envelope {
                context: comm.context() | ANNOUNCEMENTS,
                source,
                tag,
            };
            let mut body = idle_body(Kind::Recv, wanted);
            let memory = OwnedBuf::zeroed(ANNOUNCEMENT);
            body.buf = memory.buf_mut().ptr;
            body.len = ANNOUNCEMENT;
            body.extra().copy = Some(memory);
            let request = self.add_request(comm, || body)?;
            self.post(request);
            what.announcement = Some(request);
        }
        self.add_partitioned(comm, what)
    }

    fn add_partitioned(&self, comm: &CommData, what: Partitioned) -> Result<Request> {
        let mut body = idle_body(Kind::Partitioned, Envelope::NOWHERE);
        body.active = false;
        body.extra().partitioned = Some(what.into());
        let request = self.add_request(comm, || body)?;
        request.finish();
        Ok(request.handle())
    }

    /// Tells the receiver of a channel. The message needs nobody who waits for it.
    fn announce(&self, comm: &CommData, what: &Partitioned, channel: Channel) -> Result<()> {
        let envelope = Envelope {
            context: comm.context() | ANNOUNCEMENTS,
            source: comm.rank(),
            tag: what.tag,
        };
        let words = [channel.context, channel.pieces as u64, channel.bytes as u64];
        let memory: Box<[u8]> = words.map(u64::to_le_bytes).as_flattened().into();
        let mut body = idle_body(Kind::Send, envelope);
        body.process = what.process;
        let memory = OwnedBuf::from(memory);
        body.buf = memory.buf_mut().ptr;
        body.len = ANNOUNCEMENT;
        body.extra().copy = Some(memory);
        if !self.send_at_once(&mut body) {
            let request = self.add_request(comm, || body)?;
            request.abandon();
            self.dispatch(request, false);
        }
        Ok(())
    }

    /// `MPI_Start` of one that is not active.
    pub(in crate::engine) fn start_partitioned(&self, request: RequestRef, what: &Partitioned) {
        // SAFETY: not active, so the body is the caller's.
        let body = unsafe { request.body() };
        body.active = true;
        body.status = match what.process {
            NO_PROCESS => Status::PROC_NULL,
            _ if what.is_send => Status::EMPTY,
            _ => Status {
                source: what.rank,
                tag: what.tag,
                bytes: (what.bytes * what.partitions) as i64,
                ..Status::EMPTY
            },
        };
        request.restart();
        // A receive without partitions waits all the same: its sender may have more than there is
        // room for.
        if what.process == NO_PROCESS || what.is_send && what.partitions == 0 {
            return self.complete(request);
        }
        if what.is_send {
            let parent = Parent::new(request, what.partitions as u32);
            what.set_cycle(parent, Cycle::new(what.partitions));
        } else if !self.post_pieces(request) {
            self.point_to_point.announced.lock().push(request);
            self.chores.add();
        }
    }

    /// Posts the receives of a message that was started, if its channel is known.
    fn post_pieces(&self, request: RequestRef) -> bool {
        // SAFETY: started and without pieces, so nobody else works on the body.
        let body = unsafe { request.body() };
        let Some(what) = body.extra().partitioned.clone() else {
            return true;
        };
        let Some(channel) = self.channel_of(&what) else {
            return false;
        };
        let room = what.bytes * what.partitions;
        let sent = channel.bytes.saturating_mul(channel.pieces);
        body.status.bytes = sent.min(room) as i64;
        if channel.pieces == 0 {
            self.complete(request);
            return true;
        }
        let parent = Parent::new(request, channel.pieces as u32);
        let cycle = Cycle::new(channel.pieces);
        what.set_cycle(parent.clone(), cycle.clone());
        let mut parts = Vec::with_capacity(channel.pieces);
        for piece in 0..channel.pieces {
            let wanted = Envelope {
                context: channel.context,
                source: what.rank,
                tag: piece as i32,
            };
            // What there is no room for is an error of its piece, as of any message.
            let first = room.min(piece.saturating_mul(channel.bytes));
            let mut part = idle_body(Kind::Recv, wanted);
            what.piece(&mut part, first, channel.bytes.min(room - first));
            let parent = parent.clone().with_piece(cycle.clone(), piece);
            match self.add_part(part, &parent) {
                Ok(part) => parts.push(part),
                // There is no room for so many requests. None is posted, so none comes back.
                Err(error) => {
                    for part in parts {
                        self.remove_request(part);
                    }
                    // SAFETY: as above.
                    unsafe { request.body() }.error = Some(error);
                    self.complete(request);
                    return true;
                }
            }
        }
        parts.into_iter().for_each(|part| self.post(part));
        true
    }

    fn channel_of(&self, what: &Partitioned) -> Option<Channel> {
        if let Some(channel) = what.channel.get() {
            return Some(*channel);
        }
        let announcement = what.announcement?;
        if !announcement.data().is_done() {
            return None;
        }
        let found = what.channel.get_or_init(|| {
            let mut bytes = [0u8; ANNOUNCEMENT];
            // SAFETY: done, and nobody else asks for it; its memory is its own.
            unsafe {
                let body = announcement.body();
                RawBuf {
                    ptr: body.buf,
                    len: ANNOUNCEMENT,
                }
                .copy_to(bytes.as_mut_ptr());
            }
            self.remove_request(announcement);
            let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8"));
            Channel {
                context: word(0),
                pieces: word(8) as usize,
                bytes: word(16) as usize,
            }
        });
        Some(*found)
    }

    /// Lets go of the receive of an announcement that has not come, for a request that is freed.
    pub(in crate::engine) fn forget_announcement(&self, what: &Partitioned) {
        if what.channel.get().is_none()
            && let Some(announcement) = what.announcement
            && announcement.abandon()
        {
            self.remove_request(announcement);
        }
    }

    /// Goes on with messages that were started before their announcement came. Returns whether
    /// there was any.
    #[cold]
    pub(in crate::engine) fn start_announced(&self) -> bool {
        let mut waiting = std::mem::take(&mut *self.point_to_point.announced.lock());
        let before = waiting.len();
        waiting.retain(|request| !self.post_pieces(*request));
        let gone = before - waiting.len();
        self.chores.done(gone as u32);
        self.point_to_point.announced.lock().append(&mut waiting);
        gone > 0
    }

    /// `MPI_Pready`: a partition may be sent.
    pub fn pready(&self, partition: i32, request: Request) -> Result<()> {
        self.pready_range(partition, partition, request)
    }

    /// `MPI_Pready_range`: those from `low` to `high`.
    pub fn pready_range(&self, low: i32, high: i32, request: Request) -> Result<()> {
        for partition in low..=high {
            self.ready(partition, request)?;
        }
        Ok(())
    }

    /// `MPI_Pready_list`
    pub fn pready_list(&self, partitions: &[i32], request: Request) -> Result<()> {
        partitions
            .iter()
            .try_for_each(|partition| self.ready(*partition, request))
    }

    fn ready(&self, partition: i32, request: Request) -> Result<()> {
        let data = self.request(request)?;
        let sent = self.send_piece(partition, data);
        sent.map_err(|error| error.in_comm(data.shared_comm()))
    }

    fn send_piece(&self, partition: i32, data: &RequestData) -> Result<()> {
        let what = side(data, true)?;
        let number = check_partition(partition, &what)?;
        let inactive = || {
            Error::new(
                ErrorClass::REQUEST,
                "the partitioned send is not active: start it first",
            )
        };
        if what.process == NO_PROCESS {
            return Ok(());
        }
        let is_active = !data.is_done();
        let cycle = what.cycle().filter(|_| is_active);
        let (parent, cycle) = cycle.ok_or_else(inactive)?;
        // Relaxed: it only tells the calls for one partition apart.
        if cycle.pieces[number].swap(true, Ordering::Relaxed) {
            return Err(Error::new(
                ErrorClass::ARG,
                format!("partition {partition} was said to be ready before"),
            ));
        }
        let channel = what.channel.get().ok_or_else(inactive)?;
        let envelope = Envelope {
            context: channel.context,
            source: data.comm().rank(),
            tag: partition,
        };
        let mut body = idle_body(Kind::Send, envelope);
        body.process = what.process;
        what.piece(&mut body, number * what.bytes, what.bytes);
        let part = self.add_part(body, &parent).inspect_err(|_| {
            // Not sent: the program may say so again.
            cycle.pieces[number].store(false, Ordering::Relaxed);
        })?;
        self.dispatch(part, false);
        Ok(())
    }

    /// `MPI_Parrived`: whether a partition is here. True of a request that is not active.
    pub fn parrived(&self, request: Request, partition: i32) -> Result<bool> {
        let data = self.request(request)?;
        let arrived = self.has_arrived(data, partition);
        arrived.map_err(|error| error.in_comm(data.shared_comm()))
    }

    fn has_arrived(&self, data: &RequestData, partition: i32) -> Result<bool> {
        let what = side(data, false)?;
        let number = check_partition(partition, &what)?;
        Ok(data.is_done() || self.glance(1, || data.is_done() || has_arrived(&what, number)))
    }
}

/// What a request is a send or a receive of.
fn side(data: &RequestData, is_send: bool) -> Result<Arc<Partitioned>> {
    // SAFETY: it is written when the request is made, and stays until it is freed, which the
    // program does not do meanwhile.
    let body = unsafe { RequestRef::new(data).body() };
    let what = body
        .extra
        .as_ref()
        .and_then(|extra| extra.partitioned.clone());
    what.filter(|what| what.is_send == is_send).ok_or_else(|| {
        let what = if is_send { "send" } else { "receive" };
        Error::new(
            ErrorClass::REQUEST,
            format!("the request is not a partitioned {what}"),
        )
    })
}

/// Whether all pieces of a partition of a pending receive are here.
fn has_arrived(what: &Partitioned, number: usize) -> bool {
    let (Some((_, cycle)), Some(channel)) = (what.cycle(), what.channel.get()) else {
        return false;
    };
    // The message may be shorter than there is room for.
    let (first, end) = (number * what.bytes, (number + 1) * what.bytes);
    let pieces = match what.bytes.min(channel.bytes) {
        // No bytes tell which pieces are the partition's.
        0 if channel.pieces == what.partitions => number..number + 1,
        0 => 0..channel.pieces,
        _ => first / channel.bytes..end.div_ceil(channel.bytes).min(channel.pieces),
    };
    pieces.into_iter().all(|piece| cycle.has(piece))
}

fn check_partition(partition: i32, what: &Partitioned) -> Result<usize> {
    let number = usize::try_from(partition).ok();
    number
        .filter(|number| *number < what.partitions)
        .ok_or_else(|| {
            Error::new(
                ErrorClass::ARG,
                format!(
                    "there is no partition {partition}: they are numbered from 0, and there are {}",
                    what.partitions
                ),
            )
        })
}
