//! An asymmetric pair of fences: free for the side that runs often, a system call for the side that
//! runs rarely.
//!
//! Sender: write a slot, [`light`], read the hot flag. Receiver: clear the hot flag, [`heavy`],
//! look at the slot. As between two sequentially consistent fences, at least one of them sees the
//! other's write, so a frame is never left behind in a ring that nobody looks at. `light` is a
//! compiler fence only; `heavy` makes every registered process on every processor pass a real one
//! (membarrier, GLOBAL_EXPEDITED).
//!
//! Under loom and with `--cfg full_fences` (for ThreadSanitizer) both are real fences.

use crate::atomic::{Ordering, fence};

/// Makes this process take part in the heavy fences of others. Returns whether the system can do
/// it; if not, this process must not rely on [`light`] (see [`crate::Producer::always_cold`]) nor
/// on [`heavy`] (see [`crate::Inbox::new`]).
pub fn register() -> bool {
    REAL || crate::sys::register_barrier()
}

const REAL: bool = cfg!(any(loom, full_fences));

/// The sender's side.
#[inline(always)]
pub fn light() {
    if REAL {
        fence(Ordering::SeqCst);
    } else {
        core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    }
}

/// The receiver's side.
#[cold]
pub fn heavy() {
    fence(Ordering::SeqCst);
    if !REAL {
        crate::sys::barrier();
    }
}

/// Between two sequentially consistent accesses: nothing, for their order is already total. Loom
/// knows them as acquire and release only and needs the fence.
#[inline(always)]
pub(crate) fn sequential() {
    if cfg!(loom) {
        fence(Ordering::SeqCst);
    }
}
