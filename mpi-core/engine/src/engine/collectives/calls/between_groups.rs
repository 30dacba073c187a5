//! The collective calls of intercommunicators (MPI 5.0, section 6.2.2 and 6.2.3): as
//! [`super::equal_blocks`]. What a group gives, the other gets.
//!
//! All goes directly from rank to rank. In calls with a root its group says who it is: the root
//! itself gives `MPI_ROOT`, the others of its group `MPI_PROC_NULL` and have no part, the other
//! group gives its rank.

use core::ops::Range;

use ferrite_fabric::{RawBuf, RawBufMut};

use super::arguments::{all_counts, check_buffer};
use super::builder::{Builder, Items};
use super::equal_blocks::{receive, send};
use super::operand::Operand;
use super::vectors::{Vectors, blocks_of, stage_received, stage_sent};
use crate::collective::{Block, Call, Function, Parts, Place, Shape, select};
use crate::datatype::Argument;
use crate::engine::communicators::CommData;
use crate::handle::Datatype;
use crate::status::{PROC_NULL, ROOT};
use crate::{Error, ErrorClass, Result};

/// Buffer, count and type, as the program gives them.
pub(super) type Given = (*mut u8, i64, Datatype);

/// Who the root is.
enum Root {
    /// This process.
    Here,
    /// Another one of its group.
    Beside,
    /// This one of the other group.
    There(u32),
}

fn root_of(comm: &CommData, root: i32) -> Result<Root> {
    match root {
        ROOT => Ok(Root::Here),
        PROC_NULL => Ok(Root::Beside),
        root if (0..comm.peers()).contains(&root) => Ok(Root::There(root as u32)),
        root => Err(Error::new(
            ErrorClass::ROOT,
            format!(
                "root {root} is not in the remote group, whose ranks are 0 to {}; the root gives \
                 MPI_ROOT, the others of its group MPI_PROC_NULL",
                comm.peers() - 1
            ),
        )),
    }
}

fn shape(comm: &CommData) -> Shape {
    Shape {
        rank: comm.rank() as u32,
        size: comm.size().max(comm.peers()) as u32,
        root: 0,
        count: 0,
        width: 1,
        commutative: true,
        in_place: false,
        board: None,
    }
}

/// One block for each of these ranks, all from or to one place.
fn same(peers: impl Iterator<Item = u32>, place: Place, bytes: usize) -> Vec<Block> {
    let peers = peers.filter(|_| bytes > 0);
    peers.map(|peer| Block { peer, place, bytes }).collect()
}

/// A block of `bytes` for each rank of the remote group, in the order of ranks.
fn each(comm: &CommData, bytes: usize, place: fn(usize) -> Place) -> Vec<Block> {
    let peers = (0..comm.peers() as u32).filter(|_| bytes > 0);
    let blocks = peers.map(|peer| Block {
        peer,
        place: place(peer as usize * bytes),
        bytes,
    });
    blocks.collect()
}

fn remote(comm: &CommData) -> core::ops::Range<u32> {
    0..comm.peers() as u32
}

fn remote_ranks(comm: &CommData) -> Range<i32> {
    0..comm.peers()
}

/// `count` items for each rank of the remote group.
fn items_of_remote(name: &str, comm: &CommData, (at, count, dt): Given) -> Result<Items> {
    check_buffer(name, at, 0)?;
    let items = Argument::new(dt)?;
    items.bytes(count)?;
    Items::new(name, at, all_counts(count, comm.peers())?, items)
}

fn direct(
    comm: &CommData,
    builder: Builder,
    sent: (RawBuf, Vec<Block>),
    received: (RawBufMut, Vec<Block>),
) -> Call {
    let schedule = select::intergroup_exchange(shape(comm), sent.1, received.1);
    builder.call(schedule, sent.0, received.0, None)
}

const NOTHING_SENT: (RawBuf, Vec<Block>) = (RawBuf::EMPTY, Vec::new());
const NOTHING_RECEIVED: (RawBufMut, Vec<Block>) = (RawBufMut::EMPTY, Vec::new());

fn nothing(comm: &CommData, function: Function) -> Call {
    direct(comm, Builder::new(function), NOTHING_SENT, NOTHING_RECEIVED)
}

