//! Progress and waiting: transports are driven, and a process that waits spins, yields or sleeps.

mod contention;
mod departed;
mod drive;
mod polls;
mod progress_thread;
mod rest;
mod wait;
mod watchdog;

pub(in crate::engine) use departed::Left;
pub(in crate::engine) use drive::{NetPort, Ports};
pub(in crate::engine) use progress_thread::Assistant;
pub(in crate::engine) use rest::Rounds;
pub(in crate::engine) use wait::{Bed, Waiting};
pub(in crate::engine) use watchdog::AllCalls;
