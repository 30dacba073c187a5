//! System calls, one file per platform.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::*;
