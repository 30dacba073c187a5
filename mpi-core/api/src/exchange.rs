//! Collective operations that deal out different items: scatter, all-to-all, those with blocks of
//! any lengths, which the members tell each other first, and the prefix reductions (MPI 5.0,
//! sections 6.5 to 6.11).

use core::alloc::Layout;
use core::iter::repeat_n;

use ferrite_engine::{Types, Vectors, Waits};

use crate::buffer::{collect_vec, too_many};
use crate::collective::{Into, Out};
use crate::datatype::engine_items;
use crate::op::Op;
use crate::reduction::with_operation;
use crate::universe::enter;
use crate::{Buffer, Communicator, Datatype, Error, ErrorClass, Result};

/// Blocks in a row, as the engine wants to be told of them.
struct Blocks {
    items: usize,
    counts: Vec<i64>,
    displacements: Vec<i64>,
}

impl Blocks {
    /// # Errors
    /// When the blocks have more items together than there can be: others tell their lengths.
    fn new<T: Datatype>(lengths: &[usize]) -> Result<Blocks> {
        let all = lengths
            .iter()
            .try_fold(0usize, |all, length| all.checked_add(*length));
        let fits = |items: &usize| Layout::array::<T>(*items).is_ok();
        let items = all
            .filter(fits)
            .ok_or_else(|| too_many::<T>(all.unwrap_or(usize::MAX)))?;
        let of = |items: usize| engine_items::<T>(items).0;
        let mut before = 0;
        let begin = lengths.iter().map(|length| {
            before += length;
            of(before - length)
        });
        let displacements = begin.collect();
        let counts = lengths.iter().map(|length| of(*length)).collect();
        Ok(Blocks {
            items,
            counts,
            displacements,
        })
    }

    fn at<T: Datatype>(&self, buf: *mut u8) -> Vectors<'_> {
        Vectors {
            buf,
            counts: &self.counts,
            displacements: &self.displacements,
            types: Types::One(engine_items::<T>(0).1),
        }
    }

    /// Blocks that `receive` receives.
    fn collect<T: Datatype>(
        &self,
        lengths: &[usize],
        receive: impl FnOnce(Vectors<'_>) -> Result<()>,
    ) -> Result<Vec<Vec<T>>> {
        let fill = |start: *mut T| {
            // SAFETY: `collect_vec` makes room.
            let into = unsafe { Into::new(start, self.items) };
            receive(self.at::<T>(into.start()))?;
            into.finish();
            Ok(())
        };
        // SAFETY: all items are plain, or unpacked.
        let all: Vec<T> = unsafe { collect_vec(self.items, fill)? };
        let mut rest = &all[..];
        let part = |length: &usize| {
            let (part, behind) = rest.split_at(*length);
            rest = behind;
            part.to_vec()
        };
        Ok(lengths.iter().map(part).collect())
    }
}

/// No blocks: what others than the root receive or send.
const NOTHING: Vectors<'static> = Vectors {
    buf: core::ptr::null_mut(),
    counts: &[],
    displacements: &[],
    types: Types::Each(&[]),
};

