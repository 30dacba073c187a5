//! Where blocks lie: from the arrays of counts, displacements and types of the `v` and `w` forms to
//! bytes in a row in one buffer.

use ferrite_fabric::{RawBuf, RawBufMut};

use super::arguments::{check_buffer, check_overlap};
use super::builder::{Builder, Items};
use crate::collective::{Block, Place};
use crate::datatype::Argument;
use crate::handle::Datatype;
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
    Contiguous(Contiguous),
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
            return Ok(Checked::Contiguous(Contiguous::new(
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
    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> {
        let (runs, items) = match self {
            Checked::Contiguous(contiguous) => (&contiguous.blocks[..], &[][..]),
            Checked::Items(items) => (&[][..], &items[..]),
        };
        let runs = runs.iter().map(|(_, bytes)| *bytes);
        runs.chain(items.iter().map(|items| items.bytes))
    }

    pub(super) fn bytes(&self, at: usize) -> usize {
        match self {
            Checked::Contiguous(contiguous) => contiguous.blocks[at].1,
            Checked::Items(items) => items[at].bytes,
        }
    }

    /// This block stays where it is.
    pub(super) fn leave(&mut self, at: usize) {
        match self {
            Checked::Contiguous(contiguous) => contiguous.blocks[at].1 = 0,
            Checked::Items(items) => items[at].bytes = 0,
        }
    }

    fn into_items(self) -> Vec<Items> {
        match self {
            Checked::Items(items) => items,
            Checked::Contiguous(Contiguous { buffer, blocks }) => {
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
pub(super) struct Contiguous {
    pub(super) buffer: RawBufMut,
    pub(super) blocks: Vec<(usize, usize)>,
}

impl Contiguous {
    /// These blocks, {offset, length} from an address: the buffer begins with the first of them
    /// that has any bytes.
    fn new(at: *mut u8, blocks: Vec<(isize, usize)>) -> Contiguous {
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
        Contiguous {
            buffer: RawBufMut {
                ptr: at.wrapping_offset(first),
                len: end.wrapping_sub(first) as usize,
            },
            blocks: blocks.collect(),
        }
    }
}

impl Contiguous {
    /// Another buffer of the same call must not overlap any of the blocks.
    pub(super) fn check_apart(&self, other: RawBuf) -> Result<()> {
        self.blocks.iter().try_for_each(|(offset, bytes)| {
            let ptr = self.buffer.ptr.wrapping_add(*offset);
            check_overlap(other, RawBufMut { ptr, len: *bytes }, 0)
        })
    }

    /// A block.
    pub(super) fn block(&self, at: usize) -> RawBuf {
        let (offset, len) = self.blocks[at];
        let ptr = self.buffer.ptr.wrapping_add(offset);
        RawBuf { ptr, len }
    }
}

/// Finds one buffer for all blocks: the program's if all are bytes in a row there, memory of the
/// call's own otherwise. `direct` allows the former; what to do with the latter, `moved` is told.
fn stage(
    builder: &mut Builder,
    all: Checked,
    direct: bool,
    mut moved: impl FnMut(&mut Builder, usize, &Items, *mut u8),
) -> Contiguous {
    let all = match all {
        Checked::Contiguous(contiguous) if direct => return contiguous,
        all => all.into_items(),
    };
    let runs = all.iter().map(|items| {
        let run = items.as_run()?;
        Some((run.addr() as isize, items.bytes))
    });
    if direct && let Some(runs) = runs.collect() {
        let any = all.iter().find(|items| items.bytes > 0);
        let any = any.map_or(core::ptr::null_mut(), |items| items.at);
        return Contiguous::new(any.with_addr(0), runs);
    }
    let buffer = builder.memory(all.iter().map(|items| items.bytes).sum());
    let mut end = 0;
    let mut blocks = Vec::new();
    for (at, items) in all.iter().enumerate() {
        moved(builder, at, items, buffer.ptr.wrapping_add(end));
        blocks.push((end, items.bytes));
        end += items.bytes;
    }
    Contiguous { buffer, blocks }
}

/// Blocks to send.
pub(super) fn stage_sent(builder: &mut Builder, all: Checked) -> Contiguous {
    stage(builder, all, true, |builder, _, items, to| {
        builder.pack(items, to)
    })
}

/// A copy of blocks to send.
pub(super) fn stage_copies(builder: &mut Builder, all: Checked) -> Contiguous {
    stage(builder, all, false, |builder, _, items, to| {
        builder.pack(items, to)
    })
}

/// Blocks to receive; the one of number `own` is in its place already, and sent from there.
pub(super) fn stage_received(
    builder: &mut Builder,
    all: Checked,
    own: Option<usize>,
) -> Contiguous {
    stage(builder, all, true, put_back(own))
}

/// The same in memory of the call's own, one behind the other.
pub(super) fn stage_packed(builder: &mut Builder, all: Checked, own: Option<usize>) -> Contiguous {
    stage(builder, all, false, put_back(own))
}

/// What to do with blocks to receive that are not in their place.
fn put_back(own: Option<usize>) -> impl FnMut(&mut Builder, usize, &Items, *mut u8) {
    move |builder, at, items, place| match own {
        Some(own) if own == at => builder.pack(items, place),
        _ => builder.unpack(items, place),
    }
}

/// Blocks from or to these ranks. Empty ones are no messages.
pub(super) fn blocks_of(
    peers: impl IntoIterator<Item = i32>,
    contiguous: &Contiguous,
    place: fn(usize) -> Place,
) -> Vec<Block> {
    let all = peers.into_iter().zip(&contiguous.blocks);
    let filled = all.filter(|(peer, (_, bytes))| *peer >= 0 && *bytes > 0);
    let blocks = filled.map(|(peer, (offset, bytes))| Block {
        peer: peer as u32,
        place: place(*offset),
        bytes: *bytes,
    });
    blocks.collect()
}
