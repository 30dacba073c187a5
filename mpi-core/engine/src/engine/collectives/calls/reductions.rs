//! The reductions: from the arguments of MPI to a [`Call`] (MPI 5.0, sections 6.9 to 6.11), as
//! [`super::equal_blocks`]. Operands of predefined types travel with their gaps, and of derived
//! ones a whole vector is one element.

use std::sync::Arc;

use ferrite_fabric::{RawBuf, RawBufMut};

use super::Waits;
use super::arguments::{all_counts, check_buffer, check_overlap, check_root};
use super::between_groups;
use super::builder::{Builder, Items};
use super::equal_blocks::shape;
use super::operand::Operand;
use crate::collective::{Call, Collective, Function, IN_PLACE, Parts, Shape, select};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::engine::communicators::{CommData, check_intra};
use crate::handle::{Comm, Datatype, Op};
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// `MPI_Reduce`: `recvbuf` counts at the root only, where `sendbuf` may be [`IN_PLACE`].
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_reduce(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        count: i64,
        dt: Datatype,
        op: Op,
        root: i32,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            let operand = || Operand::new(count, dt, op);
            return between_groups::reduce(c, (sendbuf, recvbuf), operand, root);
        }
        let root = check_root(c, root)?;
        let operand = Operand::new(count, dt, op)?;
        let mut builder = Builder::new(Function::Reduce);
        let buffers = if c.rank() as u32 == root {
            operands(&mut builder, &operand, sendbuf, recvbuf)?
        } else {
            check_buffer("send buffer", sendbuf, operand.bytes())?;
            (operand.send(&mut builder, sendbuf), RawBufMut::EMPTY, false)
        };
        Ok(self.reduction(
            builder,
            (c, waits, root),
            &operand,
            buffers,
            Collective::Reduce,
        ))
    }

    /// A reduction of whole vectors with these buffers {input, output, whether they are one}, by
    /// nodes or flat.
    #[inline(always)]
    fn reduction(
        &self,
        builder: Builder,
        (comm, waits, root): (&CommData, Waits, u32),
        operand: &Operand,
        (input, output, in_place): (RawBuf, RawBufMut, bool),
        collective: Collective,
    ) -> Call {
        let shape = Shape {
            in_place,
            ..operand.shape(shape(comm, waits, root, 0))
        };
        let schedule = self.choose(collective, (comm, operand.waits(waits)), shape);
        builder.call(schedule, input, output, Some(operand.reduction))
    }

    /// `MPI_Allreduce`: `sendbuf` may be [`IN_PLACE`], on all ranks.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_allreduce(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        count: i64,
        dt: Datatype,
        op: Op,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        let operand = Operand::new(count, dt, op)?;
        if c.is_inter() {
            return between_groups::allreduce(c, (sendbuf, recvbuf), &operand);
        }
        let mut builder = Builder::new(Function::Allreduce);
        let buffers = operands(&mut builder, &operand, sendbuf, recvbuf)?;
        Ok(self.reduction(
            builder,
            (c, waits, 0),
            &operand,
            buffers,
            Collective::Allreduce,
        ))
    }

    /// `MPI_Scan`: `sendbuf` may be [`IN_PLACE`].
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_scan(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        count: i64,
        dt: Datatype,
        op: Op,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        check_intra(c)?;
        let operand = Operand::new(count, dt, op)?;
        let mut builder = Builder::new(Function::Scan);
        let buffers = operands(&mut builder, &operand, sendbuf, recvbuf)?;
        Ok(self.reduction(builder, (c, waits, 0), &operand, buffers, Collective::Scan))
    }

    /// `MPI_Exscan`: `sendbuf` may be [`IN_PLACE`]. Rank 0's `recvbuf` stays as it is.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_exscan(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        count: i64,
        dt: Datatype,
        op: Op,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        check_intra(c)?;
        let operand = Operand::new(count, dt, op)?;
        let mut builder = Builder::new(Function::Exscan);
        let buffers = if c.rank() > 0 {
            operands(&mut builder, &operand, sendbuf, recvbuf)?
        } else if sendbuf == IN_PLACE {
            check_buffer("receive buffer", recvbuf, operand.bytes())?;
            (operand.send(&mut builder, recvbuf), RawBufMut::EMPTY, false)
        } else {
            let len = operand.bytes();
            check_buffer("send buffer", sendbuf, len)?;
            // As on all other ranks, where the receive buffer matters.
            if core::ptr::eq(sendbuf, recvbuf) {
                let (from, into) = (sendbuf, recvbuf);
                check_overlap(RawBuf { ptr: from, len }, RawBufMut { ptr: into, len }, 0)?;
            }
            (operand.send(&mut builder, sendbuf), RawBufMut::EMPTY, false)
        };
        Ok(self.reduction(
            builder,
            (c, waits, 0),
            &operand,
            buffers,
            Collective::Exscan,
        ))
    }

    /// `MPI_Reduce_scatter_block`: `recvcount` is for one rank. `sendbuf` may be [`IN_PLACE`], on
    /// all ranks; then the operand is at `recvbuf`.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub(crate) fn plan_reduce_scatter_block(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        recvcount: i64,
        dt: Datatype,
        op: Op,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        let all = all_counts(recvcount, c.size())?;
        let operand = Operand::new(all, dt, op)?;
        let own = (i64::from(c.rank()) * recvcount, recvcount);
        let buffers = (sendbuf, recvbuf);
        self.reduce_scatter_of(waits, buffers, operand, own, Parts::Equal, comm)
    }

    /// The operand is all blocks together, `own` the first item and the number of items of this
    /// rank's.
    pub(super) fn reduce_scatter_of(
        &self,
        waits: Waits,
        (sendbuf, recvbuf): (*const u8, *mut u8),
        operand: Operand,
        own: (i64, i64),
        parts: Parts,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        if c.is_inter() {
            return between_groups::reduce_scatter(c, (sendbuf, recvbuf), &operand, own, &parts);
        }
        let mut builder = Builder::new(Function::ReduceScatter);
        let in_place = sendbuf == IN_PLACE;
        let from = if in_place {
            recvbuf.cast_const()
        } else {
            sendbuf
        };
        check_buffer("send buffer", from, operand.bytes())?;
        let reduction = Some(operand.reduction);
        if !operand.is_split() {
            // The elements of the schedule are whole vectors: everybody reduces all, and keeps its
            // block.
            check_buffer("receive buffer", recvbuf, own.1 as usize)?;
            let input = operand.send(&mut builder, from);
            let output = operand.receive_part(&mut builder, recvbuf, own.0, own.1);
            let shape = operand.shape(shape(c, waits, 0, 0));
            let schedule = select::flat(Collective::Allreduce, shape, self.limits());
            return Ok(builder.call(schedule, input, output, reduction));
        }
        let len = own.1 as usize * operand.width;
        check_buffer("receive buffer", recvbuf, len)?;
        let output = RawBufMut { ptr: recvbuf, len };
        let input = if in_place {
            let at = recvbuf;
            let bytes = operand.bytes();
            let items = Items::new("receive buffer", at, bytes as i64, Argument::Plain(1))?;
            builder.copy_of(&items).as_buf()
        } else {
            let input = operand.send(&mut builder, sendbuf);
            check_overlap(input, output, 0)?;
            input
        };
        let count = match parts {
            Parts::Equal => own.1 as usize,
            Parts::Unequal(_) => operand.count,
        };
        let shape = Shape {
            count,
            ..operand.shape(shape(c, waits, 0, 0))
        };
        let schedule = select::reduce_scatter(shape, parts, self.limits());
        Ok(builder.call(schedule, input, output, reduction))
    }

    /// `MPI_Reduce_scatter`: `recvcounts` has a count for each rank. `sendbuf` may be [`IN_PLACE`],
    /// on all ranks; then the operand is at `recvbuf`.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub fn plan_reduce_scatter(
        &self,
        waits: Waits,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        recvcounts: &[i64],
        dt: Datatype,
        op: Op,
        comm: Comm,
    ) -> Result<Call> {
        let c = self.comm(comm)?;
        let mut starts = vec![0usize];
        let mut all = 0i64;
        for (rank, count) in recvcounts.iter().enumerate() {
            let sum = (*count >= 0).then(|| all.checked_add(*count)).flatten();
            all = sum.ok_or_else(|| {
                Error::new(
                    ErrorClass::COUNT,
                    format!("the receive count {count} of rank {rank} is negative or too large"),
                )
            })?;
            starts.push(all as usize);
        }
        let operand = Operand::new(all, dt, op)?;
        let own = c.rank() as usize;
        let own = (starts[own] as i64, recvcounts[own]);
        // The other group of an intercommunicator does not see whether these are equal.
        let equal = !c.is_inter() && recvcounts.iter().all(|count| *count == own.1);
        let parts = match equal {
            true => Parts::Equal,
            false => Parts::Unequal(Arc::from(starts)),
        };
        self.reduce_scatter_of(waits, (sendbuf, recvbuf), operand, own, parts, comm)
    }
}