/// `MPI_Barrier`: nobody leaves before all of the other group have come.
pub(super) fn barrier(comm: &CommData) -> Call {
    static TOKEN: u8 = 0;
    let mut builder = Builder::new(Function::Barrier);
    let input = RawBuf {
        ptr: &raw const TOKEN,
        len: 1,
    };
    let output = builder.memory(comm.peers() as usize);
    let sends = same(remote(comm), Place::input(0), 1);
    let receives = each(comm, 1, Place::output);
    direct(comm, builder, (input, sends), (output, receives))
}

/// `MPI_Bcast`
pub(super) fn bcast(comm: &CommData, (buf, count, dt): Given, root: i32) -> Result<Call> {
    let mut builder = Builder::new(Function::Bcast);
    Ok(match root_of(comm, root)? {
        Root::Beside => nothing(comm, Function::Bcast),
        Root::Here => {
            let input = send(&mut builder, buf, count, dt)?;
            let sends = same(remote(comm), Place::input(0), input.len);
            direct(comm, builder, (input, sends), NOTHING_RECEIVED)
        }
        Root::There(root) => {
            let output = receive(&mut builder, buf, count, dt)?;
            let receives = same(root..root + 1, Place::output(0), output.len);
            direct(comm, builder, NOTHING_SENT, (output, receives))
        }
    })
}

/// `MPI_Gather`
pub(super) fn gather(comm: &CommData, sent: Given, received: Given, root: i32) -> Result<Call> {
    let mut builder = Builder::new(Function::Gather);
    Ok(match root_of(comm, root)? {
        Root::Beside => nothing(comm, Function::Gather),
        Root::Here => {
            let all = items_of_remote("receive buffer", comm, received)?;
            let output = builder.receive(&all);
            let receives = each(comm, all.bytes / comm.peers() as usize, Place::output);
            direct(comm, builder, NOTHING_SENT, (output, receives))
        }
        Root::There(root) => to_root(comm, builder, sent, root)?,
    })
}

/// `MPI_Gatherv`
pub(super) fn gatherv(
    comm: &CommData,
    sent: Given,
    received: Vectors<'_>,
    root: i32,
) -> Result<Call> {
    let mut builder = Builder::new(Function::Gatherv);
    Ok(match root_of(comm, root)? {
        Root::Beside => nothing(comm, Function::Gatherv),
        Root::Here => {
            let all = received.check("receive buffer")?;
            let contiguous = stage_received(&mut builder, all, None);
            let receives = blocks_of(remote_ranks(comm), &contiguous, Place::output);
            direct(comm, builder, NOTHING_SENT, (contiguous.buffer, receives))
        }
        Root::There(root) => to_root(comm, builder, sent, root)?,
    })
}

fn to_root(
    comm: &CommData,
    mut builder: Builder,
    (buf, count, dt): Given,
    root: u32,
) -> Result<Call> {
    let input = send(&mut builder, buf, count, dt)?;
    let sends = same(root..root + 1, Place::input(0), input.len);
    Ok(direct(comm, builder, (input, sends), NOTHING_RECEIVED))
}

/// `MPI_Scatter`
pub(super) fn scatter(comm: &CommData, sent: Given, received: Given, root: i32) -> Result<Call> {
    let mut builder = Builder::new(Function::Scatter);
    Ok(match root_of(comm, root)? {
        Root::Beside => nothing(comm, Function::Scatter),
        Root::Here => {
            let all = items_of_remote("send buffer", comm, sent)?;
            let input = builder.send(&all);
            let sends = each(comm, all.bytes / comm.peers() as usize, Place::input);
            direct(comm, builder, (input, sends), NOTHING_RECEIVED)
        }
        Root::There(root) => from_root(comm, builder, received, root)?,
    })
}

/// `MPI_Scatterv`
pub(super) fn scatterv(
    comm: &CommData,
    sent: Vectors<'_>,
    received: Given,
    root: i32,
) -> Result<Call> {
    let mut builder = Builder::new(Function::Scatterv);
    Ok(match root_of(comm, root)? {
        Root::Beside => nothing(comm, Function::Scatterv),
        Root::Here => {
            let all = sent.check("send buffer")?;
            let contiguous = stage_sent(&mut builder, all);
            let sends = blocks_of(remote_ranks(comm), &contiguous, Place::input);
            direct(
                comm,
                builder,
                (contiguous.buffer.as_buf(), sends),
                NOTHING_RECEIVED,
            )
        }
        Root::There(root) => from_root(comm, builder, received, root)?,
    })
}

