//! The blocking collective calls: argument checks, then a schedule that runs to its end (MPI 5.0, sections 6.3 to 6.9).
//!
//! What can be found wrong without asking another rank is found before anything is sent. Items of types with gaps travel
//! with their gaps: all ranks of a collective call use types of one signature.

use core::ptr;

use ferrite_fabric::{RawBuf, RawBufMut};

use super::select;
use super::{Schedule, Shape, Thresholds};
use crate::engine::{CommData, Engine};
use crate::handle::{Comm, Datatype, Op};
use crate::op::{self, Reduction};
use crate::{Error, ErrorClass, Result, datatype};

/// `MPI_IN_PLACE`: given instead of a send buffer, says that the data are in the receive buffer already.
pub const IN_PLACE: *const u8 = ptr::without_provenance(1);

impl Engine {
    /// `MPI_Barrier`: returns when all members have called it.
    pub fn barrier(&self, comm: Comm) -> Result<()> {
        let items = Items { count: 0, width: 1 };
        let schedule = select::barrier(items.shape(self.comm(comm)?, 0));
        // SAFETY: a barrier has no buffers.
        unsafe { self.run_collective(comm, &schedule, (RawBuf::EMPTY, RawBufMut::EMPTY), None) }
    }

    /// `MPI_Bcast`: the root's items for all.
    ///
    /// # Safety
    /// `buf` is readable at the root, writable elsewhere, for `count` items of `dt`.
    pub unsafe fn bcast(
        &self,
        buf: *mut u8,
        count: i64,
        dt: Datatype,
        root: i32,
        comm: Comm,
    ) -> Result<()> {
        let c = self.comm(comm)?;
        let root = check_root(c, root)?;
        let items = Items::new("", count, dt)?;
        check_buffer("buffer", buf, items.bytes(), No::InPlace)?;
        let schedule = select::bcast(items.shape(c, root), &Thresholds::DEFAULT);
        let output = RawBufMut {
            ptr: buf,
            len: items.bytes(),
        };
        // SAFETY: the caller's promise; nothing writes at the root.
        unsafe { self.run_collective(comm, &schedule, (RawBuf::EMPTY, output), None) }
    }

