//! What mpiexec and its agents say to each other, and the connections over which they do.

mod findings;
mod link;
mod message;

pub(crate) use findings::{Finding, Level, Target};
pub(crate) use link::{BEAT, Link, Read, SILENCE};
pub(crate) use message::{ALL, Decoder, Down, Key, Piece, Up, VERSION, encode, preamble};
