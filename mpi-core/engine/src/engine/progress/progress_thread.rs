//! The progress thread, which there is on request only (`FERRITE_PROGRESS_THREAD`): it waits for
//! whatever arrives, so that operations go on while the program computes.
//!
//! It is a thread of the library like the program's own are under `MPI_THREAD_MULTIPLE`: locks are
//! taken, and a wait of the program is served by whichever of them drives. The program's reductions
//! may run on it.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::engine::Engine;
use crate::{Error, ErrorClass, Result};

pub(in crate::engine) struct ProgressThread {
    stop: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ProgressThread {
    pub(in crate::engine) const fn new() -> ProgressThread {
        ProgressThread {
            stop: AtomicBool::new(false),
            thread: Mutex::new(None),
        }
    }
}

impl Engine {
    /// Starts the thread if the settings ask for it.
    pub(in crate::engine) fn start_progress_thread(&'static self) -> Result<()> {
        if !self.settings.progress_thread {
            return Ok(());
        }
        let work = || self.wait_until(|| self.progress.thread.stop.load(Ordering::Acquire));
        let started = thread::Builder::new()
            .name("ferrite-progress".into())
            .spawn(work);
        let started = started.map_err(|error| {
            Error::new(
                ErrorClass::OTHER,
                format!("FERRITE_PROGRESS_THREAD: the thread cannot be started: {error}"),
            )
        })?;
        let thread = &self.progress.thread.thread;
        *thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(())
    }

    /// Ends the thread, if there is one.
    pub(in crate::engine) fn stop_progress_thread(&self) {
        let thread = &self.progress.thread.thread;
        let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Pairs with the acquire in the thread's loop.
            self.progress.thread.stop.store(true, Ordering::Release);
            self.progress.waiting.something_finished();
            // It panics when the library does, which has been told by then.
            let _ = thread.join();
        }
    }
}
