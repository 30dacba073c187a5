//! What is to run, where, and how other hosts are reached: decided before anything starts, and told
//! to every agent.

mod place;
mod remote;
mod spec;

pub(crate) use place::{Placement, Share, place};
pub(crate) use remote::{AGENT, Remote, UNRUN, Verdict};
pub(crate) use spec::{Program, Spec};
