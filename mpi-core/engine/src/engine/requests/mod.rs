//! Requests: what an operation under way consists of, whatever its kind (MPI 5.0, section 3.7).
//! How a program waits for them stands in [`super::completion`].

mod collective;
mod generalized;
mod on_the_wire;
mod partitioned;
mod parts;
mod payload;
mod request;
mod table;

pub(in crate::engine) use collective::{Collective, Then};
pub use generalized::Generalized;
pub(in crate::engine) use on_the_wire::{ReceiversRequest, SendersRequest};
pub(in crate::engine) use partitioned::{Channel, Cycle, Partitioned};
pub(in crate::engine) use parts::Parent;
pub(in crate::engine) use payload::{NET_PIECE, PACKED_PIECE};
pub(in crate::engine) use request::{
    Body, CooperativeCopy, Kind, NO_PROCESS, RequestData, RequestRef, Returnable, Template,
    idle_body,
};
pub use request::{Mode, SENT};
pub(in crate::engine) use table::bad_request;
