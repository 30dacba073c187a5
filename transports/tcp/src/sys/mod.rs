//! System calls of this crate: sockets, waiting for them, interfaces, threads.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
