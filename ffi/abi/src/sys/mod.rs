//! What the library asks of the operating system itself.

mod unix;

pub(crate) use unix::{allocate, free, host_name, os_string, seconds, tick};
