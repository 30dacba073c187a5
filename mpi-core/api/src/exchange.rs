//! Collective operations that are made of messages here: those with blocks of different lengths, whose lengths are exchanged
//! first, scatter, all-to-all, and the prefix reductions (MPI 5.0, sections 6.5 to 6.11).
//!
//! The messages travel on a communicator of their own. Between two ranks they are told apart by their order alone, as all
//! ranks call collective operations in the same order.

use crate::op::Op;
use crate::{Buffer, Communicator, Datatype, Error, ErrorClass, Result, scope};

const TAG: i32 = 0;

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
        self.checked_root(root)?;
        let inner = self.inner()?;
        if self.rank() != root {
            inner.send(buffer.items(), root, TAG)?;
            return Ok(None);
        }
        let mut all = Vec::with_capacity(self.size());
        for rank in 0..self.size() {
            all.push(match rank == root {
                true => buffer.items().to_vec(),
                false => inner.recv_vec(rank, TAG)?.0,
            });
        }
        Ok(Some(all))
    }

    /// All members' items for all, one vector a rank, however many each has.
    ///
    /// # Errors
    /// When a member is lost.
    pub fn all_gather_v<B: Buffer + ?Sized>(&self, buffer: &B) -> Result<Vec<Vec<B::Item>>> {
        let (inner, rank, size) = (self.inner()?, self.rank(), self.size());
        let mut all = vec![Vec::new(); size];
        all[rank] = buffer.items().to_vec();
        let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
        // Round a ring: each passes on what it got last.
        for step in 1..size {
            let (passed, got) = ((rank + size + 1 - step) % size, (rank + size - step) % size);
            let block = &all[passed];
            let received = scope(|s| {
                inner.isend(s, block, next, TAG)?;
                Ok(inner.recv_vec(previous, TAG)?.0)
            })?;
            all[got] = received;
        }
        Ok(all)
    }

    /// Equal parts of the root's items, one for each member in the order of rank. Others than the root say `None`.
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
    /// When the items cannot be divided equally or the root has none (then at all ranks); as [`Communicator::broadcast`].
    pub fn scatter<T: Datatype>(&self, items: Option<&[T]>, root: usize) -> Result<Vec<T>> {
        self.checked_root(root)?;
        let mut wrong = match items {
            None => self.rank() == root,
            Some(items) => self.rank() == root && items.len() % self.size() != 0,
        };
        self.broadcast(&mut wrong, root)?;
        if wrong {
            let sentence = format!(
                "root {root} must give items, in equal parts for {} ranks: scatter_v takes parts of different lengths",
                self.size()
            );
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        match items {
            Some(items) if self.rank() == root => {
                let width = items.len() / self.size();
                let part = |rank: usize| &items[rank * width..(rank + 1) * width];
                self.scatter_parts(part)
            }
            _ => Ok(self.inner()?.recv_vec(root, TAG)?.0),
        }
    }

    /// Parts of any lengths, which the root has for the members in the order of rank. Others than the root say `None`.
    ///
    /// # Errors
    /// When the root has not one part for each member (then at all ranks); as [`Communicator::broadcast`].
    pub fn scatter_v<T: Datatype>(&self, parts: Option<&[Vec<T>]>, root: usize) -> Result<Vec<T>> {
        self.checked_root(root)?;
        let mut wrong = self.rank() == root && parts.is_none_or(|parts| parts.len() != self.size());
        self.broadcast(&mut wrong, root)?;
        if wrong {
            let sentence = format!(
                "root {root} must give one part for each of {} ranks",
                self.size()
            );
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        match parts {
            Some(parts) if self.rank() == root => self.scatter_parts(|rank| &parts[rank]),
            _ => Ok(self.inner()?.recv_vec(root, TAG)?.0),
        }
    }

    fn scatter_parts<'a, T: Datatype>(&self, part: impl Fn(usize) -> &'a [T]) -> Result<Vec<T>> {
        let inner = self.inner()?;
        let parts: Vec<&[T]> = (0..self.size()).map(part).collect();
        scope(|s| {
            for (rank, part) in parts.iter().enumerate() {
                if rank != self.rank() {
                    inner.isend(s, *part, rank, TAG)?;
                }
            }
            Ok(parts[self.rank()].to_vec())
        })
    }

    /// Equal parts of each member's items, one for each member; each receives one part of every member, in the order of rank.
    ///
    /// # Errors
    /// When the items cannot be divided equally; when a member is lost.
    pub fn all_to_all<B: Buffer + ?Sized>(&self, buffer: &B) -> Result<Vec<B::Item>> {
        let (items, size) = (buffer.items(), self.size());
        if items.len() % size != 0 {
            let sentence = format!(
                "{} items are not equal parts for {size} ranks: all_to_all_v takes any",
                items.len()
            );
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        let width = items.len() / size;
        let mut received = items.to_vec();
        if width == 0 {
            return Ok(received);
        }
        let inner = self.inner()?;
        let own = self.rank() * width;
        scope(|s| {
            // Nearest ranks first, so that not all send to one at a time.
            let mut places: Vec<(usize, &mut [B::Item])> =
                received.chunks_mut(width).enumerate().collect();
            places.sort_by_key(|(rank, _)| (self.rank() + size - rank) % size);
            for (rank, place) in places {
                if rank != self.rank() {
                    inner.irecv(s, place, rank, TAG)?;
                }
            }
            for step in 1..size {
                let rank = (self.rank() + step) % size;
                inner.isend(s, &items[rank * width..(rank + 1) * width], rank, TAG)?;
            }
            Ok(())
        })?;
        received[own..own + width].copy_from_slice(&items[own..own + width]);
        Ok(received)
    }

    /// A part of any length for each member; each receives one part of every member, in the order of rank.
    ///
    /// # Errors
    /// When there is not one part for each member; when a member is lost.
    pub fn all_to_all_v<T: Datatype>(&self, parts: &[Vec<T>]) -> Result<Vec<Vec<T>>> {
        let (inner, rank, size) = (self.inner()?, self.rank(), self.size());
        if parts.len() != size {
            let sentence = format!("{} parts are not one for each of {size} ranks", parts.len());
            return Err(Error::new(ErrorClass::COUNT, sentence));
        }
        let mut received = vec![Vec::new(); size];
        received[rank] = parts[rank].clone();
        for step in 1..size {
            let (to, from) = ((rank + step) % size, (rank + size - step) % size);
            received[from] = scope(|s| {
                inner.isend(s, &parts[to], to, TAG)?;
                Ok(inner.recv_vec(from, TAG)?.0)
            })?;
        }
        Ok(received)
    }

    /// The items of this member and those of lower rank, combined item by item.
    ///
    /// # Errors
    /// When members have different numbers of items; when a member is lost.
    pub fn scan<B: Buffer + ?Sized>(&self, buffer: &B, op: Op<'_, B::Item>) -> Result<B::Owned> {
        let items = buffer.items();
        let below = self.combined_below(items, &op)?;
        let combined: Vec<B::Item> = match below {
            Some(below) => combine(&below, items, &op),
            None => items.to_vec(),
        };
        filled(buffer, &combined)
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
        let below = self.combined_below(buffer.items(), &op)?;
        below.map(|below| filled(buffer, &below)).transpose()
    }

    /// By doubling distances: `window` is combined from this rank and the `distance - 1` ranks below it.
    fn combined_below<T: Datatype>(&self, items: &[T], op: &Op<'_, T>) -> Result<Option<Vec<T>>> {
        let (inner, rank, size) = (self.inner()?, self.rank(), self.size());
        let mut window = items.to_vec();
        let mut below: Option<Vec<T>> = None;
        let mut distance = 1;
        while distance < size {
            let to = (rank + distance < size).then_some(rank + distance);
            let got = scope(|s| {
                inner.isend(s, &window, to, TAG)?;
                match rank.checked_sub(distance) {
                    Some(from) => Ok(Some(inner.recv_vec::<T>(from, TAG)?.0)),
                    None => Ok(None),
                }
            })?;
            if let Some(got) = got {
                if got.len() != items.len() {
                    return Err(different(items.len(), got.len()));
                }
                below = Some(match below {
                    Some(below) => combine(&got, &below, op),
                    None => got.clone(),
                });
                window = combine(&got, &window, op);
            }
            distance *= 2;
        }
        Ok(below)
    }

    /// Combines all members' items, item by item, and gives each member an equal part of the result, in the order of rank.
    ///
    /// # Errors
    /// As [`Communicator::all_to_all`].
    pub fn reduce_scatter<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
    ) -> Result<Vec<B::Item>> {
        // Each member combines its own part of everybody's items: the least that can be sent.
        let parts = self.all_to_all(buffer)?;
        let width = parts.len() / self.size();
        let mut combined = parts[..width].to_vec();
        for rank in 1..self.size() {
            combined = combine(&combined, &parts[rank * width..(rank + 1) * width], &op);
        }
        Ok(combined)
    }
}

fn combine<T: Datatype>(left: &[T], right: &[T], op: &Op<'_, T>) -> Vec<T> {
    left.iter()
        .zip(right)
        .map(|(&left, &right)| (op.combine)(left, right))
        .collect()
}

/// A result of the buffer's kind.
fn filled<B: Buffer + ?Sized>(buffer: &B, items: &[B::Item]) -> Result<B::Owned> {
    let expected = buffer.items().len();
    if items.len() != expected {
        return Err(different(expected, items.len()));
    }
    let fill = |start: *mut B::Item| {
        // SAFETY: `collect` makes room for as many items.
        unsafe { start.copy_from_nonoverlapping(items.as_ptr(), items.len()) };
        Ok(())
    };
    // SAFETY: all items are written.
    unsafe { buffer.collect(fill) }
}

fn different(own: usize, other: usize) -> Error {
    let sentence =
        format!("another rank has {other} items, this one {own}: all must have equally many");
    Error::new(ErrorClass::COUNT, sentence)
}
