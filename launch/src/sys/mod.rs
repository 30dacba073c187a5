//! System calls that need `unsafe` or differ between platforms, one file per platform.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod pipe;
pub(crate) mod signals;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
