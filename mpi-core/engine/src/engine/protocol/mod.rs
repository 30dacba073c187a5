//! The protocol between two processes: frames, peers and what waits for room on the way to them,
//! messages that arrived before their receive, and the ways in which data move.

mod arrival;
mod backlog;
mod cards;
mod complete;
mod cooperative_copy;
mod frames;
mod landing;
mod lanes;
mod limits;
mod loopback;
mod peer;
mod peers;
mod queue;
mod transports;
mod unexpected;

pub(in crate::engine) use arrival::Receiver;
pub(in crate::engine) use cards::{NetworkCards, card, room_for_cards, table};
pub(in crate::engine) use frames::{CallNews, Frame, SYNC_DATA, ShortData, with_envelope};
pub(crate) use frames::{frame_seeds, fuzz_frame};
pub(in crate::engine) use landing::Landings;
pub(in crate::engine) use lanes::Lanes;
pub(in crate::engine) use limits::ProtocolLimits;
pub(in crate::engine) use peer::{ALLOWANCE, Peer, Queued, QueuedBody, Sends, cost};
pub(in crate::engine) use peers::Peers;
pub(in crate::engine) use transports::{Joined, Transports};
pub(in crate::engine) use unexpected::Unexpected;
