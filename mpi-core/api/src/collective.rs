//! Collective operations that the engine has as such (MPI 5.0, sections 6.3 to 6.9). All members of
//! the communicator call them, in the same order, with the same root, the same operation, and
//! equally many items.
//!
//! The memory of results is zeroed before the engine writes to it (see `buffer`): a member that
//! sends fewer items than the others think must not make them see memory that was never written.

use ferrite_engine::{Datatype as Predefined, Op as Handle};

use crate::buffer::{collect_vec, too_many};
use crate::datatype::{engine_items, packed, unpack_items};
use crate::op::Op;
use crate::reduction::with_operation;
use crate::universe::enter;
use crate::{Buffer, BufferMut, Communicator, Datatype, Error, ErrorClass, Result};
use ferrite_fabric::OwnedBuf;

/// Where `items` items begin that an engine's collective operation is told of: null where they have
/// no bytes. An empty vector, or one of items without a size, says that they are at some address
/// where nothing is, such as the one that means "in place" to the engine.
fn begin<T: Datatype>(start: *mut T, items: usize) -> *mut u8 {
    match items * size_of::<T>() {
        0 => core::ptr::null_mut(),
        _ => start.cast(),
    }
}

/// The same of a packed form.
fn begin_packed(bytes: &OwnedBuf) -> *mut u8 {
    let bytes = bytes.buf_mut();
    begin(bytes.ptr, bytes.len)
}

/// Items to be sent, as the engine wants them.
pub(crate) struct Out<T: Datatype> {
    items: *const T,
    count: usize,
    packed: Option<OwnedBuf>,
}

impl<T: Datatype> Out<T> {
    pub(crate) fn new(items: &[T]) -> Out<T> {
        Out {
            items: items.as_ptr(),
            count: items.len(),
            packed: (!T::PLAIN).then(|| packed(items)),
        }
    }

    pub(crate) fn start(&self) -> *const u8 {
        match &self.packed {
            Some(bytes) => begin_packed(bytes),
            None => begin(self.items.cast_mut(), self.count),
        }
    }
}

/// Room for items to be received, as the engine wants it.
pub(crate) struct Into<T: Datatype> {
    items: *mut T,
    count: usize,
    packed: Option<OwnedBuf>,
}

impl<T: Datatype> Into<T> {
    /// # Safety
    /// `items` is writable for `count` items as long as this is used, and any bytes may stay where
    /// nothing is received if the type is plain.
    pub(crate) unsafe fn new(items: *mut T, count: usize) -> Into<T> {
        Into {
            items,
            count,
            packed: (!T::PLAIN).then(|| OwnedBuf::zeroed(count * T::PACKED)),
        }
    }

    /// Room that has items already.
    ///
    /// # Safety
    /// As of [`Into::new`].
    pub(crate) unsafe fn filled(items: &mut [T]) -> Into<T> {
        Into {
            items: items.as_mut_ptr(),
            count: items.len(),
            packed: (!T::PLAIN).then(|| packed(items)),
        }
    }

    pub(crate) fn start(&self) -> *mut u8 {
        match &self.packed {
            Some(bytes) => begin_packed(bytes),
            None => begin(self.items, self.count),
        }
    }

    /// All items have been received.
    pub(crate) fn finish(self) {
        if let Some(bytes) = self.packed {
            // SAFETY: promised to `new`; any bytes can be unpacked.
            unsafe { unpack_items(bytes.buf().ptr, self.count, self.items) };
        }
    }
}

impl Communicator {
    /// Returns when all members have called it.
    ///
    /// # Errors
    /// When a member is lost.
    pub fn barrier(&self) -> Result<()> {
        Ok(enter()?.barrier(self.comm())?)
    }

