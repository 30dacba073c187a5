//! System calls, one file per platform.

#[cfg(unix)]
mod memory;
#[cfg(unix)]
mod surroundings;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use {memory::memory_file, unix::random};
#[cfg(unix)]
pub(crate) use {memory::*, surroundings::*, unix::*};
