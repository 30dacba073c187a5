//! What mpiexec and its agents say to each other, and the connections over which they do.

mod connection;
mod findings;
mod message;

pub(crate) use connection::{BEAT, Connection, Read, SILENCE};
pub(crate) use findings::{Finding, Level, Target};
pub(crate) use message::{ALL, Decoder, Down, Key, Piece, Up, VERSION, encode, preamble};
