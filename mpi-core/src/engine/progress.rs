//! Progress: receive what has arrived, send what waits for room.

use core::sync::atomic::Ordering;

use ferrite_shm::ShmPort;

use super::Engine;
use super::peer::{Outgoing, Peer};
use super::protocol::Receiver;
use super::request::RequestRef;
use crate::sync::threaded;

/// The receiving sides of the transports in use.
pub(super) struct Ports {
    /// None in a job of one, which receives from nobody.
    pub(super) shm: Option<ShmPort>,
}

impl Engine {
    /// Drives the transports once. Returns whether anything moved.
    #[inline]
    pub fn progress(&self) -> bool {
        let mut moved = false;
        if let Some(mut ports) = self.port.try_lock() {
            moved = self.poll(&mut ports);
        }
        if self.has_backlog.load(Ordering::Relaxed) {
            moved |= self.work_off();
        }
        if !moved && self.has_helps.load(Ordering::Relaxed) {
            moved = self.help();
        }
        moved
    }

    #[inline]
    pub(super) fn poll(&self, ports: &mut Ports) -> bool {
        ports
            .shm
            .as_mut()
            .is_some_and(|shm| shm.poll_into(&mut Receiver(self)) > 0)
    }

    /// Puts a link on the list of those with work.
    pub(super) fn enlist(&self, peer: &Peer, out: &mut Outgoing) {
        if !out.listed {
            out.listed = true;
            self.backlog.lock().push(peer.process);
            self.has_backlog.store(true, Ordering::Relaxed);
        }
    }

    /// Gives every link with work another try. Returns whether any frame went out.
    #[cold]
    fn work_off(&self) -> bool {
        let listed = std::mem::take(&mut *self.backlog.lock());
        let mut moved = false;
        let mut still = Vec::new();
        for process in listed {
            let mut out = self.peer(process).out.lock();
            let before = left(&out);
            self.pump(&mut out);
            moved |= left(&out) != before;
            if out.has_work() {
                still.push(process);
            } else {
                out.listed = false;
            }
        }
        let mut backlog = self.backlog.lock();
        backlog.extend(still);
        self.has_backlog
            .store(!backlog.is_empty(), Ordering::Relaxed);
        moved
    }

    /// Whether frames wait for room, so that sleeping until something arrives could be forever.
    pub(super) fn has_backlog(&self) -> bool {
        self.has_backlog.load(Ordering::Relaxed)
    }

    /// A request is done: hand it back to its caller, or remove it when nobody will come for it.
    #[inline]
    pub(super) fn complete(&self, request: RequestRef) {
        let handle = request.handle();
        // SAFETY: whoever completes a request owns its body.
        let body = unsafe { request.body() };
        if let Some(extra) = &mut body.extra
            && let Some(whole) = extra.whole.take()
        {
            self.part_done(body, whole);
        }
        if request.finish() {
            self.requests.discard(handle.0);
        } else if threaded() {
            self.waiting.something_finished();
        }
    }
}

/// What is left to send, as a value that changes when some of it goes.
fn left(out: &Outgoing) -> (usize, usize, usize) {
    let offset = out
        .streams
        .iter()
        .map(|stream| stream.end - stream.offset)
        .sum();
    (out.frames.len(), out.streams.len(), offset)
}
