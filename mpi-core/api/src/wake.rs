//! Waking who awaits an operation.
//!
//! With several threads, one thread of this crate waits in the engine for all operations that are
//! awaited; it exists from the first of them, and sleeps whenever the engine does, or when there
//! are none. With one thread, [`block_on`] itself waits in the engine; other executors are asked to
//! poll again, since nothing else could drive progress.
//!
//! An entry's handle names its request as long as the entry is in the list: whoever completes a
//! request takes its entry out first.
//!
//! A waker is the program's code, whose clone, wake and drop may do anything, such as drop a
//! request of this crate or finalise MPI: none of them happens while the list is locked.

use core::cell::Cell;
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::panic::catch_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};

use ferrite_engine::{Engine, Request as Handle};

use crate::universe::has_threads;

struct Watched {
    awaited: Vec<(Handle, Waker)>,
    /// Whether the thread exists.
    thread: bool,
    /// Finalisation has begun: nobody waits in the engine for these requests any more.
    stopped: bool,
    /// MPI is finalised: nothing is awaited any more.
    over: bool,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    awaited: Vec::new(),
    thread: false,
    stopped: false,
    over: false,
});
static MORE: Condvar = Condvar::new();

thread_local! {
    static IN_BLOCK_ON: Cell<bool> = const { Cell::new(false) };
}

fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a waker called once the request is done. Whether the request has been put into the list.
pub(crate) fn watch(engine: &'static Engine, handle: Handle, waker: &Waker) -> bool {
    if !has_threads() && !IN_BLOCK_ON.get() {
        thread::yield_now();
        waker.wake_by_ref();
        return false;
    }
    let entry = (handle, waker.clone());
    let mut list = watched();
    if list.over {
        drop(list);
        // Polled again, it learns of that.
        waker.wake_by_ref();
        return false;
    }
    list.awaited.push(entry);
    let mut nobody_wakes = false;
    if has_threads() && !list.thread && !list.stopped {
        let work = move || wait_for_all(engine);
        let started = thread::Builder::new().name("mpi-wake".into()).spawn(work);
        list.thread = started.is_ok();
        nobody_wakes = started.is_err();
    }
    drop(list);
    MORE.notify_one();
    if nobody_wakes {
        // Polling again is all that remains.
        waker.wake_by_ref();
    }
    true
}

/// Takes a request out of the list.
pub(crate) fn unwatch(handle: Handle) {
    take_out(|entry| entry.0 == handle);
}

/// Takes entries out of the list, to be dropped when it is not locked any more.
fn take_out(which: impl Fn(&(Handle, Waker)) -> bool) -> Vec<(Handle, Waker)> {
    watched()
        .awaited
        .extract_if(.., |entry| which(entry))
        .collect()
}

/// Before finalisation: the thread does not wait in the engine any more.
pub(crate) fn stop() {
    watched().stopped = true;
    MORE.notify_one();
}

/// After finalisation: wakes whoever still awaits something, which learns then that it will not
/// come.
pub(crate) fn wake_all() {
    watched().over = true;
    wake_each(take_out(|_| true));
}

/// A waker that panics keeps no other from being called.
fn wake_each(entries: Vec<(Handle, Waker)>) {
    for (_, waker) in entries {
        // The panic was told by its hook. Its payload is the program's, too, and is not dropped:
        // that may panic again.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            core::mem::forget(payload);
        }
    }
}

fn wait_for_all(engine: &'static Engine) {
    loop {
        let mut list = watched();
        while list.awaited.is_empty() && !list.stopped {
            list = MORE.wait(list).unwrap_or_else(PoisonError::into_inner);
        }
        if list.stopped {
            return;
        }
        drop(list);
        wait_for_some(engine);
    }
}

/// Waits until something that is awaited is done, or nothing is awaited, and wakes.
fn wait_for_some(engine: &Engine) {
    engine.wait_until(|| {
        let list = watched();
        list.stopped
            || list.awaited.is_empty()
            || list.awaited.iter().any(|entry| engine.is_done(entry.0))
    });
    wake_each(take_out(|entry| engine.is_done(entry.0)));
}

/// Wakes a thread that is parked in [`block_on`].
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the acquire in `block_on`.
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// This thread polls in [`block_on`]; dropped, also by a panic, it does what it did before.
struct Inside(bool);

impl Drop for Inside {
    fn drop(&mut self) {
        IN_BLOCK_ON.set(self.0);
    }
}

/// Runs a future to its end in this thread: the smallest executor there is. Requests can be awaited
/// in any other executor too.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        let inside = Inside(IN_BLOCK_ON.replace(true));
        let polled = future.as_mut().poll(&mut context);
        drop(inside);
        if let Poll::Ready(output) = polled {
            return output;
        }
        // Acquire: pairs with the release in `wake`.
        while !unpark.woken.swap(false, Ordering::Acquire) {
            let alone = !has_threads() && !watched().awaited.is_empty();
            match crate::universe::enter() {
                Ok(engine) if alone => wait_for_some(engine),
                _ => thread::park(),
            }
        }
    }
}
