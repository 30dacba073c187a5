//! System calls of this crate: mapping the segment, access to a peer's memory, permission for it.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
