//! The shared-memory transport.
//!
//! The processes of a node share one sparse memory file, the *segment*. It has a fixed place for
//! everything: a control block for every rank, and for every ordered pair of ranks a
//! [ring](ferrite_ring) and a few words for cooperative copies. A rank maps what it uses itself.
//! Pages are touched on use, so a pair that never talks costs address space only; untouched memory
//! is an empty ring, so a rank may send before its peer has attached, and starting up is no
//! synchronisation at all.
//!
//! Groups of ranks have [boards](Board) there, on which collective operations work without
//! messages. A board is mapped while it is in use, and its memory is given back afterwards.
//!
//! The first rank of a node decides how large the segment is, by what its limits let it have, and
//! whether there is one (`decision`).
//!
//! Frames go through the rings. The peer's memory is reached directly by cross-memory attach where
//! the system permits ([`ShmLink`]'s `read` and `write`).
//!
//! The crate knows frames and headers, not what they mean. Invariants: one [`ShmPort`] for an
//! attachment and one [`ShmLink`] for each peer, because every ring has one producer and one
//! consumer; the mapping lives as long as anything that points into it; values read from the
//! segment are untrusted.

mod attach;
mod board;
mod cma;
mod decision;
mod layout;
mod link;
mod port;
mod segment;
mod sys;

pub use attach::{AttachError, Attachment, ShmConfig, attach, default_shape};
pub use board::{Board, BoardId, IN_LINE, Room};
pub use cma::{is_own_memory, region_of};
pub use decision::Shortage;
pub use ferrite_ring::Shape;
pub use layout::{CLAIMS, Claim};
pub use link::ShmLink;
pub use port::{ShmPort, Sleeper};

/// The longest body, in bytes, that [`ShmLink::try_send_inline`] takes.
pub const INLINE: usize = ferrite_ring::INLINE;