    /// `MPI_Reduce`: all members' items, combined item by item, for the root. `recvbuf` counts at the root only, where
    /// `sendbuf` may be [`IN_PLACE`].
    ///
    /// # Safety
    /// `sendbuf` is readable, and at the root `recvbuf` writable, for `count` items of `dt`.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn reduce(
        &self,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        count: i64,
        dt: Datatype,
        op: Op,
        root: i32,
        comm: Comm,
    ) -> Result<()> {
        let c = self.comm(comm)?;
        let root = check_root(c, root)?;
        let items = Items::new("", count, dt)?;
        let reduction = Reduction::new(op, dt)?;
        let at_root = c.rank() as u32 == root;
        let len = items.bytes();
        let buffers = if at_root {
            check_both((sendbuf, len), (recvbuf, len), 0)?
        } else {
            check_buffer("send buffer", sendbuf, len, No::InPlaceBelowRoot)?;
            Both::send_only(sendbuf, len)
        };
        let shape = Shape {
            commutative: op::is_commutative(op)?,
            in_place: buffers.in_place,
            ..items.shape(c, root)
        };
        let schedule = select::reduce(shape, &Thresholds::DEFAULT);
        // SAFETY: the caller's promise; overlap was refused.
        unsafe { self.run_collective(comm, &schedule, buffers.operands(), Some(reduction)) }
    }

    /// `MPI_Allreduce`: all members' items, combined item by item, for all. `sendbuf` may be [`IN_PLACE`], on all ranks.
    ///
    /// # Safety
    /// `sendbuf` is readable and `recvbuf` writable for `count` items of `dt`.
    pub unsafe fn allreduce(
        &self,
        sendbuf: *const u8,
        recvbuf: *mut u8,
        count: i64,
        dt: Datatype,
        op: Op,
        comm: Comm,
    ) -> Result<()> {
        let c = self.comm(comm)?;
        let items = Items::new("", count, dt)?;
        let reduction = Reduction::new(op, dt)?;
        let buffers = check_both((sendbuf, items.bytes()), (recvbuf, items.bytes()), 0)?;
        let shape = Shape {
            commutative: op::is_commutative(op)?,
            in_place: buffers.in_place,
            ..items.shape(c, 0)
        };
        let schedule = select::allreduce(shape, &Thresholds::DEFAULT);
        // SAFETY: the caller's promise; overlap was refused.
        unsafe { self.run_collective(comm, &schedule, buffers.operands(), Some(reduction)) }
    }

    /// `MPI_Gather`: every member's items for the root, in the order of rank. The receive arguments, of which `recvcount` is
    /// for one rank, count at the root only, where `sendbuf` may be [`IN_PLACE`].
    ///
    /// # Safety
    /// `sendbuf` is readable for `sendcount` items of `sendtype`, and at the root `recvbuf` writable for `recvcount` items
    /// of `recvtype` from each rank.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn gather(
        &self,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        root: i32,
        comm: Comm,
    ) -> Result<()> {
        let c = self.comm(comm)?;
        let root = check_root(c, root)?;
        if c.rank() as u32 != root {
            let items = Items::new("send ", sendcount, sendtype)?;
            check_buffer("send buffer", sendbuf, items.bytes(), No::InPlaceBelowRoot)?;
            let schedule = select::gather(items.shape(c, root), &Thresholds::DEFAULT);
            let buffers = Both::send_only(sendbuf, items.bytes());
            // SAFETY: the caller's promise.
            return unsafe { self.run_collective(comm, &schedule, buffers.operands(), None) };
        }
        let (sent, received) = (
            (sendbuf, sendcount, sendtype),
            (recvbuf, recvcount, recvtype),
        );
        let (items, buffers) = check_blocks(c, sent, received)?;
        let shape = Shape {
            in_place: buffers.in_place,
            ..items.shape(c, root)
        };
        let schedule = select::gather(shape, &Thresholds::DEFAULT);
        // SAFETY: the caller's promise; overlap was refused.
        unsafe { self.run_collective(comm, &schedule, buffers.operands(), None) }
    }

    /// `MPI_Allgather`: every member's items for all, in the order of rank; `recvcount` is for one rank. `sendbuf` may be
    /// [`IN_PLACE`], on all ranks.
    ///
    /// # Safety
    /// `sendbuf` is readable for `sendcount` items of `sendtype`, and `recvbuf` writable for `recvcount` items of
    /// `recvtype` from each rank.
    #[allow(clippy::too_many_arguments)] // MPI's own list.
    pub unsafe fn allgather(
        &self,
        sendbuf: *const u8,
        sendcount: i64,
        sendtype: Datatype,
        recvbuf: *mut u8,
        recvcount: i64,
        recvtype: Datatype,
        comm: Comm,
    ) -> Result<()> {
        let c = self.comm(comm)?;
        let (sent, received) = (
            (sendbuf, sendcount, sendtype),
            (recvbuf, recvcount, recvtype),
        );
        let (items, buffers) = check_blocks(c, sent, received)?;
        let shape = Shape {
            in_place: buffers.in_place,
            ..items.shape(c, 0)
        };
        let schedule: Schedule = select::allgather(shape, &Thresholds::DEFAULT);
        // SAFETY: the caller's promise; overlap was refused.
        unsafe { self.run_collective(comm, &schedule, buffers.operands(), None) }
    }
}

/// A checked count of a checked type: `count * width` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Items {
    count: usize,
    width: usize,
}

impl Items {
    /// `what` ("send ", "receive ", or nothing) says which arguments an error is about.
    #[inline]
    fn new(what: &str, count: i64, dt: Datatype) -> Result<Items> {
        let width = match datatype::contiguous_size(dt) {
            Some(size) => size as usize,
            None => match datatype::info(dt) {
                Some(info) => info.extent as usize,
                None => return Err(bad_type(what, dt)),
            },
        };
        match usize::try_from(count) {
            Ok(count) if count <= isize::MAX as usize / width => Ok(Items { count, width }),
            _ => Err(bad_count(what, count, width)),
        }
    }

    #[inline]
    fn bytes(self) -> usize {
        self.count * self.width
    }

    #[inline]
    fn shape(self, comm: &CommData, root: u32) -> Shape {
        Shape {
            rank: comm.rank() as u32,
            size: comm.size() as u32,
            root,
            count: self.count,
            width: self.width,
            commutative: true,
            in_place: false,
            board: comm.board().map(|board| board.payload_bytes()),
        }
    }
}

/// Checked buffers.
#[derive(Clone, Copy, Debug)]
struct Both {
    send: RawBuf,
    recv: RawBufMut,
    in_place: bool,
}

