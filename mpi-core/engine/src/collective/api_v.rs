//! The collective calls with blocks of any length, and of any type: as [`super::api`].

use ferrite_fabric::{RawBuf, RawBufMut};

use super::api::{Waits, receive, send, shape};
use super::api_across;
use super::arguments::{check_buffer, check_own, check_root};
use super::call::{Builder, Call, Items};
use super::exchange::Block;
use super::operation::Place;
use super::unequal::Way;
use super::{IN_PLACE, Schedule, Shape, Thresholds, Unequal, What, select};
use crate::datatype::Argument;
use crate::engine::Engine;
use crate::handle::{Comm, Datatype};
use crate::{Error, ErrorClass, Result};

/// The types of blocks, and so what their displacements count.
#[derive(Clone, Copy, Debug)]
pub enum Types<'a> {
    /// All of one type; displacements count items.
    One(Datatype),
    /// Each of its own; displacements count bytes.
    Each(&'a [Datatype]),
}

/// A block for each rank, or for each neighbour.
#[derive(Clone, Copy, Debug)]
pub struct Vectors<'a> {
    /// The buffer.
    pub buf: *mut u8,
    /// Items of each block.
    pub counts: &'a [i64],
    /// Where each block begins.
    pub displacements: &'a [i64],
    /// Their types.
    pub types: Types<'a>,
}

impl Vectors<'_> {
    pub(super) fn check(&self, name: &str) -> Result<Vec<Items>> {
        check_buffer(name, self.buf, 0)?;
        let one = match self.types {
            Types::One(datatype) => Some(Argument::new(datatype)?),
            Types::Each(_) => None,
        };
        let extent = match &one {
            Some(Argument::Plain(size)) => i64::from(*size),
            Some(Argument::Typed(items)) => items.extent(),
            None => 1,
        };
        let places = self.counts.iter().zip(self.displacements).enumerate();
        let items = places.map(|(at, (count, displacement))| {
            let items = match (&one, self.types) {
                (Some(one), _) => one.clone(),
                // A block of no items may have no type.
                (None, _) if *count == 0 => Argument::Plain(1),
                (None, Types::Each(types)) => Argument::new(types[at])?,
                (None, Types::One(_)) => unreachable!("looked up above"),
            };
            let offset = displacement.checked_mul(extent).ok_or_else(|| {
                Error::new(
                    ErrorClass::ARG,
                    format!("displacement {displacement} of block {at} is further than memory"),
                )
            })?;
            Items::new(
                name,
                self.buf.wrapping_offset(offset as isize),
                *count,
                items,
            )
        });
        items.collect()
    }
}

/// Blocks as bytes in a row, {offset, length} from the beginning of one buffer.
pub(super) struct Laid {
    pub(super) buffer: RawBufMut,
    pub(super) blocks: Vec<(usize, usize)>,
}

/// Finds one buffer for all blocks: the program's if all are bytes in a row there, memory of the call's own otherwise. `direct` allows the
/// former; what to do with the latter, `moved` is told.
fn lay(
    builder: &mut Builder,
    all: &[Items],
    direct: bool,
    mut moved: impl FnMut(&mut Builder, usize, &Items, *mut u8),
) -> Laid {
    let filled = || all.iter().filter(|items| items.bytes > 0);
    let runs: Option<Vec<*mut u8>> = filled().map(Items::as_run).collect();
    if direct && let Some(runs) = runs {
        let base = runs.iter().copied().min_by_key(|run| run.addr());
        let base = base.unwrap_or(core::ptr::null_mut());
        let mut len = 0;
        let mut runs = runs.into_iter();
        let blocks = all.iter().map(|items| match items.bytes {
            0 => (0, 0),
            bytes => {
                let run = runs.next().expect("one for each filled block");
                let offset = run.addr() - base.addr();
                len = len.max(offset + bytes);
                (offset, bytes)
            }
        });
        let blocks = blocks.collect();
        return Laid {
            buffer: RawBufMut { ptr: base, len },
            blocks,
        };
    }
    let buffer = builder.memory(all.iter().map(|items| items.bytes).sum());
    let mut end = 0;
    let mut blocks = Vec::new();
    for (at, items) in all.iter().enumerate() {
        moved(builder, at, items, buffer.ptr.wrapping_add(end));
        blocks.push((end, items.bytes));
        end += items.bytes;
    }
    Laid { buffer, blocks }
}

