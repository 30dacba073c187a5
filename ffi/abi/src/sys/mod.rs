//! What the library asks of the operating system itself.

mod unix;

pub(crate) use unix::{
    address_of, allocate, free, host_name, os_string, seconds, symbol_at, tick, word_at,
};
