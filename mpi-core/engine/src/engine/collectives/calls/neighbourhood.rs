//! The collective calls between neighbours in a topology: as [`super::equal_blocks`] (MPI 5.0,
//! section 8.7).

use super::Waits;
use super::arguments::{check_buffer, check_own};
use super::builder::{Builder, Items};
use super::equal_blocks::{send, shape};
use super::vectors::{Checked, Contiguous, Vectors, blocks_of, stage_received, stage_sent};
use crate::collective::{Block, Call, Function, Place, Schedule, Shape, select};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::handle::{Comm, Datatype};
use crate::topology::Neighbours;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// Sources and destinations of this member: how many blocks it receives and sends.
    /// `MPI_ERR_TOPOLOGY` without a topology.
    pub fn degrees(&self, comm: Comm) -> Result<(usize, usize)> {
        let neighbours = neighbours(self.comm(comm)?)?;
        Ok((neighbours.sources.len(), neighbours.destinations.len()))
    }

    /// `MPI_Neighbor_allgather`: the same items for every neighbour.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_neighbor_allgather(
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
        let with = neighbours(c)?;
        let number = with.sources.len();
        let received = equal_blocks("receive buffer", recvbuf, recvcount, recvtype, number)?;
        allgather_from(c, waits, with, (sendbuf, sendcount, sendtype), received)
    }

    /// `MPI_Neighbor_allgatherv`
    pub fn plan_neighbor_allgatherv(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        received: Vectors<'_>,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        let received = received.check("receive buffer")?;
        allgather_from(
            c,
            waits,
            neighbours(c)?,
            (sendbuf, sendcount, sendtype),
            received,
        )
    }

    /// `MPI_Neighbor_alltoall`: counts are for one neighbour.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_neighbor_alltoall(
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
        let with = neighbours(c)?;
        let (from, into) = (sendbuf.cast_mut(), recvbuf);
        let (out, back) = (with.destinations.len(), with.sources.len());
        let sent = equal_blocks("send buffer", from, sendcount, sendtype, out)?;
        let received = equal_blocks("receive buffer", into, recvcount, recvtype, back)?;
        alltoall_with(c, waits, with, sent, received)
    }

    /// `MPI_Neighbor_alltoallv` and `MPI_Neighbor_alltoallw`
    pub fn plan_neighbor_alltoallv(
        &self,
        waits: Waits,
        sent: Vectors<'_>,
        received: Vectors<'_>,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        let sent = sent.check("send buffer")?;
        let received = received.check("receive buffer")?;
        alltoall_with(c, waits, neighbours(c)?, sent, received)
    }
}

fn neighbours(comm: &CommData) -> Result<Neighbours> {
    let topology = comm.topology().ok_or_else(|| {
        Error::new(
            ErrorClass::TOPOLOGY,
            "the communicator has no topology: make one with MPI_Cart_create, MPI_Graph_create or \
             MPI_Dist_graph_create",
        )
    })?;
    Ok(topology.neighbours(comm.rank()))
}

/// Blocks of `count` items, one after the other.
fn equal_blocks(
    name: &str,
    at: *mut u8,
    count: i64,
    dt: Datatype,
    number: usize,
) -> Result<Checked> {
    check_buffer(name, at, 0)?;
    let items = Argument::new(dt)?;
    items.bytes(count)?;
    let all = super::arguments::all_counts(count, number as i32)?;
    if number == 0 {
        return Ok(Checked::Items(Vec::new()));
    }
    let all = Items::new(name, at, all, items)?;
    let blocks = (0..number as i64).map(|at| all.part(at * count, count));
    Ok(Checked::Items(blocks.collect()))
}

fn allgather_from(
    comm: &CommData,
    waits: Waits,
    with: Neighbours,
    (sendbuf, sendcount, sendtype): (*const u8, i64, Datatype),
    received: Checked,
) -> Result<Call> {
    let mut builder = Builder::new(Function::NeighborAllgather);
    let input = send(&mut builder, sendbuf, sendcount, sendtype)?;
    let into = stage_received(&mut builder, received, None);
    let from = Contiguous {
        buffer: ferrite_fabric::RawBufMut::EMPTY,
        blocks: vec![(0, input.len); with.destinations.len()],
    };
    let schedule = between(shape(comm, waits, 0, 0), &with, &from, &into)?;
    Ok(builder.call(schedule, input, into.buffer, None))
}

fn alltoall_with(
    comm: &CommData,
    waits: Waits,
    with: Neighbours,
    sent: Checked,
    received: Checked,
) -> Result<Call> {
    let mut builder = Builder::new(Function::NeighborAlltoall);
    let from = stage_sent(&mut builder, sent);
    let into = stage_received(&mut builder, received, None);
    let schedule = between(shape(comm, waits, 0, 0), &with, &from, &into)?;
    Ok(builder.call(schedule, from.buffer.as_buf(), into.buffer, None))
}

fn between(
    shape: Shape,
    with: &Neighbours,
    from: &Contiguous,
    into: &Contiguous,
) -> Result<Schedule> {
    let sends = blocks_of(with.destinations.iter().copied(), from, Place::input);
    let receives = if with.paired {
        // What goes down a dimension arrives from above: where both neighbours are one member, its
        // first block is for the second place.
        let mut peers = with.sources.clone();
        let mut swapped = Contiguous {
            buffer: into.buffer,
            blocks: into.blocks.clone(),
        };
        peers.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        swapped
            .blocks
            .chunks_exact_mut(2)
            .for_each(|pair| pair.swap(0, 1));
        blocks_of(peers, &swapped, Place::output)
    } else {
        blocks_of(with.sources.iter().copied(), into, Place::output)
    };
    // What a member sends to itself, edge by edge.
    let own = |blocks: &[Block]| -> Vec<usize> {
        let own = blocks.iter().filter(|block| block.peer == shape.rank);
        own.map(|block| block.bytes).collect()
    };
    let (sent, received) = (own(&sends), own(&receives));
    for at in 0..sent.len().max(received.len()) {
        let bytes = |own: &[usize]| own.get(at).copied().unwrap_or(0);
        check_own(bytes(&sent), bytes(&received))?;
    }
    Ok(select::direct_exchange(shape, sends, receives))
}
