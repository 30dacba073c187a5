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

/// Blocks that have been checked.
#[derive(Clone)]
pub(super) enum Checked {
    /// Bytes in a row each, as they are in the program's buffer.
    Runs(Laid),
    /// Items of any type.
    Items(Vec<Items>),
}

impl Vectors<'_> {
    pub(super) fn check(&self, name: &str) -> Result<Checked> {
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
        let places = places.map(|(at, (count, displacement))| {
            let offset = displacement.checked_mul(extent).ok_or_else(|| {
                Error::new(
                    ErrorClass::ARG,
                    format!("displacement {displacement} of block {at} is further than memory"),
                )
            })?;
            Ok((at, *count, offset as isize))
        });
        if let Some(one @ Argument::Plain(_)) = &one {
            let blocks = places.map(|place: Result<_>| {
                let (_, count, offset) = place?;
                let bytes = one.bytes(count)?;
                if bytes > 0 {
                    check_buffer(name, self.buf.wrapping_offset(offset), bytes)?;
                }
                Ok((offset, bytes))
            });
            return Ok(Checked::Runs(Laid::new(
                self.buf,
                blocks.collect::<Result<_>>()?,
            )));
        }
        let items = places.map(|place| {
            let (at, count, offset) = place?;
            let items = match (&one, self.types) {
                (Some(one), _) => one.clone(),
                // A block of no items may have no type.
                (None, _) if count == 0 => Argument::Plain(1),
                (None, Types::Each(types)) => Argument::new(types[at])?,
                (None, Types::One(_)) => unreachable!("looked up above"),
            };
            Items::new(name, self.buf.wrapping_offset(offset), count, items)
        });
        items.collect::<Result<_>>().map(Checked::Items)
    }
}

impl Checked {
    /// The length of each block.
    fn lengths(&self) -> impl Iterator<Item = usize> {
        let (runs, items) = match self {
            Checked::Runs(laid) => (&laid.blocks[..], &[][..]),
            Checked::Items(items) => (&[][..], &items[..]),
        };
        let runs = runs.iter().map(|(_, bytes)| *bytes);
        runs.chain(items.iter().map(|items| items.bytes))
    }

    fn bytes(&self, at: usize) -> usize {
        match self {
            Checked::Runs(laid) => laid.blocks[at].1,
            Checked::Items(items) => items[at].bytes,
        }
    }

    /// This block stays where it is.
    fn leave(&mut self, at: usize) {
        match self {
            Checked::Runs(laid) => laid.blocks[at].1 = 0,
            Checked::Items(items) => items[at].bytes = 0,
        }
    }

    fn into_items(self) -> Vec<Items> {
        match self {
            Checked::Items(items) => items,
            Checked::Runs(Laid { buffer, blocks }) => {
                let items = blocks.into_iter().map(|(offset, bytes)| Items {
                    at: buffer.ptr.wrapping_add(offset),
                    count: bytes as i64,
                    items: Argument::Plain(1),
                    bytes,
                });
                items.collect()
            }
        }
    }
}

/// Blocks as bytes in a row, {offset, length} from the beginning of one buffer.
#[derive(Clone)]
pub(super) struct Laid {
    pub(super) buffer: RawBufMut,
    pub(super) blocks: Vec<(usize, usize)>,
}

impl Laid {
    /// These blocks, {offset, length} from an address: the buffer begins with the first of them that has any bytes.
    fn new(at: *mut u8, blocks: Vec<(isize, usize)>) -> Laid {
        let filled = blocks.iter().filter(|(_, bytes)| *bytes > 0);
        let (mut first, mut end) = (isize::MAX, isize::MIN);
        for (offset, bytes) in filled {
            first = first.min(*offset);
            end = end.max(offset.wrapping_add_unsigned(*bytes));
        }
        if end < first {
            (first, end) = (0, 0);
        }
        let blocks = blocks.into_iter().map(|(offset, bytes)| match bytes {
            0 => (0, 0),
            _ => (offset.wrapping_sub(first) as usize, bytes),
        });
        Laid {
            buffer: RawBufMut {
                ptr: at.wrapping_offset(first),
                len: end.wrapping_sub(first) as usize,
            },
            blocks: blocks.collect(),
        }
    }
}

/// Finds one buffer for all blocks: the program's if all are bytes in a row there, memory of the call's own otherwise. `direct` allows the
/// former; what to do with the latter, `moved` is told.
fn lay(
    builder: &mut Builder,
    all: Checked,
    direct: bool,
    mut moved: impl FnMut(&mut Builder, usize, &Items, *mut u8),
) -> Laid {
    let all = match all {
        Checked::Runs(laid) if direct => return laid,
        all => all.into_items(),
    };
    let runs = all.iter().map(|items| {
        let run = items.as_run()?;
        Some((run.addr() as isize, items.bytes))
    });
    if direct && let Some(runs) = runs.collect() {
        let any = all.iter().find(|items| items.bytes > 0);
        let any = any.map_or(core::ptr::null_mut(), |items| items.at);
        return Laid::new(any.with_addr(0), runs);
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
pub(super) fn lay_sent(builder: &mut Builder, all: Checked) -> Laid {
    lay(builder, all, true, |builder, _, items, to| {
        builder.pack(items, to)
    })
}

/// A copy of blocks to send.
fn lay_copies(builder: &mut Builder, all: Checked) -> Laid {
    lay(builder, all, false, |builder, _, items, to| {
        builder.pack(items, to)
    })
}

/// Blocks to receive; the one of number `own` is in its place already, and sent from there.
pub(super) fn lay_received(builder: &mut Builder, all: Checked, own: Option<usize>) -> Laid {
    lay(builder, all, true, put_back(own))
}

/// The same in memory of the call's own, one behind the other.
fn lay_in_a_row(builder: &mut Builder, all: Checked, own: Option<usize>) -> Laid {
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
            received.leave(own);
        } else {
            input = send(&mut builder, sendbuf, sendcount, sendtype)?;
            check_own(input.len, received.bytes(own))?;
            sends = to_root(root, input.len, Place::input(0));
        }
        let laid = lay_received(&mut builder, received, None);
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
            sent.leave(own);
        } else {
            output = receive(&mut builder, recvbuf, recvcount, recvtype)?;
            check_own(sent.bytes(own), output.len)?;
            receives = to_root(root, output.len, Place::output(0));
        }
        let laid = lay_sent(&mut builder, sent);
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
        let bytes = received.bytes(own);
        // All see the same lengths, but only for themselves where the blocks lie.
        let is_equal = received.lengths().all(|length| length == bytes);
        let kept = in_place.then_some(own);
        let mut laid = lay_received(&mut builder, received, kept);
        let places = laid.blocks.iter().enumerate();
        let mut places = places.map(|(rank, (offset, _))| (rank * bytes, *offset));
        if is_equal && places.any(|(expected, offset)| expected != offset) {
            laid = lay_in_a_row(&mut builder, Checked::Runs(laid), kept);
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
        let few = c.size() <= DIRECT_RANKS && total / laid.blocks.len() <= DIRECT_BYTES;
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
                check_own(sent.bytes(own), received.bytes(own))?;
                let from = lay_sent(&mut builder, sent);
                (from, lay_received(&mut builder, received, None))
            }
            None => {
                let from = lay_copies(&mut builder, received.clone());
                (from, lay_received(&mut builder, received, None))
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
