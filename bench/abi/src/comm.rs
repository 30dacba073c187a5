//! Communicators: blocking transfers and collectives.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;

use crate::buffer::Payload;
use crate::error::{Result, check};
use crate::raw;
use crate::world::World;

/// A communicator. Freed when dropped, unless it is the world's.
pub struct Comm<'world> {
    handle: raw::Comm,
    world: PhantomData<&'world World>,
}

impl<'world> Comm<'world> {
    /// The job's communicator, for as long as the world lives.
    pub(crate) fn world() -> Self {
        Self {
            handle: raw::COMM_WORLD,
            world: PhantomData,
        }
    }

    pub(crate) fn handle(&self) -> raw::Comm {
        self.handle
    }

    /// This process's rank.
    pub fn rank(&self) -> Result<i32> {
        let mut rank = 0;
        // SAFETY: the communicator is live, see the type; `rank` outlives the call.
        check("MPI_Comm_rank", unsafe {
            raw::MPI_Comm_rank(self.handle, &mut rank)
        })?;
        Ok(rank)
    }

    /// The number of processes.
    pub fn size(&self) -> Result<i32> {
        let mut size = 0;
        // SAFETY: the communicator is live, see the type; `size` outlives the call.
        check("MPI_Comm_size", unsafe {
            raw::MPI_Comm_size(self.handle, &mut size)
        })?;
        Ok(size)
    }

    /// A communicator of the processes that pass the same `color`, in the order of their ranks
    /// here.
    pub fn split(&self, color: i32) -> Result<Comm<'world>> {
        let mut handle = raw::COMM_NULL;
        // SAFETY: the communicator is live, see the type; `handle` outlives the call.
        let code = unsafe { raw::MPI_Comm_split(self.handle, color, 0, &mut handle) };
        check("MPI_Comm_split", code)?;
        Ok(Comm {
            handle,
            world: PhantomData,
        })
    }

    /// Waits until all processes have come here.
    #[inline]
    pub fn barrier(&self) -> Result<()> {
        // SAFETY: the communicator is live, see the type.
        check("MPI_Barrier", unsafe { raw::MPI_Barrier(self.handle) })
    }

    /// Sends `payload` to `dest` and waits until its buffer may be changed.
    #[inline]
    pub fn send(&self, payload: Payload<'_>, dest: i32, tag: i32) -> Result<()> {
        // SAFETY: the payload lies in a live buffer, and the call is over when it returns.
        let code = unsafe {
            let (start, count, datatype) = (payload.start(), payload.count(), payload.datatype());
            raw::MPI_Send(start, count, datatype, dest, tag, self.handle)
        };
        check("MPI_Send", code)
    }

    /// Receives a message from `source` into `payload`.
    #[inline]
    pub fn recv(&self, payload: Payload<'_>, source: i32, tag: i32) -> Result<()> {
        // SAFETY: the payload lies in a live buffer that nobody reads while it is borrowed by a
        // payload, and the call is over when it returns.
        let code = unsafe {
            let (start, count, datatype) = (payload.start(), payload.count(), payload.datatype());
            raw::MPI_Recv(
                start,
                count,
                datatype,
                source,
                tag,
                self.handle,
                raw::STATUS_IGNORE,
            )
        };
        check("MPI_Recv", code)
    }

    /// Sends one number.
    pub fn send_value<T: Scalar>(&self, value: T, dest: i32, tag: i32) -> Result<()> {
        let start: *const T = &value;
        // SAFETY: `value` is one element of its type and outlives the call.
        let code = unsafe { raw::MPI_Send(start.cast(), 1, T::DATATYPE.0, dest, tag, self.handle) };
        check("MPI_Send", code)
    }

    /// Receives one number.
    pub fn recv_value<T: Scalar>(&self, source: i32, tag: i32) -> Result<T> {
        let mut value = T::default();
        // SAFETY: `value` is one element of its type and outlives the call.
        let code = unsafe {
            let (start, status) = (operand(&mut value), raw::STATUS_IGNORE);
            raw::MPI_Recv(start, 1, T::DATATYPE.0, source, tag, self.handle, status)
        };
        check("MPI_Recv", code)?;
        Ok(value)
    }

    /// The value of rank `root`, for all.
    pub fn bcast<T: Scalar>(&self, mut value: T, root: i32) -> Result<T> {
        // SAFETY: `value` is one element of its type and outlives the call.
        let code =
            unsafe { raw::MPI_Bcast(operand(&mut value), 1, T::DATATYPE.0, root, self.handle) };
        check("MPI_Bcast", code)?;
        Ok(value)
    }

    /// The reduction of all values at rank `root`; the default value elsewhere.
    pub fn reduce<T: Scalar>(&self, value: T, op: Op, root: i32) -> Result<T> {
        let start: *const T = &value;
        let mut result = T::default();
        // SAFETY: both operands are one element of their type and outlive the call.
        let code = unsafe {
            let (result, datatype) = (operand(&mut result), T::DATATYPE.0);
            raw::MPI_Reduce(
                start.cast(),
                result,
                1,
                datatype,
                op.handle(),
                root,
                self.handle,
            )
        };
        check("MPI_Reduce", code)?;
        Ok(result)
    }
}

