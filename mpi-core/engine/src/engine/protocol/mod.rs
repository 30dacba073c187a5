//! The protocol between two processes: frames, peers and what waits for room on the way to them,
//! messages that arrived before their receive, and the ways in which data move.

mod arrival;
mod cooperative_copy;
mod landing;
mod loopback;
mod peer;
mod queue;
mod unexpected;

pub(in crate::engine) use arrival::Receiver;
pub(in crate::engine) use cooperative_copy::{Help, Share};
pub(in crate::engine) use landing::Landings;
pub(in crate::engine) use peer::{
    ALLOWANCE, CONTROL, Outgoing, Path, Peer, Queued, QueuedBody, cost,
};
pub(in crate::engine) use unexpected::Kept;
