//! The benchmark programs: what they measure, on any MPI library that has the standard ABI.
//!
//! Each program is one module with a `main`; `job` is the frame around them (options,
//! initialisation, one message on failure), `messages` the buffers, `operation` those of a
//! collective operation. What they accept and print is the business of `ferrite-osu`.

#![forbid(unsafe_code)]

pub mod bandwidth;
pub mod bidirectional;
pub mod collective;
mod job;
pub mod latency;
mod messages;
mod operation;
pub mod overlap;
pub mod rate;
pub mod startup;
