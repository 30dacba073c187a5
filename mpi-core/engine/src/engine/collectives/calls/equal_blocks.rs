//! The collective calls with equal blocks: from the arguments of MPI to a [`Call`] (MPI 5.0,
//! sections 6.3 to 6.8).
//!
//! Each plan serves the blocking, the nonblocking and the persistent form of its collective. Items
//! that are not bytes in a row are packed to and unpacked from memory of the call's own.

use ferrite_fabric::{RawBuf, RawBufMut};

use super::Waits;
use super::arguments::{all_counts, check_buffer, check_overlap, check_own, check_root};
use super::between_groups;
use super::builder::{Builder, Items};
use crate::Result;
use crate::collective::{Call, Collective, Function, IN_PLACE, Schedule, Shape, select};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::handle::{Comm, Datatype};

/// A number in the memory of a call.
#[derive(Clone, Copy)]
pub(crate) struct Number(*mut u64);

// SAFETY: the address of memory that belongs to the call, which one thread at a time works on.
unsafe impl Send for Number {}

impl Number {
    /// # Safety
    /// The call lives, and has ended.
    pub(crate) unsafe fn read(self) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.0.read() }
    }
}

/// The shape of a call that moves blocks of bytes.
pub(super) fn shape(comm: &CommData, waits: Waits, root: u32, block: usize) -> Shape {
    let board = match waits {
        Waits::Here => comm.board().map(|board| board.payload_bytes()),
        Waits::Later => None,
    };
    Shape {
        rank: comm.rank() as u32,
        size: comm.size() as u32,
        root,
        count: block,
        width: 1,
        commutative: true,
        in_place: false,
        board,
    }
}

/// `count` items for each rank of the communicator.
fn items_of_all(
    name: &str,
    comm: &CommData,
    at: *mut u8,
    count: i64,
    dt: Datatype,
) -> Result<Items> {
    let items = Argument::new(dt)?;
    items.bytes(count)?;
    Items::new(name, at, all_counts(count, comm.size())?, items)
}

/// Receives a block of `count` items from each rank; the own block stays where it is when it is
/// `in_place`, from where it is sent when it `is_sent`.
fn receive_blocks(
    builder: &mut Builder,
    all: &Items,
    count: i64,
    own: i32,
    (in_place, is_sent): (bool, bool),
) -> RawBufMut {
    if !in_place || all.as_run().is_some() {
        return builder.receive(all);
    }
    let memory = builder.memory(all.bytes);
    let first = i64::from(own) * count;
    let mine = all.part(first, count);
    let at = |block: &Items, before: usize| {
        debug_assert!(before + block.bytes <= memory.len);
        memory.ptr.wrapping_add(before)
    };
    let before = all.part(0, first);
    let behind = all.part(first + count, all.count - first - count);
    builder.unpack(&before, at(&before, 0));
    builder.unpack(&behind, at(&behind, before.bytes + mine.bytes));
    if is_sent {
        builder.pack(&mine, at(&mine, before.bytes));
    }
    memory
}

impl Engine {
    /// The schedule of a call: by nodes if the communicator spans some, or flat.
    #[inline(always)]
    pub(super) fn choose(
        &self,
        collective: Collective,
        (comm, waits): (&CommData, Waits),
        shape: Shape,
    ) -> Schedule {
        let nodes = comm.nodes(&self.job.nodes).map(|nodes| {
            let board = match waits {
                Waits::Here => comm.any_board().map(|board| board.payload_bytes()),
                Waits::Later => None,
            };
            (&**nodes, board)
        });
        select::schedule(collective, shape, nodes, self.limits())
    }

