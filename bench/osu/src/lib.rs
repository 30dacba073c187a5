//! The face of the OSU micro-benchmarks 7.4: which options a program takes, what it measures by
//! default, and how it prints. Scripts that read OSU's output read ours.
//!
//! There is no MPI in here: the programs (crate `ferrite-bench`) do the transfers, and whoever runs
//! them (`cargo bench`) reads their tables back with [`read`].

#![forbid(unsafe_code)]

mod options;
mod pattern;
pub mod read;
mod samples;
mod table;

pub use options::{Buffers, Element, Kind, Options, Plan, Program, Request, parse};
pub use pattern::Pattern;
pub use samples::Samples;
pub use table::{Extremes, Overlap, OverlapTable, Row, Table, VariedTable};
