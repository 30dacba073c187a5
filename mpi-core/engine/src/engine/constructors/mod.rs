//! How communicators are made and freed (MPI 5.0, sections 7.4.2, 7.6 and 8.5).

mod construct;
mod freed;
mod intercomm;
mod split_type;
mod topologies;

pub(in crate::engine) use construct::GROUP_TAGS;
pub use split_type::{RESOURCE_KEY, SplitType};
pub use topologies::Edge;

use std::sync::Arc;

use crate::engine::communicators::CommData;
use crate::errhandler::Attached;
use crate::handle::Comm;
use crate::sync::{Class, ClassLock};

/// Communicators at the beginning and at the end of their lives.
pub(in crate::engine) struct Constructors {
    /// Those that were freed while something was under way in them.
    freed: ClassLock<Vec<Arc<CommData>>>,
    /// Those that have a name and are still to be made, with an error handler that they shall have
    /// then.
    unborn: ClassLock<Vec<(Comm, Option<Attached>)>>,
}

impl Constructors {
    pub(in crate::engine) fn new() -> Constructors {
        Constructors {
            freed: ClassLock::new(Class::Leaf, Vec::new()),
            unborn: ClassLock::new(Class::Leaf, Vec::new()),
        }
    }
}