/// Collectives on buffers. Payloads of one call lie in different buffers.
impl Comm<'_> {
    /// Rank `root`'s payload for all.
    #[inline]
    pub fn bcast_payload(&self, payload: Payload<'_>, root: i32) -> Result<()> {
        // SAFETY: the payload lies in a live buffer that nobody reads while it is borrowed by a
        // payload, and the call is over when it returns.
        let code = unsafe {
            let (start, count, datatype) = (payload.start(), payload.count(), payload.datatype());
            raw::MPI_Bcast(start, count, datatype, root, self.handle)
        };
        check("MPI_Bcast", code)
    }

    /// The reduction of everybody's `send` in rank `root`'s `recv`.
    ///
    /// # Panics
    /// When the payloads differ in length.
    #[inline]
    pub fn reduce_payload(
        &self,
        send: Payload<'_>,
        recv: Payload<'_>,
        op: Op,
        root: i32,
    ) -> Result<()> {
        assert_eq!(send.count(), recv.count(), "operand and result are alike");
        // SAFETY: as for `bcast_payload`; the payloads are equally long.
        let code = unsafe {
            let (from, into, datatype) = (send.start(), recv.start(), send.datatype());
            raw::MPI_Reduce(
                from,
                into,
                send.count(),
                datatype,
                op.handle(),
                root,
                self.handle,
            )
        };
        check("MPI_Reduce", code)
    }

    /// The reduction of everybody's `send` in everybody's `recv`.
    ///
    /// # Panics
    /// When the payloads differ in length.
    #[inline]
    pub fn allreduce_payload(&self, send: Payload<'_>, recv: Payload<'_>, op: Op) -> Result<()> {
        assert_eq!(send.count(), recv.count(), "operand and result are alike");
        // SAFETY: as for `bcast_payload`; the payloads are equally long.
        let code = unsafe {
            let (from, into, datatype) = (send.start(), recv.start(), send.datatype());
            raw::MPI_Allreduce(from, into, send.count(), datatype, op.handle(), self.handle)
        };
        check("MPI_Allreduce", code)
    }

    /// Everybody's `send` in everybody's `recv`, which has room for a block from each of
    /// `processes`, the communicator's size.
    ///
    /// # Panics
    /// When it has not.
    #[inline]
    pub fn allgather_payload(
        &self,
        send: Payload<'_>,
        recv: Payload<'_>,
        processes: i32,
    ) -> Result<()> {
        let block = send.count();
        assert_eq!(block * processes, recv.count(), "a block from each process");
        // SAFETY: as for `bcast_payload`; `recv` holds a block from each process.
        let code = unsafe {
            let (from, into, datatype) = (send.start(), recv.start(), send.datatype());
            raw::MPI_Allgather(from, block, datatype, into, block, datatype, self.handle)
        };
        check("MPI_Allgather", code)
    }

    /// Block `i` of everybody's `send` in `recv` of rank `i`; both have a block for each of
    /// `processes`, the communicator's size.
    ///
    /// # Panics
    /// When they have not.
    #[inline]
    pub fn alltoall_payload(
        &self,
        send: Payload<'_>,
        recv: Payload<'_>,
        processes: i32,
    ) -> Result<()> {
        let block = send.count() / processes;
        assert!(
            block * processes == send.count() && send.count() == recv.count(),
            "a block for each process"
        );
        // SAFETY: as for `bcast_payload`; both hold a block for each process.
        let code = unsafe {
            let (from, into, datatype) = (send.start(), recv.start(), send.datatype());
            raw::MPI_Alltoall(from, block, datatype, into, block, datatype, self.handle)
        };
        check("MPI_Alltoall", code)
    }
}

impl Drop for Comm<'_> {
    fn drop(&mut self) {
        if self.handle == raw::COMM_WORLD || self.handle == raw::COMM_NULL {
            return;
        }
        // SAFETY: the handle came from MPI_Comm_split, is freed once, and the world still lives. A
        // failure goes to the communicator's error handler.
        unsafe { raw::MPI_Comm_free(&mut self.handle) };
    }
}

fn operand<T>(value: &mut T) -> *mut c_void {
    let start: *mut T = value;
    start.cast()
}

/// A reduction's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `MPI_SUM`
    Sum,
    /// `MPI_MIN`
    Min,
    /// `MPI_MAX`
    Max,
}

impl Op {
    pub(crate) fn handle(self) -> raw::Op {
        match self {
            Self::Sum => raw::SUM,
            Self::Min => raw::MIN,
            Self::Max => raw::MAX,
        }
    }
}

/// A datatype's handle that only this crate can name.
pub struct ScalarType(raw::Datatype);

mod sealed {
    pub trait Sealed {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
}

/// A number that the collectives take: `i32`, `i64`, `f64`.
pub trait Scalar: Copy + Default + sealed::Sealed {
    /// Its datatype.
    const DATATYPE: ScalarType;
}

impl Scalar for i32 {
    const DATATYPE: ScalarType = ScalarType(raw::INT);
}

impl Scalar for i64 {
    const DATATYPE: ScalarType = ScalarType(raw::INT64);
}

impl Scalar for f64 {
    const DATATYPE: ScalarType = ScalarType(raw::DOUBLE);
}

const _: () = assert!(size_of::<c_int>() == size_of::<i32>());
