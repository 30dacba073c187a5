//! Communicators that outlive their handles.
//!
//! What is under way in a communicator goes on when its handle is freed: with the same members, the
//! same context and the same error handler (MPI 5.0, section 7.4.3). So whatever outlasts a call
//! refers to the communicator itself, never to its handle, which may soon be another's.
//!
//! A request, of which every message has one, has its communicator by address and counts nothing.
//! Everything else that outlasts a call (a matched message, an error on its way to the program) has
//! a reference that counts. In return, a freed communicator stays on a list, and whenever one is
//! freed the list is gone through: a communicator stays while something has a reference, or any
//! request in the slab its address.
//!
//! A request comes to a freed communicator only by way of what keeps that: another request in the
//! slab, or a matched message, which gives its reference up after its receive is in the slab. So
//! references are looked at before requests: what neither has then, nobody will.

use core::sync::atomic::{Ordering, fence};
use std::collections::HashSet;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::handle::Comm;

impl Engine {
    /// Keeps a communicator whose handle has just been freed for as long as it is needed.
    pub(super) fn outlive_handle(&self, comm: Arc<CommData>) {
        comm.set_handle(Comm::NULL);
        self.constructors.freed.lock().push(comm);
        self.forget_freed();
    }

    /// Lets go of freed communicators that nothing is under way in any more.
    pub(in crate::engine) fn forget_freed(&self) {
        let mut freed = std::mem::take(&mut *self.constructors.freed.lock());
        // One that had a handle again for a while is there twice.
        freed.sort_unstable_by_key(Arc::as_ptr);
        freed.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let (unshared, mut still): (Vec<_>, Vec<_>) = freed
            .into_iter()
            .partition(|comm| Arc::strong_count(comm) == 1);
        // Pairs with the release of whoever gave the last reference up: what it has put into the
        // slab before is seen below.
        fence(Ordering::Acquire);
        let mut needed = HashSet::new();
        if !unshared.is_empty() {
            self.requests.for_each(|request| {
                let comm = request.comm();
                if comm.handle() == Comm::NULL {
                    needed.insert(core::ptr::from_ref(comm));
                }
            });
        }
        let is_needed = |comm: &Arc<CommData>| needed.contains(&Arc::as_ptr(comm));
        still.extend(unshared.into_iter().filter(is_needed));
        self.constructors.freed.lock().append(&mut still);
    }

    /// Runs `f` with a handle of a communicator, for an error handler of the program. A freed one
    /// has a handle again for as long as that takes, so that the program may ask it for its name or
    /// its size.
    pub fn with_handle<T>(&self, comm: &Arc<CommData>, f: impl FnOnce(Comm) -> T) -> T {
        if comm.handle() != Comm::NULL {
            return f(comm.handle());
        }
        let lent = self.comms.table().insert(comm.clone());
        let answer = f(lent.as_ref().map_or(Comm::NULL, |handle| Comm(*handle)));
        // The program may have started something in it.
        if let Some(lent) = lent
            .ok()
            .and_then(|handle| self.comms.table().remove(handle))
        {
            self.outlive_handle(lent);
        }
        answer
    }

    /// How many freed communicators are kept.
    #[cfg(test)]
    pub(in crate::engine) fn freed_count(&self) -> usize {
        self.constructors.freed.lock().len()
    }
}
