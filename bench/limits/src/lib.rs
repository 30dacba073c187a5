//! What the machine itself can do, to put beside what a library makes of it.
//!
//! - [`cache_line`]: the time a cache line takes from one core to another, the floor of any latency
//!   in shared memory.
//! - [`copy`]: the bandwidth of a copy within one process.
//! - [`Neighbour`]: the bandwidth of a copy out of another process (cross-memory attach), the floor
//!   of a single-copy protocol.
//! - [`Sockets`]: what plain TCP sockets do over loopback, the limit of any library over TCP.
//!
//! The last two need a second process: a program that uses them calls [`serve`] first of all.
//!
//! Nothing here knows MPI. System calls stand in `sys`.

#![forbid(unsafe_code)]

mod copy;
mod line;
mod neighbour;
mod sockets;
mod sys;

pub use copy::copy;
pub use line::cache_line;
pub use neighbour::Neighbour;
pub use sockets::{Sockets, Waiting};
pub use sys::Cores;

/// Does the work of a second process, and returns true when it is over, if this process was started
/// by [`Neighbour::start`] or [`Sockets::start`].
pub fn serve() -> bool {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    neighbour::serve(&words) || sockets::serve(&words)
}
