//! The end of an operation: its request is handed back to whoever waits for it.

use core::sync::atomic::Ordering;
use std::sync::PoisonError;

use crate::engine::Engine;
use crate::engine::requests::{Body, Kind, Parent, RequestRef};
use crate::sync::threaded;

impl Engine {
    /// A request is done: hand it back to its caller, or remove it when nobody will come for it.
    #[inline]
    pub(in crate::engine) fn complete(&self, request: RequestRef) {
        // SAFETY: whoever completes a request owns its body.
        let body = unsafe { request.body() };
        if body.extra.is_some() {
            self.complete_extra(body);
        }
        if request.finish() {
            self.remove_request(request);
        } else if threaded() {
            self.progress.waiting().something_finished();
        }
    }

    /// [`Engine::complete`] for a request with more to it.
    #[cold]
    fn complete_extra(&self, body: &mut Body) {
        match body.extra().parent.take() {
            Some(parent) => self.part_done(body, parent),
            None => self.note_arrival(body),
        }
    }

    /// A part of a request is done. Its body is still ours.
    #[cold]
    pub(super) fn part_done(&self, part: &mut Body, parent: Parent) {
        let parts = &parent.parts;
        let first_error = || parts.error.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = part.error.take() {
            first_error().get_or_insert(error);
        }
        if let Some((cycle, piece)) = &parent.piece {
            cycle.arrived(*piece);
        } else if part.kind == Kind::Recv {
            // SAFETY: until the last part is done the parent is nobody's but the receiving part's.
            let body = unsafe { parent.request.body() };
            body.status = part.status;
        }
        // Release for what is written above, acquire for whoever finishes the parent.
        if parts.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            if let Some(error) = first_error().take() {
                // SAFETY: with the last part the parent is ours.
                unsafe { parent.request.body() }.error = Some(error);
            }
            self.complete(parent.request);
        }
    }

    /// A receive has been matched with a message that arrived just now; the port is locked, or the
    /// message is this process's own, so that the next message of its sender has not arrived yet.
    #[inline]
    pub(super) fn note_arrival(&self, body: &mut Body) {
        let context = body.envelope.context;
        if let Some(extra) = &mut body.extra {
            extra.remember_arrival(|| self.lane(context).lock().arrived());
        }
    }

    /// Finishes a send whose receiver has the data, or reads them no more.
    pub(super) fn delivered(&self, request: RequestRef) {
        // SAFETY: nobody else works on the send, so it is ours.
        unsafe { request.body() }.unregister();
        self.complete(request);
    }

    /// Finishes a send that was taken back.
    pub(in crate::engine) fn cancelled(&self, request: RequestRef) {
        // SAFETY: taken back, so the send is ours.
        unsafe { request.body() }.status.cancelled = true;
        self.delivered(request);
    }
}