/// Blocks to send.
pub(super) fn lay_sent(builder: &mut Builder, all: &[Items]) -> Laid {
    lay(builder, all, true, |builder, _, items, to| {
        builder.pack(items, to)
    })
}

/// A copy of blocks to send.
fn lay_copies(builder: &mut Builder, all: &[Items]) -> Laid {
    lay(builder, all, false, |builder, _, items, to| {
        builder.pack(items, to)
    })
}

/// Blocks to receive; the one of number `own` is in its place already, and sent from there.
pub(super) fn lay_received(builder: &mut Builder, all: &[Items], own: Option<usize>) -> Laid {
    lay(builder, all, true, put_back(own))
}

/// The same in memory of the call's own, one behind the other.
fn lay_in_a_row(builder: &mut Builder, all: &[Items], own: Option<usize>) -> Laid {
    lay(builder, all, false, put_back(own))
}

/// What to do with blocks to receive that are not in their place.
fn put_back(own: Option<usize>) -> impl FnMut(&mut Builder, usize, &Items, *mut u8) {
    move |builder, at, items, place| match own {
        Some(own) if own == at => builder.pack(items, place),
        _ => builder.unpack(items, place),
    }
}

/// Blocks from or to these ranks. Empty ones are no messages.
pub(super) fn list(
    peers: impl IntoIterator<Item = i32>,
    laid: &Laid,
    place: fn(usize) -> Place,
) -> Vec<Block> {
    let all = peers.into_iter().zip(&laid.blocks);
    let filled = all.filter(|(peer, (_, bytes))| *peer >= 0 && *bytes > 0);
    let blocks = filled.map(|(peer, (offset, bytes))| Block {
        peer: peer as u32,
        place: place(*offset),
        bytes: *bytes,
    });
    blocks.collect()
}

/// Blocks over the board, if there is one, as far as its turns have room for them, and by messages. `longest` is the length of the longest
/// block, where everybody knows.
fn exchange(
    (builder, limits): (&mut Builder, &Thresholds),
    what: What,
    shape: Shape,
    longest: Option<usize>,
    (sends, receives): (Vec<Block>, Vec<Block>),
) -> Schedule {
    let Some(way) = Way::new(what, &shape, longest, limits) else {
        return select::exchange(shape, sends, receives);
    };
    let unequal = Unequal::new(way, &shape, sends, receives);
    let schedule = match unequal.long() {
        Some((sends, receives)) => select::exchange(shape, sends, receives),
        None => select::nothing(shape),
    };
    builder.unequal = Some(Box::new(unequal));
    schedule
}

/// At most this many ranks send each other short blocks directly instead of around a ring.
const DIRECT_RANKS: i32 = 32;
/// Longer blocks than this, on average, go around the ring.
const DIRECT_BYTES: usize = 4 << 10;