/// The buffers of a rank that gives an operand and gets a result, and whether the one lies in the
/// place of the other.
fn operands(
    builder: &mut Builder,
    operand: &Operand,
    sendbuf: *const u8,
    recvbuf: *mut u8,
) -> Result<(RawBuf, RawBufMut, bool)> {
    let len = operand.bytes();
    check_buffer("receive buffer", recvbuf, len)?;
    let in_place = sendbuf == IN_PLACE;
    let output = operand.receive(builder, recvbuf, in_place);
    if in_place {
        return Ok((output.as_buf(), output, true));
    }
    check_buffer("send buffer", sendbuf, len)?;
    let input = operand.send(builder, sendbuf);
    check_overlap(input, output, 0)?;
    Ok((input, output, false))
}

/// Checks the buffers of `MPI_Reduce_local`. Returns the number of items.
pub fn check_reduce_local(
    input: *const u8,
    inout: *mut u8,
    count: i64,
    dt: Datatype,
) -> Result<usize> {
    let len = Argument::new(dt)?.bytes(count)?;
    check_buffer("input buffer", input, len)?;
    check_buffer("input and output buffer", inout, len)?;
    let (from, into) = (RawBuf { ptr: input, len }, RawBufMut { ptr: inout, len });
    check_overlap(from, into, 0)?;
    Ok(count as usize)
}