impl Both {
    fn send_only(ptr: *const u8, len: usize) -> Both {
        Both {
            send: RawBuf { ptr, len },
            recv: RawBufMut::EMPTY,
            in_place: false,
        }
    }

    fn operands(self) -> (RawBuf, RawBufMut) {
        (self.send, self.recv)
    }
}

#[inline]
fn check_root(comm: &CommData, root: i32) -> Result<u32> {
    if root < 0 || root >= comm.size() {
        return Err(bad_root(root, comm.size()));
    }
    Ok(root as u32)
}

/// Why a buffer must not be `MPI_IN_PLACE`.
#[derive(Clone, Copy)]
enum No {
    /// It never can be.
    InPlace,
    /// It can at the root only.
    InPlaceBelowRoot,
}

#[inline]
fn check_buffer(name: &str, ptr: *const u8, len: usize, no: No) -> Result<()> {
    if ptr == IN_PLACE || ptr.is_null() && len > 0 {
        Err(bad_buffer(name, ptr, len, no))
    } else {
        Ok(())
    }
}

/// Checks the buffers {address, bytes} of a rank that sends and receives. The rank's own contribution has its place at
/// byte `own` of the receive buffer.
#[inline]
fn check_both(send: (*const u8, usize), recv: (*mut u8, usize), own: usize) -> Result<Both> {
    check_buffer("receive buffer", recv.0, recv.1, No::InPlace)?;
    let recv = RawBufMut {
        ptr: recv.0,
        len: recv.1,
    };
    if send.0 == IN_PLACE {
        return Ok(Both {
            send: recv.as_buf(),
            recv,
            in_place: true,
        });
    }
    check_buffer("send buffer", send.0, send.1, No::InPlace)?;
    let send = RawBuf {
        ptr: send.0,
        len: send.1,
    };
    let (from, into) = (send.ptr.addr(), recv.ptr.addr());
    if send.len > 0 && recv.len > 0 && from < into + recv.len && into < from + send.len {
        return Err(overlap(from, into, own));
    }
    Ok(Both {
        send,
        recv,
        in_place: false,
    })
}

/// Checks the arguments {buffer, count, type} of a rank that receives a block from every member, itself included.
fn check_blocks(
    comm: &CommData,
    (sendbuf, sendcount, sendtype): (*const u8, i64, Datatype),
    (recvbuf, recvcount, recvtype): (*mut u8, i64, Datatype),
) -> Result<(Items, Both)> {
    let received = Items::new("receive ", recvcount, recvtype)?;
    let size = comm.size() as usize;
    let Some(all) = received
        .bytes()
        .checked_mul(size)
        .filter(|all| *all <= isize::MAX as usize)
    else {
        return Err(too_much(recvcount, size));
    };
    let own = comm.rank() as usize * received.bytes();
    if sendbuf == IN_PLACE {
        return Ok((received, check_both((sendbuf, 0), (recvbuf, all), own)?));
    }
    let sent = Items::new("send ", sendcount, sendtype)?;
    if sent.bytes() != received.bytes() {
        return Err(unequal(sent.bytes(), received.bytes()));
    }
    Ok((
        received,
        check_both((sendbuf, sent.bytes()), (recvbuf, all), own)?,
    ))
}

#[cold]
fn bad_root(root: i32, size: i32) -> Error {
    let last = size - 1;
    let what = format!("root {root} is not in the communicator, whose ranks are 0 to {last}");
    Error::new(ErrorClass::ROOT, what)
}

#[cold]
fn bad_type(what: &str, dt: Datatype) -> Error {
    let sentence = match dt {
        Datatype::NULL => format!("the {what}datatype is MPI_DATATYPE_NULL"),
        _ => format!(
            "{:#x}, the {what}datatype, is not a datatype, or one that was freed",
            dt.0
        ),
    };
    Error::new(ErrorClass::TYPE, sentence)
}

#[cold]
fn bad_count(what: &str, count: i64, width: usize) -> Error {
    let sentence = if count < 0 {
        format!("the {what}count {count} is negative")
    } else {
        format!("the {what}count {count} of items of {width} bytes is more than memory can hold")
    };
    Error::new(ErrorClass::COUNT, sentence)
}

#[cold]
fn too_much(count: i64, size: usize) -> Error {
    let sentence =
        format!("receive count {count} from each of {size} ranks is more than memory can hold");
    Error::new(ErrorClass::COUNT, sentence)
}