    /// The root's items for all.
    ///
    /// # Errors
    /// When the root is no rank of this communicator, or a member is lost.
    pub fn broadcast<B: BufferMut + ?Sized>(&self, buffer: &mut B, root: usize) -> Result<()> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items_mut();
        let (count, of) = engine_items::<B::Item>(items.len());
        // SAFETY: the items are borrowed until the call returns.
        let both = unsafe { Into::filled(items) };
        // SAFETY: as above; the packed form is here as long.
        unsafe { engine.bcast(both.start(), count, of, root_rank, self.comm())? };
        both.finish();
        Ok(())
    }

    /// The root's vector for all, whatever its length.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn broadcast_vec<T: Datatype>(&self, items: &mut Vec<T>, root: usize) -> Result<()> {
        let mut length = items.len();
        self.broadcast(&mut length, root)?;
        if self.rank() == root {
            return self.broadcast(&mut items[..], root);
        }
        // A value for every place: what is zero in packed form.
        let zeros = vec![0u8; T::PACKED];
        let fill = |start: *mut T| {
            if !T::PLAIN {
                for at in 0..length {
                    // SAFETY: there is room for so many items; any bytes of its packed length make
                    // a value.
                    unsafe { T::unpack(zeros.as_ptr(), start.add(at)) };
                }
            }
            Ok(())
        };
        // SAFETY: all items are written unless they are plain.
        *items = unsafe { collect_vec(length, fill)? };
        self.broadcast(&mut items[..], root)
    }

    /// All members' items for the root, in the order of rank. `None` elsewhere.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn gather<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        root: usize,
    ) -> Result<Option<Vec<B::Item>>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items();
        let out = Out::new(items);
        let (count, of) = engine_items::<B::Item>(items.len());
        // SAFETY: the items are borrowed until the call returns; at the root there is room for all
        // that is received.
        let gather = |into: *mut u8| unsafe {
            engine.gather(
                out.start(),
                count,
                of,
                into,
                count,
                of,
                root_rank,
                self.comm(),
            )
        };
        if self.rank() != root {
            gather(core::ptr::null_mut())?;
            return Ok(None);
        }
        let all = self.of_all(items)?;
        let fill = |start: *mut B::Item| {
            // SAFETY: `collect_vec` makes room.
            let into = unsafe { Into::new(start, all) };
            gather(into.start())?;
            into.finish();
            Ok(())
        };
        // SAFETY: all items are plain, or unpacked.
        unsafe { collect_vec(all, fill) }.map(Some)
    }

    /// All members' items for all, in the order of rank.
    ///
    /// ```
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// assert_eq!(world.all_gather(&world.rank())?, (0..world.size()).collect::<Vec<_>>());
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When a member is lost.
    pub fn all_gather<B: Buffer + ?Sized>(&self, buffer: &B) -> Result<Vec<B::Item>> {
        let engine = enter()?;
        let items = buffer.items();
        let out = Out::new(items);
        let (count, of) = engine_items::<B::Item>(items.len());
        let all = self.of_all(items)?;
        let fill = |start: *mut B::Item| {
            // SAFETY: `collect_vec` makes room; the items are borrowed until the call returns.
            unsafe {
                let into = Into::new(start, all);
                engine.allgather(out.start(), count, of, into.start(), count, of, self.comm())?;
                into.finish();
            }
            Ok(())
        };
        // SAFETY: all items are plain, or unpacked.
        unsafe { collect_vec(all, fill) }
    }

    /// All members' items, combined item by item, for all: a value for a value, a vector for a
    /// slice.
    ///
    /// ```
    /// use mpi_core::op;
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// let size = world.size();
    /// assert_eq!(world.all_reduce(&1, op::sum())?, size as i32);
    /// assert_eq!(world.all_reduce(&[1.0, 2.0], op::sum())?, [size as f64, 2.0 * size as f64]);
    /// let offset = 1;
    /// let largest = op::function(|a: u64, b| a.max(b) + offset - 1);
    /// assert_eq!(world.all_reduce(&vec![2u64, 3], largest)?, [2, 3]);
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When a member is lost.
    pub fn all_reduce<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
    ) -> Result<B::Owned> {
        let (engine, items) = (enter()?, buffer.items());
        self.reduced(buffer, op, items.len(), |out, into, (count, of), handle| {
            // SAFETY: `reduced` has room for the result; the items are borrowed until the call
            // returns.
            unsafe { engine.allreduce(out, into, count, of, handle, self.comm()) }
        })
    }

    /// A reduction whose result, of as many items as the buffer, is this member's: `run` is given
    /// what to send, room for the result, how many of what they are, and the operation.
    pub(crate) fn reduced<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
        items: usize,
        run: impl FnOnce(
            *const u8,
            *mut u8,
            (i64, Predefined),
            Handle,
        ) -> core::result::Result<(), ferrite_engine::Error>,
    ) -> Result<B::Owned> {
        let out = Out::new(buffer.items());
        let fill = |start: *mut B::Item| {
            with_operation(op, items, |of, handle| {
                // SAFETY: `collect` makes room.
                let into = unsafe { Into::new(start, items) };
                run(out.start(), into.start(), of, handle)?;
                into.finish();
                Ok(())
            })
        };
        // SAFETY: all items are plain, or unpacked.
        unsafe { buffer.collect(fill) }
    }

    /// All members' items, combined item by item, for the root. `None` elsewhere.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn reduce<B: Buffer + ?Sized>(
        &self,
        buffer: &B,
        op: Op<'_, B::Item>,
        root: usize,
    ) -> Result<Option<B::Owned>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items();
        let reduce = |out: *const u8, into: *mut u8, (count, of), handle| {
            // SAFETY: the items are borrowed until the call returns; at the root there is room for
            // the result.
            unsafe { engine.reduce(out, into, count, of, handle, root_rank, self.comm()) }
        };
        if self.rank() == root {
            return self.reduced(buffer, op, items.len(), reduce).map(Some);
        }
        let out = Out::new(items);
        with_operation(op, items.len(), |of, handle| {
            Ok(reduce(out.start(), core::ptr::null_mut(), of, handle)?)
        })?;
        Ok(None)
    }

    /// As many items for each member.
    fn of_all<T>(&self, items: &[T]) -> Result<usize> {
        let all = items.len().checked_mul(self.size());
        all.ok_or_else(|| too_many::<T>(usize::MAX))
    }

    pub(crate) fn checked_root(&self, root: usize) -> Result<i32> {
        if root >= self.size() {
            let sentence = format!(
                "root {root} is no rank of a communicator of {} processes",
                self.size()
            );
            return Err(Error::new(ErrorClass::ROOT, sentence));
        }
        Ok(root as i32)
    }
}
