//! Communicators that outlive their handles.
//!
//! What is under way in a communicator goes on when its handle is freed: with the same members, the same context and the same error handler
//! (MPI 5.0, section 7.4.3). So whatever outlasts a call refers to the communicator itself, never to its handle, which may soon be another's.
//!
//! Requests, of which every message has one, refer to it by address and count nothing. In return, freeing a handle looks through all
//! requests, and keeps the communicator if one refers to it; the next time it looks again. Everything else that outlasts a call (a matched
//! message, an error on its way to the program) has a reference that counts. A request comes to refer to a freed communicator only by
//! way of something that does so at that time: parts of a request, or a receive of a matched message, which lets go of its reference after
//! the receive is in the slab. Nobody else can, so what no request refers to now, none will.

use std::collections::HashSet;
use std::sync::Arc;

use super::Engine;
use super::comm::CommData;
use crate::handle::Comm;

impl Engine {
    /// Keeps a communicator whose handle has just been freed for as long as it is needed.
    pub(super) fn outlive_handle(&self, comm: Arc<CommData>) {
        comm.set_handle(Comm::NULL);
        self.freed.lock().push(comm);
        self.forget_freed();
    }

    /// Lets go of freed communicators that nothing is under way in any more.
    pub(super) fn forget_freed(&self) {
        let mut freed = std::mem::take(&mut *self.freed.lock());
        let mut needed = HashSet::new();
        self.requests.for_each(|request| {
            let comm = request.comm();
            if comm.handle() == Comm::NULL {
                needed.insert(core::ptr::from_ref(comm));
            }
        });
        freed.retain(|comm| needed.contains(&Arc::as_ptr(comm)));
        self.freed.lock().append(&mut freed);
    }
}
