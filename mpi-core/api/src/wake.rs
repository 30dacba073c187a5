//! Waking who awaits an operation.
//!
//! With several threads, one thread of this crate waits in the engine for all operations that are awaited; it exists from the first
//! of them, and sleeps whenever the engine does, or when there are none. With one thread, [`block_on`] itself waits in the
//! engine; other executors are asked to poll again, since nothing else could drive progress.
//!
//! An entry's handle names its request as long as the entry is in the list: whoever completes a request takes its entry out first.

use core::cell::Cell;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};

use ferrite_engine::{Engine, Request as Handle};

use crate::universe::has_threads;

struct Watched {
    awaited: Vec<(Handle, Waker)>,
    /// Whether the thread exists.
    thread: bool,
    stopped: bool,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    awaited: Vec::new(),
    thread: false,
    stopped: false,
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
    let mut list = watched();
    list.awaited.push((handle, waker.clone()));
    if !has_threads() {
        return true;
    }
    if !list.thread {
        let work = move || wait_for_all(engine);
        match thread::Builder::new().name("mpi-wake".into()).spawn(work) {
            Ok(_) => list.thread = true,
            // Without the thread, polling again is all that remains.
            Err(_) => waker.wake_by_ref(),
        }
    }
    MORE.notify_one();
    true
}

/// Takes a request out of the list.
pub(crate) fn unwatch(handle: Handle) {
    watched().awaited.retain(|entry| entry.0 != handle);
}

/// Before finalisation: nothing is awaited any more.
pub(crate) fn stop() {
    let mut list = watched();
    list.stopped = true;
    list.awaited.clear();
    MORE.notify_one();
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
        list.awaited.is_empty() || list.awaited.iter().any(|entry| engine.is_done(entry.0))
    });
    let done: Vec<_> = watched()
        .awaited
        .extract_if(.., |entry| engine.is_done(entry.0))
        .collect();
    // No lock is held: a waker is the program's code.
    for (_, waker) in done {
        waker.wake();
    }
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

/// Runs a future to its end in this thread: the smallest executor there is. Requests can be awaited in any other executor too.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        let before = IN_BLOCK_ON.replace(true);
        let polled = future.as_mut().poll(&mut context);
        IN_BLOCK_ON.set(before);
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
