//! What is to run, where, and how other hosts are reached: decided before anything starts, and told
//! to every agent.

mod placement;
mod remote;
mod spec;

pub(crate) use placement::{Placement, Share, place};
pub(crate) use remote::{AGENT, Remote, UNRUN, Verdict};
pub(crate) use spec::{Program, Spec};
