//! This machine: its names, its processors, what would keep a job from running on it, and whether
//! it reaches others.

mod bind;
mod examine;
mod here;
mod reach;

pub(crate) use bind::{Cores, available};
pub(crate) use examine::{clock, examine};
pub(crate) use here::Here;
pub(crate) use reach::{Listener, dial, parse_ports};
