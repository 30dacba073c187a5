//! Nonblocking collective operations (MPI 5.0, section 6.12). All members start them in the same
//! order, among the blocking ones too; what is computed meanwhile overlaps.

use core::mem::size_of_val;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use ferrite_engine::{Engine, Request as Handle, SENT};

use crate::collective::{Into, Out};
use crate::datatype::engine_items;
use crate::op::Op;
use crate::reduction::{Operation, Panic};
use crate::scope::keep_collective;
use crate::universe::enter;
use crate::{Buffer, BufferMut, Communicator, Datatype, Error, ErrorClass, Request, Result, Scope};

impl Communicator {
    /// Starts a barrier: it is complete when all members have started it.
    ///
    /// # Errors
    /// When a member is lost.
    pub fn ibarrier<'scope>(&self, scope: &'scope Scope<'scope, '_>) -> Result<Request<'scope>> {
        let engine = enter()?;
        let handle = engine.ibarrier(self.comm())?;
        Ok(started(scope, engine, handle, nothing))
    }

    /// Starts to give the root's items to all.
    ///
    /// # Errors
    /// As [`Communicator::broadcast`].
    pub fn ibroadcast<'scope, B: BufferMut + ?Sized>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope mut B,
        root: usize,
    ) -> Result<Request<'scope>> {
        let (engine, root_rank) = (enter()?, self.checked_root(root)?);
        let items = buffer.items_mut();
        // SAFETY: the items are borrowed until the scope ends.
        let both = unsafe { Into::filled(items) };
        let (count, of) = engine_items::<B::Item>(items.len());
        // SAFETY: the items are borrowed, and the packed form is the operation's, until it is
        // complete.
        let handle = unsafe { engine.ibcast(both.start(), count, of, root_rank, self.comm())? };
        Ok(started(scope, engine, handle, move || {
            both.finish();
            None
        }))
    }

    /// Starts to give all members' items to all, in the order of rank: `into` has room for as many
    /// from each.
    ///
    /// # Errors
    /// When there is other room; as [`Communicator::all_gather`].
    pub fn iall_gather<'scope, B, C>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope B,
        into: &'scope mut C,
    ) -> Result<Request<'scope>>
    where
        B: Buffer + ?Sized,
        C: BufferMut<Item = B::Item> + ?Sized,
    {
        let (engine, items, room) = (enter()?, buffer.items(), into.items_mut());
        check_room(room, items.len() * self.size())?;
        let (count, of) = engine_items::<B::Item>(items.len());
        exchanging(scope, engine, (items, room), nothing, |from, to| {
            // SAFETY: as `exchanging` promises.
            unsafe { engine.iallgather(from, count, of, to, count, of, self.comm()) }
        })
    }

    /// Starts to give each member an equal part of everybody's items: `into` has room for as many
    /// as the member gives.
    ///
    /// # Errors
    /// When there is other room; as [`Communicator::all_to_all`].
    pub fn iall_to_all<'scope, B, C>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope B,
        into: &'scope mut C,
    ) -> Result<Request<'scope>>
    where
        B: Buffer + ?Sized,
        C: BufferMut<Item = B::Item> + ?Sized,
    {
        let (engine, items, room) = (enter()?, buffer.items(), into.items_mut());
        let width = self.equal_part(items.len(), "iall_to_all deals out equal ones")?;
        check_room(room, items.len())?;
        let (count, of) = engine_items::<B::Item>(width);
        exchanging(scope, engine, (items, room), nothing, |from, to| {
            // SAFETY: as `exchanging` promises.
            unsafe { engine.ialltoall(from, count, of, to, count, of, self.comm()) }
        })
    }

    /// Starts to combine all members' items, item by item, for all: `into` has room for as many as
    /// the buffer has.
    ///
    /// ```
    /// use mpi_core::op;
    /// # let universe = mpi_core::init()?;
    /// let world = universe.world();
    /// let (mine, mut sum) = ([1, 2], [0; 2]);
    /// mpi_core::scope(|s| {
    ///     let all = world.iall_reduce(s, &mine, &mut sum, op::sum())?;
    ///     // Computation that does not need the sum.
    ///     all.wait()?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(sum, [world.size() as i32, 2 * world.size() as i32]);
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When there is other room; as [`Communicator::all_reduce`].
    pub fn iall_reduce<'scope, B, C>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope B,
        into: &'scope mut C,
        op: Op<'scope, B::Item>,
    ) -> Result<Request<'scope>>
    where
        B: Buffer + ?Sized,
        C: BufferMut<Item = B::Item> + ?Sized,
    {
        let (engine, items, room) = (enter()?, buffer.items(), into.items_mut());
        check_room(room, items.len())?;
        let operation = Operation::new(op, items.len())?;
        let ((count, of), handle) = (operation.of, operation.handle);
        let after = move || operation.panic();
        exchanging(scope, engine, (items, room), after, |from, to| {
            // SAFETY: as `exchanging` promises; it keeps the closure, too.
            unsafe { engine.iallreduce(from, to, count, of, handle, self.comm()) }
        })
    }

    /// Starts to combine all members' items, item by item, for the root, which says where to:
    /// `into` has room for as many as the buffer has. Others may say `None`.
    ///
    /// # Errors
    /// When the root has no room, or other room; as [`Communicator::reduce`].
    pub fn ireduce<'scope, B, C>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        buffer: &'scope B,
        into: Option<&'scope mut C>,
        op: Op<'scope, B::Item>,
        root: usize,
    ) -> Result<Request<'scope>>
    where
        B: Buffer + ?Sized,
        C: BufferMut<Item = B::Item> + ?Sized,
    {
        let (engine, root_rank, items) = (enter()?, self.checked_root(root)?, buffer.items());
        let room = match into.filter(|_| self.rank() == root) {
            Some(into) => into.items_mut(),
            None => &mut [],
        };
        if self.rank() == root {
            check_room(room, items.len())?;
        }
        let operation = Operation::new(op, items.len())?;
        let ((count, of), handle) = (operation.of, operation.handle);
        let after = move || operation.panic();
        exchanging(scope, engine, (items, room), after, |from, to| {
            // SAFETY: as `exchanging` promises; it keeps the closure, too.
            unsafe { engine.ireduce(from, to, count, of, handle, root_rank, self.comm()) }
        })
    }
}