    /// `MPI_Barrier`
    pub(crate) fn plan_barrier(&self, waits: Waits, comm: Comm) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return Ok(between_groups::barrier(c));
        }
        let shape = shape(c, waits, 0, 0);
        let schedule = self.choose(Collective::Barrier, (c, waits), shape);
        Ok(Builder::new(Function::Barrier).call(schedule, RawBuf::EMPTY, RawBufMut::EMPTY, None))
    }

    /// `MPI_Bcast`
    pub(crate) fn plan_bcast(
        &self,
        waits: Waits,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        root: i32,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::bcast(c, (buf, count, dt), root);
        }
        let root = check_root(c, root)?;
        check_buffer("buffer", buf, 0)?;
        let items = Items::new("buffer", buf, count, Argument::new(dt)?)?;
        let mut builder = Builder::new(Function::Bcast);
        let output = match (items.as_run(), c.rank() as u32 == root) {
            (None, true) => builder.copy_of(&items),
            _ => builder.receive(&items),
        };
        let shape = shape(c, waits, root, items.bytes);
        let schedule = self.choose(Collective::Bcast, (c, waits), shape);
        Ok(builder.call(schedule, RawBuf::EMPTY, output, None))
    }

    /// Rank 0's number for everybody, in an intercommunicator that of one group's rank 0 for both,
    /// and where it is when the call has ended.
    pub(crate) fn plan_number(&self, comm: Comm, own: u64) -> Result<(Call, Number)> {
        let c = self.comm(comm)?;
        let mut builder = Builder::new(Function::Making);
        let output = builder.memory(size_of::<u64>());
        let place = Number(output.ptr.cast());
        // SAFETY: the memory has room for it, aligned to a cache line.
        unsafe { place.0.write(own) };
        let shape = shape(c, Waits::Later, 0, output.len);
        let schedule = match c.as_origin() {
            None => self.choose(Collective::Bcast, (c, Waits::Later), shape),
            Some(is_origin) => select::intergroup_bcast(shape, is_origin, c.peers() as u32),
        };
        Ok((builder.call(schedule, RawBuf::EMPTY, output, None), place))
    }

    /// `MPI_Gather`: the receive arguments, of which `recvcount` is for one rank, count at the root
    /// only, where `sendbuf` may be [`IN_PLACE`].
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_gather(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        root: i32,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::gather(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                (recvbuf, recvcount, recvtype),
                root,
            );
        }
        let root = check_root(c, root)?;
        let mut builder = Builder::new(Function::Gather);
        if c.rank() as u32 != root {
            let input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            let schedule = select::flat(
                Collective::Gather,
                shape(c, waits, root, input.len),
                self.limits(),
            );
            return Ok(builder.call(schedule, input, RawBufMut::EMPTY, None));
        }
        let sent = (sendbuf, sendcount, sendtype);
        let received = (recvbuf, recvcount, recvtype);
        let (shape, input, output) = blocks(&mut builder, c, waits, sent, received, false)?;
        let schedule = select::flat(Collective::Gather, Shape { root, ..shape }, self.limits());
        Ok(builder.call(schedule, input, output, None))
    }

    /// `MPI_Allgather`: `recvcount` is for one rank. `sendbuf` may be [`IN_PLACE`], on all ranks.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_allgather(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::allgather(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                (recvbuf, recvcount, recvtype),
            );
        }
        let mut builder = Builder::new(Function::Allgather);
        let sent = (sendbuf, sendcount, sendtype);
        let received = (recvbuf, recvcount, recvtype);
        let (shape, input, output) = blocks(&mut builder, c, waits, sent, received, true)?;
        let schedule = self.choose(Collective::Allgather, (c, waits), shape);
        Ok(builder.call(schedule, input, output, None))
    }

    /// `MPI_Scatter`: the send arguments, of which `sendcount` is for one rank, count at the root
    /// only, where `recvbuf` may be [`IN_PLACE`].
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_scatter(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        root: i32,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::scatter(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                (recvbuf, recvcount, recvtype),
                root,
            );
        }
        let root = check_root(c, root)?;
        let mut builder = Builder::new(Function::Scatter);
        if c.rank() as u32 != root {
            let output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
            let schedule = select::flat(
                Collective::Scatter,
                shape(c, waits, root, output.len),
                self.limits(),
            );
            return Ok(builder.call(schedule, RawBuf::EMPTY, output, None));
        }
        check_buffer("send buffer", sendbuf, 0)?;
        let all = items_of_all("send buffer", c, sendbuf.cast_mut(), sendcount, sendtype)?;
        let input = builder.send(&all);
        let block = all.bytes / c.size() as usize;
        let in_place = recvbuf.cast_const() == IN_PLACE;
        let output = match in_place {
            true => RawBufMut::EMPTY,
            false => {
                let output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
                check_own(block, output.len)?;
                check_overlap(input, output, 0)?;
                output
            }
        };
        let shape = Shape {
            in_place,
            ..shape(c, waits, root, block)
        };
        Ok(builder.call(
            select::flat(Collective::Scatter, shape, self.limits()),
            input,
            output,
            None,
        ))
    }

    /// `MPI_Alltoall`: counts are for one rank. `sendbuf` may be [`IN_PLACE`], on all ranks.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_alltoall(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::alltoall(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                (recvbuf, recvcount, recvtype),
            );
        }
        let mut builder = Builder::new(Function::Alltoall);
        check_buffer("receive buffer", recvbuf, 0)?;
        let received = items_of_all("receive buffer", c, recvbuf, recvcount, recvtype)?;
        let output = builder.receive(&received);
        let input = if sendbuf == IN_PLACE {
            builder.copy_of(&received).as_buf()
        } else {
            let at = sendbuf.cast_mut();
            let sent = items_of_all("send buffer", c, at, sendcount, sendtype)?;
            check_own(sent.bytes, received.bytes)?;
            let input = builder.send(&sent);
            check_overlap(input, output, 0)?;
            input
        };
        let shape = shape(c, waits, 0, received.bytes / c.size() as usize);
        Ok(builder.call(
            select::flat(Collective::Alltoall, shape, self.limits()),
            input,
            output,
            None,
        ))
    }
}