#[cold]
fn unequal(sent: usize, received: usize) -> Error {
    let sentence = format!(
        "this rank sends {sent} bytes but receives {received} from every rank, itself included: \
         counts and types must describe as much on both sides"
    );
    let class = if sent > received {
        ErrorClass::TRUNCATE
    } else {
        ErrorClass::COUNT
    };
    Error::new(class, sentence)
}

#[cold]
fn bad_buffer(name: &str, ptr: *const u8, len: usize, no: No) -> Error {
    let sentence = if ptr.is_null() {
        format!("the {name} is a null pointer, but has to have {len} bytes")
    } else {
        match no {
            No::InPlace => format!("the {name} cannot be MPI_IN_PLACE here"),
            No::InPlaceBelowRoot => format!("the {name} can be MPI_IN_PLACE at the root only"),
        }
    };
    Error::new(ErrorClass::BUFFER, sentence)
}

#[cold]
fn overlap(from: usize, into: usize, own: usize) -> Error {
    let mut sentence =
        format!("the send buffer ({from:#x}) and the receive buffer ({into:#x}) overlap");
    if from == into + own {
        sentence += ": give MPI_IN_PLACE as the send buffer";
    }
    Error::new(ErrorClass::BUFFER, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class<T: core::fmt::Debug>(result: Result<T>) -> ErrorClass {
        result.unwrap_err().class()
    }

    #[test]
    fn counts_and_types() {
        assert_eq!(
            Items::new("", 3, Datatype::DOUBLE).unwrap(),
            Items { count: 3, width: 8 }
        );
        assert_eq!(Items::new("", 3, Datatype::DOUBLE_INT).unwrap().width, 16);
        assert_eq!(Items::new("", 0, Datatype::BYTE).unwrap().bytes(), 0);
        assert_eq!(
            class(Items::new("send ", -1, Datatype::BYTE)),
            ErrorClass::COUNT
        );
        assert_eq!(
            class(Items::new("", i64::MAX, Datatype::INT)),
            ErrorClass::COUNT
        );
        assert_eq!(class(Items::new("", 1, Datatype::NULL)), ErrorClass::TYPE);
        assert_eq!(
            class(Items::new("", 1, Datatype(0x7fff_0000))),
            ErrorClass::TYPE
        );
        let error = Items::new("receive ", -5, Datatype::BYTE).unwrap_err();
        assert_eq!(error.sentence(), "the receive count -5 is negative");
    }

    #[test]
    fn buffers() {
        let mut memory = [0u8; 32];
        let base = memory.as_mut_ptr();
        let at = |offset: usize| base.wrapping_add(offset);
        let null = ptr::null_mut();

        assert!(!check_both((at(0), 16), (at(16), 16), 0).unwrap().in_place);
        assert!(!check_both((at(16), 16), (at(0), 16), 0).unwrap().in_place);
        assert!(!check_both((at(0), 0), (at(0), 16), 0).unwrap().in_place);
        assert!(!check_both((null, 0), (null, 0), 0).unwrap().in_place);
        let in_place = check_both((IN_PLACE, 16), (at(8), 16), 0).unwrap();
        assert!(in_place.in_place);
        assert_eq!(in_place.send.ptr, at(8).cast_const());

        assert_eq!(
            class(check_both((at(0), 17), (at(16), 16), 0)),
            ErrorClass::BUFFER
        );
        assert_eq!(
            class(check_both((at(15), 16), (at(0), 16), 0)),
            ErrorClass::BUFFER
        );
        assert_eq!(
            class(check_both((null, 1), (at(0), 1), 0)),
            ErrorClass::BUFFER
        );
        assert_eq!(
            class(check_both((at(0), 1), (null, 1), 0)),
            ErrorClass::BUFFER
        );
        assert_eq!(
            class(check_both((at(0), 1), (IN_PLACE.cast_mut(), 1), 0)),
            ErrorClass::BUFFER
        );
        assert_eq!(
            class(check_buffer("b", IN_PLACE, 0, No::InPlaceBelowRoot)),
            ErrorClass::BUFFER
        );

        let same = check_both((at(8), 8), (at(0), 32), 8).unwrap_err();
        assert!(
            same.sentence()
                .ends_with("give MPI_IN_PLACE as the send buffer"),
            "{same}"
        );
        let other = check_both((at(8), 8), (at(0), 32), 0).unwrap_err();
        assert!(other.sentence().ends_with("overlap"), "{other}");
    }
}