/// What follows where nothing does.
fn nothing() -> Option<Panic> {
    None
}

/// Has `start` start an operation that sends some items and receives into room for others, which
/// are borrowed, or packed in memory of the operation's own, until it is complete. `after` and what
/// it has are kept as long; it runs then.
fn exchanging<'scope, T: Datatype>(
    scope: &'scope Scope<'scope, '_>,
    engine: &'static Engine,
    (items, room): (&'scope [T], &'scope mut [T]),
    after: impl FnOnce() -> Option<Panic> + 'scope,
    start: impl FnOnce(*const u8, *mut u8) -> core::result::Result<Handle, ferrite_engine::Error>,
) -> Result<Request<'scope>> {
    let out = Out::new(items);
    // SAFETY: the room is borrowed for the scope.
    let into = unsafe { Into::new(room.as_mut_ptr(), room.len()) };
    let handle = start(out.start(), into.start())?;
    Ok(started(scope, engine, handle, move || {
        drop(out);
        into.finish();
        after()
    }))
}

/// A request of the scope's. `then`, which has what the operation needs, runs when it is complete.
fn started<'scope>(
    scope: &'scope Scope<'scope, '_>,
    engine: &'static Engine,
    handle: Handle,
    then: impl FnOnce() -> Option<Panic> + 'scope,
) -> Request<'scope> {
    let then: Box<dyn FnOnce() -> Option<Panic> + 'scope> = match handle {
        // Complete already.
        SENT => match catch_unwind(AssertUnwindSafe(then)).unwrap_or_else(Some) {
            None => return Request::complete(),
            // It panics where it would had it completed later: members must not differ in what they
            // start after it.
            panic => Box::new(move || panic),
        },
        _ => Box::new(then),
    };
    // SAFETY: `then` lives as long as the scope.
    unsafe { keep_collective(scope, engine, handle, then) }
}

fn check_room<T>(room: &[T], items: usize) -> Result<()> {
    if room.len() == items {
        return Ok(());
    }
    let sentence = format!(
        "there is room for {} items ({} bytes) where {items} will come",
        room.len(),
        size_of_val(room)
    );
    Err(Error::new(ErrorClass::COUNT, sentence))
}
