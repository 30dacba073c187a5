//! Locks of the engine, in a fixed order, which collapse to a branch while only one thread may
//! enter.
//!
//! Order: [`Class::Port`] -> [`Class::Lane`] -> [`Class::Link`] -> [`Class::Leaf`]. A thread takes
//! them in this order only, at most one of a class at a time; debug builds assert it. No lock is
//! held across a user's callback or while waiting.

use core::cell::{Cell, UnsafeCell};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Whether more than one thread may be in the library at the same time. Changes only while none is.
static THREADED: AtomicBool = AtomicBool::new(true);

/// Whether locks are taken at all.
#[inline(always)]
pub(crate) fn threaded() -> bool {
    THREADED.load(Ordering::Relaxed)
}

/// Declares whether more than one thread, ours included, may enter from now on.
///
/// # Safety
/// No other thread is inside the library during the call, and after `set_threaded(false)` only one
/// at a time ever is.
pub(crate) unsafe fn set_threaded(threaded: bool) {
    THREADED.store(threaded, Ordering::Relaxed);
}

/// The place of a lock in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The receiving side of a transport.
    Port = 1,
    /// Matching.
    Lane = 2,
    /// The sending side of one peer.
    Link = 3,
    /// Slabs, tables, caches: nothing is locked while one is held.
    Leaf = 4,
}

thread_local! {
    /// Bit N is set while this thread holds a lock of class N.
    static HELD: Cell<u8> = const { Cell::new(0) };
}

/// The program's code is about to run: debug builds assert that this thread holds no lock of ours.
#[inline(always)]
pub(crate) fn assert_nothing_held() {
    if cfg!(debug_assertions) {
        let held = HELD.get();
        assert!(
            held == 0,
            "locks {held:#b} are held while the program's code runs"
        );
    }
}

/// Data behind a lock of a class.
pub(crate) struct ClassLock<T> {
    class: Class,
    lock: Mutex<()>,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached only through a guard, of which there is one at a time: by the mutex
// while threads may enter together, otherwise by the promise made to `set_threaded`.
unsafe impl<T: Send> Sync for ClassLock<T> {}
// SAFETY: the lock owns its data.
unsafe impl<T: Send> Send for ClassLock<T> {}

/// Exclusive access to the data of a [`ClassLock`].
pub(crate) struct Guard<'a, T> {
    lock: &'a ClassLock<T>,
    _held: Option<MutexGuard<'a, ()>>,
}

impl<T> ClassLock<T> {
    /// Data behind an unlocked lock.
    pub(crate) const fn new(class: Class, data: T) -> ClassLock<T> {
        ClassLock {
            class,
            lock: Mutex::new(()),
            data: UnsafeCell::new(data),
        }
    }

    /// Waits for the lock.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.enter();
        let held = threaded().then(|| self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        Guard {
            lock: self,
            _held: held,
        }
    }

    /// The lock, if nobody holds it now.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        let held = if threaded() {
            match self.lock.try_lock() {
                Ok(held) => Some(held),
                Err(TryLockError::Poisoned(held)) => Some(held.into_inner()),
                Err(TryLockError::WouldBlock) => return None,
            }
        } else {
            None
        };
        self.enter();
        Some(Guard {
            lock: self,
            _held: held,
        })
    }

    /// The data without the lock, for the shortest of paths.
    ///
    /// # Safety
    /// [`threaded`] is false, and this thread holds no guard of this lock.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // What a lock is for.
    pub(crate) unsafe fn alone(&self) -> &mut T {
        // SAFETY: nobody else is in the library, by the promise made to `set_threaded`, and no
        // guard is alive.
        unsafe { &mut *self.data.get() }
    }

    #[inline(always)]
    fn enter(&self) {
        if cfg!(debug_assertions) {
            HELD.with(|held| {
                let before = held.get();
                assert!(
                    before < 1 << self.class as u8,
                    "lock order: {:?} with {before:#b} held",
                    self.class
                );
                held.set(before | 1 << self.class as u8);
            });
        }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD.with(|held| held.set(held.get() & !(1 << self.lock.class as u8)));
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, see the `Sync` implementation of `ClassLock`.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}