impl Communicator {
    /// All members' items for the root, one vector a rank, however many each has. `None` elsewhere.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn gather_v<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        root: usize,
    ) -> Result<Option<Vec<Vec<B::Item>>>> {
        let (engine, root_rank, items) = (enter()?, self.checked_root(root)?, buffer.items());
        let lengths = self.gather(&items.len(), root)?;
        let (out, (count, of)) = (Out::new(items), engine_items::<B::Item>(items.len()));
        let gather = |received: Vectors<'_>| {
            let comm = self.comm();
            let (start, here) = (out.start(), Waits::Here);
            let call = engine.plan_gatherv(here, start, count, of, received, root_rank, comm)?;
            // SAFETY: the items are borrowed until the call returns; at the root there is room for
            // all that is received.
            unsafe { engine.run_to_end(comm, call) }.map_err(Error::from)
        };
        match lengths {
            Some(lengths) => Blocks::new::<B::Item>(&lengths)?
                .collect(&lengths, gather)
                .map(Some),
            None => gather(NOTHING).map(|()| None),
        }
    }

    /// All members' items for all, one vector a rank, however many each has.
    ///
    /// # Errors
    /// When a member is lost.
    pub fn all_gather_v<B: Buffer + ?Sized>(&self, buffer: &B) -> Result<Vec<Vec<B::Item>>> {
        let (engine, items) = (enter()?, buffer.items());
        let lengths = self.all_gather(&items.len())?;
        let (out, (count, of)) = (Out::new(items), engine_items::<B::Item>(items.len()));
        Blocks::new::<B::Item>(&lengths)?.collect(&lengths, |received| {
            let (comm, start) = (self.comm(), out.start());
            let call = engine.plan_allgatherv(Waits::Here, start, count, of, received, comm)?;
            // SAFETY: the items are borrowed until the call returns, and there is room for all that
            // is received.
            unsafe { engine.run_to_end(comm, call) }.map_err(Error::from)
        })
    }

    /// Equal parts of the root's items, one for each member in the order of rank. Others than the
    /// root say `None`.
    ///
    /// ```
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// let all: Vec<usize> = (0..2 * world.size()).collect();
    /// let part = world.scatter((world.rank() == 0).then_some(&all[..]), 0)?;
    /// assert_eq!(part, [2 * world.rank(), 2 * world.rank() + 1]);
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When the items cannot be divided equally or the root has none (then at all ranks); as
    /// [`Communicator::broadcast`].
    pub fn scatter<T: Datatype>(&self, items: Option<&[T]>, root: usize) -> Result<Vec<T>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = items.filter(|_| self.rank() == root);
        let mut width = items
            .filter(|items| items.len() % self.size() == 0)
            .map_or(WRONG, |items| items.len() / self.size());
        self.broadcast(&mut width, root)?;
        if width == WRONG {
            let sentence = format!(
                "root {root} must give items, in equal parts for {} ranks: scatter_v takes parts \
                 of different lengths",
                self.size()
            );
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        let out = Out::new(items.unwrap_or(&[]));
        self.received(width, |into| {
            let ((count, of), start) = (engine_items::<T>(width), out.start());
            // SAFETY: the items are borrowed until the call returns, and there is room for a part.
            unsafe { engine.scatter(start, count, of, into, count, of, root_rank, self.comm()) }
                .map_err(Error::from)
        })
    }

    /// Parts of any lengths, which the root has for the members in the order of rank. Others than
    /// the root say `None`.
    ///
    /// # Errors
    /// When the root has not one part for each member (then at all ranks); as
    /// [`Communicator::broadcast`].
    pub fn scatter_v<T: Datatype>(&self, parts: Option<&[Vec<T>]>, root: usize) -> Result<Vec<T>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let parts = parts.filter(|_| self.rank() == root);
        let lengths = parts
            .filter(|parts| parts.len() == self.size())
            .map(lengths);
        let wrong = (self.rank() == root && lengths.is_none())
            .then(|| repeat_n(WRONG, self.size()).collect());
        let lengths: Option<Vec<usize>> = lengths.or(wrong);
        let [length] = self.scatter(lengths.as_deref(), root)?[..] else {
            let sentence =
                format!("root {root} does not take part in this call: it scatters equal parts");
            return Err(Error::new(ErrorClass::COUNT, sentence));
        };
        if length == WRONG {
            let sentence = format!(
                "root {root} must give one part for each of {} ranks",
                self.size()
            );
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        let all = parts.map_or_else(Vec::new, <[_]>::concat);
        let blocks = lengths.as_deref().map(Blocks::new::<T>).transpose()?;
        let out = Out::new(&all);
        self.received(length, |into| {
            let sent = blocks
                .as_ref()
                .map_or(NOTHING, |blocks| blocks.at::<T>(out.start().cast_mut()));
            let ((count, of), here, comm) = (engine_items::<T>(length), Waits::Here, self.comm());
            let call = engine.plan_scatterv(here, sent, into, count, of, root_rank, comm)?;
            // SAFETY: the items are borrowed until the call returns, and there is room for a part.
            unsafe { engine.run_to_end(comm, call) }.map_err(Error::from)
        })
    }

    /// Items that `receive` receives.
    fn received<T: Datatype>(
        &self,
        items: usize,
        receive: impl FnOnce(*mut u8) -> Result<()>,
    ) -> Result<Vec<T>> {
        let fill = |start: *mut T| {
            // SAFETY: `collect_vec` makes room.
            let into = unsafe { Into::new(start, items) };
            receive(into.start())?;
            into.finish();
            Ok(())
        };
        // SAFETY: all items are plain, or unpacked.
        unsafe { collect_vec(items, fill) }
    }

    /// Equal parts of each member's items, one for each member; each receives one part of every
    /// member, in the order of rank.
    ///
    /// # Errors
    /// When the items cannot be divided equally; when a member is lost.
    pub fn all_to_all<B: Buffer + ?Sized>(&self, buffer: &B) -> Result<Vec<B::Item>> {
        let (engine, items) = (enter()?, buffer.items());
        let width = self.equal_part(items.len(), "all_to_all_v takes any")?;
        let out = Out::new(items);
        self.received(items.len(), |into| {
            let ((count, of), start) = (engine_items::<B::Item>(width), out.start());
            // SAFETY: the items are borrowed until the call returns, and there is room for as many.
            unsafe { engine.alltoall(start, count, of, into, count, of, self.comm()) }
                .map_err(Error::from)
        })
    }

    pub(crate) fn equal_part(&self, items: usize, otherwise: &str) -> Result<usize> {
        let size = self.size();
        if items.is_multiple_of(size) {
            return Ok(items / size);
        }
        let sentence = format!("{items} items are not equal parts for {size} ranks: {otherwise}");
        Err(Error::new(ErrorClass::COUNT, sentence))
    }

    /// A part of any length for each member; each receives one part of every member, in the order
    /// of rank.
    ///
    /// # Errors
    /// When there is not one part for each member; when a member is lost.
    pub fn all_to_all_v<T: Datatype>(&self, parts: &[Vec<T>]) -> Result<Vec<Vec<T>>> {
        let (engine, size) = (enter()?, self.size());
        if parts.len() != size {
            let sentence = format!("{} parts are not one for each of {size} ranks", parts.len());
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        let sent = lengths(parts);
        let came = self.all_to_all(&sent)?;
        let all = parts.concat();
        let (out, blocks) = (Out::new(&all), Blocks::new::<T>(&sent)?);
        Blocks::new::<T>(&came)?.collect(&came, |received| {
            let (sent, comm) = (blocks.at::<T>(out.start().cast_mut()), self.comm());
            let call = engine.plan_alltoallv(Waits::Here, Some(sent), received, comm)?;
            // SAFETY: the items are borrowed until the call returns, and there is room for all that
            // is received.
            unsafe { engine.run_to_end(comm, call) }.map_err(Error::from)
        })
    }

    /// The items of this member and those of lower rank, combined item by item.
    ///
    /// # Errors
    /// When members have different numbers of items; when a member is lost.
    pub fn scan<B: Buffer + ?Sized>(&self, buffer: &B, op: Op<'_, B::Item>) -> Result<B::Owned> {
        let (engine, items) = (enter()?, buffer.items());
        self.reduced(buffer, op, items.len(), |out, into, (count, of), handle| {
            // SAFETY: `reduced` has room for the result; the items are borrowed until the call
            // returns.
            unsafe { engine.scan(out, into, count, of, handle, self.comm()) }
        })
    }

    /// The items of the members of lower rank, combined item by item. `None` at rank 0.
    ///
    /// # Errors
    /// As [`Communicator::scan`].
    pub fn exscan<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
    ) -> Result<Option<B::Owned>> {
        let (engine, items) = (enter()?, buffer.items());
        let below = self.reduced(buffer, op, items.len(), |out, into, (count, of), handle| {
            // SAFETY: `reduced` has room for the result; the items are borrowed until the call
            // returns.
            unsafe { engine.exscan(out, into, count, of, handle, self.comm()) }
        })?;
        Ok((self.rank() > 0).then_some(below))
    }

    /// Combines all members' items, item by item, and gives each member an equal part of the
    /// result, in the order of rank.
    ///
    /// # Errors
    /// As [`Communicator::all_to_all`].
    pub fn reduce_scatter<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
    ) -> Result<Vec<B::Item>> {
        let (engine, items) = (enter()?, buffer.items());
        let width = self.equal_part(items.len(), "reduce_scatter deals out equal ones")?;
        let out = Out::new(items);
        self.received(width, |into| {
            with_operation(op, width, |(count, of), handle| {
                let (start, comm) = (out.start(), self.comm());
                // SAFETY: the items are borrowed until the call returns, and there is room for a
                // part.
                unsafe { engine.reduce_scatter_block(start, into, count, of, handle, comm) }
                    .map_err(Error::from)
            })
        })
    }
}

/// A length that says: the root was called with something wrong.
const WRONG: usize = usize::MAX;

fn lengths<T>(parts: &[Vec<T>]) -> Vec<usize> {
    parts.iter().map(Vec::len).collect()
}
