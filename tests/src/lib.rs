//! What the whole-program tests stand on: a prefix, C programs built with its `mpicc`, jobs run by
//! its `mpiexec`.
//!
//! A test that needs something the machine may lack begins with `if !needs("cmake") { return; }`.
#![forbid(unsafe_code)]

mod everywhere;
mod job;
mod lab;
mod leftovers;
mod needs;
mod prefix;
mod program;
mod sockets;
mod stacks;

pub use everywhere::{everywhere, on, passes};
pub use ferrite_fabric_testing::depth::{full, only_full, pick};
pub use job::{Job, Outcome, Running};
pub use lab::{Lab, Process};
pub use leftovers::Leftovers;
pub use needs::{needs, peer, seconds, seed};
pub use prefix::{Prefix, prefix};
pub use program::{c, cc, cxx, sources};
pub use sockets::{descriptors, listening, memory_files, resident};
