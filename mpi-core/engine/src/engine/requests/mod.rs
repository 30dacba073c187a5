//! Requests: what an operation under way consists of, whatever its kind (MPI 5.0, section 3.7).
//! How a program waits for them stands in [`super::completion`].

mod generalized;
mod payload;
mod request;

pub use generalized::Generalized;
pub(in crate::engine) use payload::{NET_PIECE, PIECE};
pub(in crate::engine) use request::{Body, Extra, Kind, RequestData, RequestRef, Template};
pub use request::{Mode, SENT};