fn from_root(
    comm: &CommData,
    mut builder: Builder,
    (buf, count, dt): Given,
    root: u32,
) -> Result<Call> {
    let output = receive(&mut builder, buf, count, dt)?;
    let receives = same(root..root + 1, Place::output(0), output.len);
    Ok(direct(comm, builder, NOTHING_SENT, (output, receives)))
}

/// `MPI_Allgather`
pub(super) fn allgather(comm: &CommData, (buf, count, dt): Given, received: Given) -> Result<Call> {
    let mut builder = Builder::new(Function::Allgather);
    let input = send(&mut builder, buf, count, dt)?;
    let all = items_of_remote("receive buffer", comm, received)?;
    let output = builder.receive(&all);
    let sends = same(remote(comm), Place::input(0), input.len);
    let receives = each(comm, all.bytes / comm.peers() as usize, Place::output);
    Ok(direct(comm, builder, (input, sends), (output, receives)))
}

/// `MPI_Allgatherv`
pub(super) fn allgatherv(
    comm: &CommData,
    (buf, count, dt): Given,
    received: Vectors<'_>,
) -> Result<Call> {
    let mut builder = Builder::new(Function::Allgatherv);
    let input = send(&mut builder, buf, count, dt)?;
    let all = received.check("receive buffer")?;
    let contiguous = stage_received(&mut builder, all, None);
    let sends = same(remote(comm), Place::input(0), input.len);
    let receives = blocks_of(remote_ranks(comm), &contiguous, Place::output);
    Ok(direct(
        comm,
        builder,
        (input, sends),
        (contiguous.buffer, receives),
    ))
}

/// `MPI_Alltoall`
pub(super) fn alltoall(comm: &CommData, sent: Given, received: Given) -> Result<Call> {
    let mut builder = Builder::new(Function::Alltoall);
    let sent = items_of_remote("send buffer", comm, sent)?;
    let received = items_of_remote("receive buffer", comm, received)?;
    let (input, output) = (builder.send(&sent), builder.receive(&received));
    let peers = comm.peers() as usize;
    let sends = each(comm, sent.bytes / peers, Place::input);
    let receives = each(comm, received.bytes / peers, Place::output);
    Ok(direct(comm, builder, (input, sends), (output, receives)))
}

/// `MPI_Alltoallv` and `MPI_Alltoallw`
pub(super) fn alltoallv(comm: &CommData, sent: Vectors<'_>, received: Vectors<'_>) -> Result<Call> {
    let mut builder = Builder::new(Function::Alltoallv);
    let (sent, received) = (
        sent.check("send buffer")?,
        received.check("receive buffer")?,
    );
    let from = stage_sent(&mut builder, sent);
    let into = stage_received(&mut builder, received, None);
    let peers = remote_ranks(comm);
    let sends = blocks_of(peers.clone(), &from, Place::input);
    let receives = blocks_of(peers, &into, Place::output);
    Ok(direct(
        comm,
        builder,
        (from.buffer.as_buf(), sends),
        (into.buffer, receives),
    ))
}

/// `MPI_Reduce`; `operand` is not asked for where it does not matter.
pub(super) fn reduce(
    comm: &CommData,
    (sendbuf, recvbuf): (*const u8, *mut u8),
    operand: impl FnOnce() -> Result<Operand>,
    root: i32,
) -> Result<Call> {
    let mut builder = Builder::new(Function::Reduce);
    let there = match root_of(comm, root)? {
        Root::Beside => return Ok(nothing(comm, Function::Reduce)),
        Root::Here => None,
        Root::There(root) => Some(root),
    };
    let operand = &operand()?;
    let len = operand.bytes();
    let (sends, operands, input, output) = match there {
        None => {
            check_buffer("receive buffer", recvbuf, len)?;
            let output = operand.receive(&mut builder, recvbuf, false);
            (Vec::new(), comm.peers() as u32, RawBuf::EMPTY, output)
        }
        Some(root) => {
            check_buffer("send buffer", sendbuf, len)?;
            let input = operand.send(&mut builder, sendbuf);
            (vec![(root, 0, len)], 0, input, RawBufMut::EMPTY)
        }
    };
    Ok(reduction(
        comm,
        builder,
        operand,
        (input, sends),
        (output, operands),
    ))
}

