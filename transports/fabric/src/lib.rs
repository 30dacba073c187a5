//! What a transport is.
//!
//! A transport moves *frames* (a fixed [`Header`] and a body of bytes) in order and reliably
//! between two processes. It knows nothing of communicators, requests or matching: it hands every
//! frame that arrives to a [`Sink`], which is the engine. The engine in turn knows nothing of
//! rings, sockets or queue pairs: it holds one [`Link`] for every peer it talks to and one [`Port`]
//! for every transport it receives from.
//!
//! Beyond frames, a link may reach memory that the peer has *registered*: read it, write to it,
//! change integers of it atomically. What a link can do of that, in which order and how much at a
//! time, it says itself ([`Caps`], [`RmaLimits`]).
//!
//! Links and ports take `&mut self`: which lock protects them is the engine's business, not the
//! transport's.

mod bootstrap;
mod buffer;
mod header;
mod link;
mod memory;
mod network;
mod platform;
mod rma;

pub use bootstrap::{Bootstrap, Job, Left, MAX_CARD, Secret, Wait};
pub use buffer::{OwnedBuf, RawBuf, RawBufMut};
pub use header::{Header, Kind};
pub use link::{CONTROL, Landing, Limits, Link, LinkDown, Port, Sent, Sink, Token};
pub use memory::{Refused, Region, Registration, Uses};
pub use network::{Feature, Network, Options, Transport};
pub use platform::SharedFile;
pub use rma::{
    Act, Atomic, AtomicOps, Atomics, Caps, Failure, Order, Outcome, RmaLimits, Transfer, Width,
};
