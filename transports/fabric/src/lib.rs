//! What a transport is.
//!
//! A transport moves *frames* (a fixed [`Header`] and a body of bytes) in order and reliably between two processes. It
//! knows nothing of communicators, requests or matching: it hands every frame that arrives to a [`Sink`], which is the
//! engine. The engine in turn knows nothing of rings, sockets or queue pairs: it holds one [`Link`] for every peer it
//! talks to and one [`Port`] for every transport it receives from.
//!
//! Links and ports take `&mut self`: which lock protects them is the engine's business, not the transport's.

mod bootstrap;
mod buffer;
mod header;
mod link;
mod network;
mod platform;

pub use bootstrap::{Bootstrap, Job, Left, MAX_CARD, Secret, Wait};
pub use buffer::{OwnedBuf, RawBuf, RawBufMut};
pub use header::{Header, Kind};
pub use link::{
    CONTROL, Caps, Landing, Limits, Link, LinkDown, Port, Region, Sent, Sink, Token, Transfer,
};
pub use network::{Feature, Network, Options, Transport};
pub use platform::SharedFile;
