//! `libmpi_abi.so.1`: the MPI 5.0 standard ABI over the engine.
//!
//! Every function of the standard is exported under two names. `MPI_X` and `PMPI_X` are jumps to
//! one private body (`entry`), so a tool that defines `MPI_X` and calls `PMPI_X` sees every call of
//! the program and none of the library's. Nothing in here calls an exported name.
//!
//! The library holds no MPI semantics: a body converts arguments (`types`, `convert`), calls the
//! engine, and stores the results; errors go to the one place that runs error handlers (`error`).
//! The bodies are generated from `ffi/table`, except those in `by_hand`.

mod by_hand;
mod convert;
mod entry;
mod error;
mod foreign;
mod interface;
#[rustfmt::skip]
#[allow(
    unused_unsafe,
    unused_variables,
    clippy::too_many_arguments,
    clippy::unnecessary_cast,
    clippy::undocumented_unsafe_blocks,
    reason = "the generator writes every body in the same form; what makes it sound stands in \
        `entry`"
)]
mod generated;
mod sys;
mod types;