impl Engine {
    /// `MPI_Gatherv`: the receive arguments count at the root only, where `sendbuf` may be [`IN_PLACE`].
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
            return api_across::gatherv(
                c,
                (sendbuf.cast_mut(), sendcount, sendtype),
                received,
                root,
            );
        }
        let root = check_root(c, root)?;
        let mut builder = Builder::default();
        let shape = shape(c, waits, root, 0);
        let own = root as usize;
        if shape.rank != root {
            let input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            let sends = to_root(root, input.len, Place::input(0));
            let blocks = (sends, Vec::new());
            let schedule = exchange(
                (&mut builder, self.limits()),
                What::Gather,
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
            received[own].bytes = 0;
        } else {
            input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            check_own(input.len, received[own].bytes)?;
            sends = to_root(root, input.len, Place::input(0));
        }
        let laid = lay_received(&mut builder, &received, None);
        let receives = list(0..c.size(), &laid, Place::output);
        let blocks = (sends, receives);
        let schedule = exchange(
            (&mut builder, self.limits()),
            What::Gather,
            shape,
            None,
            blocks,
        );
        Ok(builder.call(schedule, input, laid.buffer, None))
    }

    /// `MPI_Scatterv`: the send arguments count at the root only, where `recvbuf` may be [`IN_PLACE`].
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
            return api_across::scatterv(c, sent, (recvbuf, recvcount, recvtype), root);
        }
        let root = check_root(c, root)?;
        let mut builder = Builder::default();
        let shape = shape(c, waits, root, 0);
        let own = root as usize;
        if shape.rank != root {
            let output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
            let receives = to_root(root, output.len, Place::output(0));
            let blocks = (Vec::new(), receives);
            let schedule = exchange(
                (&mut builder, self.limits()),
                What::Scatter,
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
            sent[own].bytes = 0;
        } else {
            output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
            check_own(sent[own].bytes, output.len)?;
            receives = to_root(root, output.len, Place::output(0));
        }
        let laid = lay_sent(&mut builder, &sent);
        let blocks = (list(0..c.size(), &laid, Place::input), receives);
        let schedule = exchange(
            (&mut builder, self.limits()),
            What::Scatter,
            shape,
            None,
            blocks,
        );
        Ok(builder.call(schedule, laid.buffer.as_buf(), output, None))
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
            return api_across::allgatherv(c, (sendbuf.cast_mut(), sendcount, sendtype), received);
        }
        let mut builder = Builder::default();
        let own = c.rank() as usize;
        let received = received.check("receive buffer")?;
        let in_place = sendbuf == IN_PLACE;
        let bytes = received[own].bytes;
        // All see the same lengths, but only for themselves where the blocks lie.
        let is_equal = received.iter().all(|block| block.bytes == bytes);
        let kept = in_place.then_some(own);
        let mut laid = lay_received(&mut builder, &received, kept);
        let places = laid.blocks.iter().enumerate();
        let mut places = places.map(|(rank, (offset, _))| (rank * bytes, *offset));
        if is_equal && places.any(|(expected, offset)| expected != offset) {
            laid = lay_in_a_row(&mut builder, &received, kept);
        }
        let input = if in_place {
            laid.buffer.as_buf()
        } else {
            let input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            check_own(input.len, bytes)?;
            input
        };
        let shape = Shape {
            in_place,
            ..shape(c, waits, 0, if is_equal { bytes } else { 0 })
        };
        if is_equal {
            let schedule = self.choose(What::Allgather, (c, waits), shape, select::allgather);
            return Ok(builder.call(schedule, input, laid.buffer, None));
        }
        let total: usize = laid.blocks.iter().map(|(_, bytes)| bytes).sum();
        let few = c.size() <= DIRECT_RANKS && total / received.len() <= DIRECT_BYTES;
        let schedule = if few || shape.board.is_some() {
            let (offset, bytes) = laid.blocks[own];
            let place = match in_place {
                true => Place::output(offset),
                false => Place::input(0),
            };
            let peers = (0..shape.size).filter(|_| bytes > 0);
            let sends = peers.map(|peer| Block { peer, place, bytes }).collect();
            let receives = list(0..c.size(), &laid, Place::output);
            let longest = laid.blocks.iter().map(|(_, bytes)| *bytes).max();
            let blocks = (sends, receives);
            exchange(
                (&mut builder, self.limits()),
                What::Allgather,
                shape,
                longest,
                blocks,
            )
        } else {
            select::allgatherv(shape, laid.blocks.into())
        };
        Ok(builder.call(schedule, input, laid.buffer, None))
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
            return api_across::alltoallv(c, sent, received);
        }
        let own = c.rank() as usize;
        let received = received.check("receive buffer")?;
        let mut builder = Builder::default();
        let (from, into) = match sent {
            Some(sent) => {
                let sent = sent.check("send buffer")?;
                check_own(sent[own].bytes, received[own].bytes)?;
                let from = lay_sent(&mut builder, &sent);
                (from, lay_received(&mut builder, &received, None))
            }
            None => {
                let from = lay_copies(&mut builder, &received);
                (from, lay_received(&mut builder, &received, None))
            }
        };
        let peers = 0..c.size();
        let sends = list(peers.clone(), &from, Place::input);
        let receives = list(peers, &into, Place::output);
        let (shape, blocks) = (shape(c, waits, 0, 0), (sends, receives));
        let schedule = exchange(
            (&mut builder, self.limits()),
            What::Alltoall,
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