/// Items that this rank sends.
pub(super) fn send(
    builder: &mut Builder,
    buf: *const u8,
    count: i64,
    dt: Datatype,
) -> Result<RawBuf> {
    check_buffer("send buffer", buf, 0)?;
    let items = Items::new("send buffer", buf.cast_mut(), count, Argument::new(dt)?)?;
    Ok(builder.send(&items))
}

/// Items that this rank receives.
pub(super) fn receive(
    builder: &mut Builder,
    buf: *mut u8,
    count: i64,
    dt: Datatype,
) -> Result<RawBufMut> {
    check_buffer("receive buffer", buf, 0)?;
    let items = Items::new("receive buffer", buf, count, Argument::new(dt)?)?;
    Ok(builder.receive(&items))
}

/// The arguments {buffer, count, type} of a rank that receives a block from every member, itself
/// included.
fn blocks(
    builder: &mut Builder,
    comm: &CommData,
    waits: Waits,
    (sendbuf, sendcount, sendtype): (*const u8, i64, Datatype),
    (recvbuf, recvcount, recvtype): (*mut u8, i64, Datatype),
    own_is_sent: bool,
) -> Result<(Shape, RawBuf, RawBufMut)> {
    check_buffer("receive buffer", recvbuf, 0)?;
    let all = items_of_all("receive buffer", comm, recvbuf, recvcount, recvtype)?;
    let block = all.bytes / comm.size() as usize;
    let in_place = sendbuf == IN_PLACE;
    let how = (in_place, own_is_sent);
    let output = receive_blocks(builder, &all, recvcount, comm.rank(), how);
    let input = if in_place {
        output.as_buf()
    } else {
        let input = send(builder, sendbuf, sendcount, sendtype)?;
        check_own(input.len, block)?;
        check_overlap(input, output, comm.rank() as usize * block)?;
        input
    };
    let shape = Shape {
        in_place,
        ..shape(comm, waits, 0, block)
    };
    Ok((shape, input, output))
}
