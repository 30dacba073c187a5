//! How communicators are made and freed (MPI 5.0, sections 7.4.2, 7.6 and 8.5).

mod construct;
mod freed;
mod intercomm;
mod split_type;
mod topologies;

pub(in crate::engine) use construct::GROUP_TAGS;
pub(crate) use construct::check_intra;
pub use split_type::{RESOURCE_KEY, SplitType};
pub use topologies::Edge;
