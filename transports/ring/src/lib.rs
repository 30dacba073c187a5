//! Queues between two processes that share memory.
//!
//! A [`Ring`] is a queue of one producer and one consumer over plain memory: a control block,
//! cache-line slots, and a ring of bytes for bodies that do not fit a slot. All offsets are
//! relative, so the two sides may map it at different addresses, and memory that was never written
//! is an empty ring: neither side waits for the other to set it up.
//!
//! A message of up to [`INLINE`] bytes is one cache line that moves from producer to consumer. The
//! line carries its own stamp, so there is no shared index to read; in the other direction the
//! consumer's cursors travel once in a quarter of a ring.
//!
//! An [`Inbox`] is one receiver with the rings of all its senders. It polls *hot* rings directly;
//! the sender of a *cold* ring raises a bit in the receiver's [`Bell`], which also wakes a receiver
//! that sleeps. Going from hot to cold is the receiver's affair and costs the sender no fence: see
//! [`fence`].
//!
//! The crate does not know what a message means. Everything it reads from shared memory is
//! untrusted: read once and checked, so that a peer gone wild can break its own ring but not this
//! process.

mod atomic;
mod bell;
mod consumer;
pub mod fence;
mod heap;
mod inbox;
mod layout;
mod producer;
mod sys;

pub use bell::Bell;
pub use consumer::{Consumer, Popped};
pub use heap::HeapRing;
pub use inbox::{Inbox, Receive};
pub use layout::{INLINE, Ring, SLOT, Shape};
pub use producer::{Producer, Pushed};

#[cfg(not(target_endian = "little"))]
compile_error!("the layout of slots is little-endian");
