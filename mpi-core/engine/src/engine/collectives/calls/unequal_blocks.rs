//! The collective calls with blocks of any length, and of any type: as [`super::equal_blocks`].

use ferrite_fabric::{RawBuf, RawBufMut};

use super::Waits;
use super::arguments::{check_buffer, check_own, check_root};
use super::between_groups;
use super::builder::Builder;
use super::equal_blocks::{receive, send, shape};
use super::vectors::{
    Checked, Vectors, blocks_of, stage_copies, stage_packed, stage_received, stage_sent,
};
use crate::Result;
use crate::collective::{
    Block, Call, Collective, Function, IN_PLACE, Place, Schedule, Shape, Thresholds, select,
};
use crate::engine::Engine;
use crate::handle::{Comm, Datatype};

/// Chooses how these blocks {to send, to receive} go: see [`select::unequal_blocks`].
fn choose_unequal(
    (builder, limits): (&mut Builder, &Thresholds),
    collective: Collective,
    shape: Shape,
    longest: Option<usize>,
    blocks: (Vec<Block>, Vec<Block>),
) -> Schedule {
    let (over_board, schedule) = select::unequal_blocks(collective, shape, longest, blocks, limits);
    builder.unequal = over_board.map(Box::new);
    schedule
}

impl Engine {
    /// `MPI_Gatherv`: the receive arguments count at the root only, where `sendbuf` may be
    /// [`IN_PLACE`].
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub fn plan_gatherv(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        received: Vectors<'_>,
        root: i32,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::gatherv(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                received,
                root,
            );
        }
        let root = check_root(c, root)?;
        let mut builder = Builder::new(Function::Gatherv);
        let shape = shape(c, waits, root, 0);
        let own = root as usize;
        if shape.rank != root {
            let input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            let sends = to_root(root, input.len, Place::input(0));
            let blocks = (sends, Vec::new());
            let schedule = choose_unequal(
                (&mut builder, self.limits()),
                Collective::Gather,
                shape,
                None,
                blocks,
            );
            return Ok(builder.call(schedule, input, RawBufMut::EMPTY, None));
        }
        let mut received = received.check("receive buffer")?;
        let in_place = sendbuf == IN_PLACE;
        let mut sends = Vec::new();
        let mut input = RawBuf::EMPTY;
        if in_place {
            // Stays where it is.
            received.leave(own);
        } else {
            input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            check_own(input.len, received.bytes(own))?;
            sends = to_root(root, input.len, Place::input(0));
        }
        let contiguous = stage_received(&mut builder, received, None);
        contiguous.check_apart(input)?;
        let receives = blocks_of(0..c.size(), &contiguous, Place::output);
        let blocks = (sends, receives);
        let schedule = choose_unequal(
            (&mut builder, self.limits()),
            Collective::Gather,
            shape,
            None,
            blocks,
        );
        Ok(builder.call(schedule, input, contiguous.buffer, None))
    }

    /// `MPI_Scatterv`: the send arguments count at the root only, where `recvbuf` may be
    /// [`IN_PLACE`].
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub fn plan_scatterv(
        &self,
        waits: Waits,
        sent: Vectors<'_>,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        root: i32,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::scatterv(c, sent, (recvbuf, recvcount, recvtype), root);
        }
        let root = check_root(c, root)?;
        let mut builder = Builder::new(Function::Scatterv);
        let shape = shape(c, waits, root, 0);
        let own = root as usize;
        if shape.rank != root {
            let output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
            let receives = to_root(root, output.len, Place::output(0));
            let blocks = (Vec::new(), receives);
            let schedule = choose_unequal(
                (&mut builder, self.limits()),
                Collective::Scatter,
                shape,
                None,
                blocks,
            );
            return Ok(builder.call(schedule, RawBuf::EMPTY, output, None));
        }
        let mut sent = sent.check("send buffer")?;
        let mut receives = Vec::new();
        let mut output = RawBufMut::EMPTY;
        if recvbuf.cast_const() == IN_PLACE {
            // Stays where it is.
            sent.leave(own);
        } else {
            output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
            check_own(sent.bytes(own), output.len)?;
            receives = to_root(root, output.len, Place::output(0));
        }
        let contiguous = stage_sent(&mut builder, sent);
        contiguous.check_apart(output.as_buf())?;
        let blocks = (blocks_of(0..c.size(), &contiguous, Place::input), receives);
        let schedule = choose_unequal(
            (&mut builder, self.limits()),
            Collective::Scatter,
            shape,
            None,
            blocks,
        );
        Ok(builder.call(schedule, contiguous.buffer.as_buf(), output, None))
    }

    /// `MPI_Allgatherv`: `sendbuf` may be [`IN_PLACE`], on all ranks.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub fn plan_allgatherv(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        received: Vectors<'_>,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::allgatherv(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                received,
            );
        }
        let mut builder = Builder::new(Function::Allgatherv);
        let own = c.rank() as usize;
        let received = received.check("receive buffer")?;
        let in_place = sendbuf == IN_PLACE;
        let bytes = received.bytes(own);
        // All see the same lengths, but only for themselves where the blocks lie.
        let is_equal = received.lengths().all(|length| length == bytes);
        let kept = in_place.then_some(own);
        let mut contiguous = stage_received(&mut builder, received, kept);
        let places = contiguous.blocks.iter().enumerate();
        let mut places = places.map(|(rank, (offset, _))| (rank * bytes, *offset));
        if is_equal && places.any(|(expected, offset)| expected != offset) {
            contiguous = stage_packed(&mut builder, Checked::Contiguous(contiguous), kept);
        }
        let input = if in_place {
            contiguous.buffer.as_buf()
        } else {
            let input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            check_own(input.len, bytes)?;
            contiguous.check_apart(input)?;
            input
        };
        let shape = Shape {
            in_place,
            ..shape(c, waits, 0, if is_equal { bytes } else { 0 })
        };
        if is_equal {
            let schedule = self.choose(Collective::Allgather, (c, waits), shape);
            return Ok(builder.call(schedule, input, contiguous.buffer, None));
        }
        let total: usize = contiguous.blocks.iter().map(|(_, bytes)| bytes).sum();
        let is_direct = select::is_direct_allgatherv(shape.size, total);
        let schedule = if is_direct || shape.board.is_some() {
            let (offset, bytes) = contiguous.blocks[own];
            let place = match in_place {
                true => Place::output(offset),
                false => Place::input(0),
            };
            let peers = (0..shape.size).filter(|_| bytes > 0);
            let sends = peers.map(|peer| Block { peer, place, bytes }).collect();
            let receives = blocks_of(0..c.size(), &contiguous, Place::output);
            let longest = contiguous.blocks.iter().map(|(_, bytes)| *bytes).max();
            let blocks = (sends, receives);
            choose_unequal(
                (&mut builder, self.limits()),
                Collective::Allgather,
                shape,
                longest,
                blocks,
            )
        } else {
            select::allgatherv_ring(shape, contiguous.blocks.into())
        };
        Ok(builder.call(schedule, input, contiguous.buffer, None))
    }

    /// `MPI_Alltoallv` and `MPI_Alltoallw`; `sent` is `None` for [`IN_PLACE`].
    pub fn plan_alltoallv(
        &self,
        waits: Waits,
        sent: Option<Vectors<'_>>,
        received: Vectors<'_>,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            let Some(sent) = sent else {
                return Err(check_buffer("send buffer", IN_PLACE, 0).unwrap_err());
            };
            return between_groups::alltoallv(c, sent, received);
        }
        let own = c.rank() as usize;
        let received = received.check("receive buffer")?;
        let mut builder = Builder::new(Function::Alltoallv);
        let (from, into) = match sent {
            Some(sent) => {
                let sent = sent.check("send buffer")?;
                check_own(sent.bytes(own), received.bytes(own))?;
                let from = stage_sent(&mut builder, sent);
                let into = stage_received(&mut builder, received, None);
                // What a rank sends to all may lie between what it receives: seen to is what it has
                // for itself.
                into.check_apart(from.block(own))?;
                (from, into)
            }
            None => {
                let from = stage_copies(&mut builder, received.clone());
                (from, stage_received(&mut builder, received, None))
            }
        };
        let peers = 0..c.size();
        let sends = blocks_of(peers.clone(), &from, Place::input);
        let receives = blocks_of(peers, &into, Place::output);
        let (shape, blocks) = (shape(c, waits, 0, 0), (sends, receives));
        let schedule = choose_unequal(
            (&mut builder, self.limits()),
            Collective::Alltoall,
            shape,
            None,
            blocks,
        );
        Ok(builder.call(schedule, from.buffer.as_buf(), into.buffer, None))
    }
}

/// The only message of a rank that is not the root.
fn to_root(root: u32, bytes: usize, place: Place) -> Vec<Block> {
    let block = Block {
        peer: root,
        place,
        bytes,
    };
    (bytes > 0).then_some(block).into_iter().collect()
}