fn reduction(
    comm: &CommData,
    builder: Builder,
    operand: &Operand,
    (input, sends): (RawBuf, Vec<(u32, usize, usize)>),
    (output, operands): (RawBufMut, u32),
) -> Call {
    let shape = operand.shape(shape(comm));
    reduction_of(
        comm,
        builder,
        operand,
        shape,
        (input, sends),
        (output, operands),
    )
}

fn reduction_of(
    comm: &CommData,
    builder: Builder,
    operand: &Operand,
    shape: Shape,
    (input, sends): (RawBuf, Vec<(u32, usize, usize)>),
    (output, operands): (RawBufMut, u32),
) -> Call {
    let sends = sends.into_iter().filter(|(.., bytes)| *bytes > 0).collect();
    let operands = if shape.bytes() == 0 { 0 } else { operands };
    let schedule = select::intergroup_reduce(shape, comm.size() as u32, sends, operands);
    builder.call(schedule, input, output, Some(operand.reduction))
}

/// `MPI_Allreduce`
pub(super) fn allreduce(
    comm: &CommData,
    (sendbuf, recvbuf): (*const u8, *mut u8),
    operand: &Operand,
) -> Result<Call> {
    let mut builder = Builder::new(Function::Allreduce);
    let len = operand.bytes();
    check_buffer("send buffer", sendbuf, len)?;
    check_buffer("receive buffer", recvbuf, len)?;
    let input = operand.send(&mut builder, sendbuf);
    let output = operand.receive(&mut builder, recvbuf, false);
    let sends = remote(comm).map(|rank| (rank, 0, len)).collect();
    Ok(reduction(
        comm,
        builder,
        operand,
        (input, sends),
        (output, comm.peers() as u32),
    ))
}

/// `MPI_Reduce_scatter` and `MPI_Reduce_scatter_block`: `own` is the first item and the number of
/// items of this rank's block among those of its group. How the other group deals out its result is
/// known only if its blocks are equal; otherwise everybody gets whole vectors.
pub(super) fn reduce_scatter(
    comm: &CommData,
    (sendbuf, recvbuf): (*const u8, *mut u8),
    operand: &Operand,
    own: (i64, i64),
    parts: &Parts,
) -> Result<Call> {
    let mut builder = Builder::new(Function::ReduceScatter);
    check_buffer("send buffer", sendbuf, operand.bytes())?;
    let input = operand.send(&mut builder, sendbuf);
    let peers = comm.peers() as usize;
    let len = own.1 as usize * operand.width;
    if operand.is_split() && matches!(parts, Parts::Equal) {
        if !operand.count.is_multiple_of(peers) {
            return Err(Error::new(
                ErrorClass::COUNT,
                format!(
                    "{} items cannot be dealt out in equal blocks to the {peers} ranks of the \
                     remote group",
                    operand.count
                ),
            ));
        }
        check_buffer("receive buffer", recvbuf, len)?;
        let block = operand.bytes() / peers;
        let sends = remote(comm)
            .map(|rank| (rank, rank as usize * block, block))
            .collect();
        let shape = Shape {
            count: own.1 as usize,
            ..operand.shape(shape(comm))
        };
        let output = RawBufMut { ptr: recvbuf, len };
        return Ok(reduction_of(
            comm,
            builder,
            operand,
            shape,
            (input, sends),
            (output, peers as u32),
        ));
    }
    check_buffer("receive buffer", recvbuf, own.1 as usize)?;
    let output = operand.receive_part(&mut builder, recvbuf, own.0, own.1);
    if operand.is_split() {
        let items = Items::new("receive buffer", recvbuf, len as i64, Argument::Plain(1))?;
        let first = own.0 as usize * operand.width;
        builder.unpack(&items, output.ptr.wrapping_add(first));
    }
    let sends = remote(comm)
        .map(|rank| (rank, 0, operand.bytes()))
        .collect();
    Ok(reduction(
        comm,
        builder,
        operand,
        (input, sends),
        (output, peers as u32),
    ))
}
