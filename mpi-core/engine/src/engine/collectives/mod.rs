//! Execution of collective operations over the engine's messages and boards (MPI 5.0, chapter 6).
//! What is executed, the algorithms, stands in [`crate::collective`].

mod calls;
mod executor;
mod forms;

pub use calls::{Types, Vectors, Waits, check_reduce_local};
pub(in crate::engine) use executor::CommCarrier;

use crate::collective::Scratch;
use crate::sync::{Class, ClassLock};

/// Collective operations under way.
pub(in crate::engine) struct Collectives {
    /// Those that nobody waits for in particular.
    under_way: forms::UnderWay,
    /// Scratch memory, while no operation uses it.
    scratch: ClassLock<Scratch>,
}

impl Collectives {
    pub(in crate::engine) fn new() -> Collectives {
        Collectives {
            under_way: forms::UnderWay::new(),
            scratch: ClassLock::new(Class::Leaf, Scratch::default()),
        }
    }

    /// Whether there is something for progress to do.
    #[inline]
    pub(in crate::engine) fn any_under_way(&self) -> bool {
        self.under_way.any()
    }
}
