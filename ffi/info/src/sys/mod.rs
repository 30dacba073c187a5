//! What the system offers to the transports. Every function answers why not.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{cross_memory_attach, membarrier, memory_file};
