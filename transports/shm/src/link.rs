//! Sending to one rank of the node.

use core::mem::transmute;
use core::sync::atomic::Ordering;
use std::io;
use std::sync::Arc;

use ferrite_fabric::{
    Header, Limits, Link, RawBuf, RawBufMut, Refused, Region, Registration, Sent, Token, Transfer,
    Uses,
};
use ferrite_ring::{INLINE, Producer, Pushed};

use crate::attach::Node;
use crate::cma::{PeerMemory, region_of};
use crate::layout::Card;

/// The link to one rank of the node. Never answers `Queued`: bodies are copied into the ring at
/// once.
#[derive(Debug)]
pub struct ShmLink {
    // Before `node`, into whose segment it points.
    producer: Producer,
    node: Arc<Node>,
    /// The peer's local index.
    peer: usize,
    memory: PeerMemory,
}

impl ShmLink {
    pub(crate) fn new(node: Arc<Node>, peer: usize) -> io::Result<ShmLink> {
        // SAFETY: the ring lives in the segment, which `node` keeps; there is one link to a peer in
        // an attachment.
        let mut producer = unsafe { Producer::new(node.segment.ring_to(peer)?) };
        // Relaxed: if it is not known yet that the peer has no fences, the peer sleeps for short
        // times anyway.
        let theirs = node.segment.card(peer).barrier.load(Ordering::Relaxed);
        if !node.fenced || theirs == Card::NO_BARRIER {
            producer.always_cold();
        }
        let memory = PeerMemory::new(node.cma);
        Ok(ShmLink {
            producer,
            node,
            peer,
            memory,
        })
    }

    /// [`Link::try_send`] for a body of at most [`crate::INLINE`] bytes.
    ///
    /// # Safety
    /// `body` is readable during the call, and no longer than [`crate::INLINE`].
    #[inline(always)]
    pub unsafe fn try_send_inline(&mut self, header: &Header, body: RawBuf) -> Sent {
        // SAFETY: the caller's promise.
        let pushed = unsafe { self.producer.push_inline(words(header), body.ptr, body.len) };
        self.sent(pushed)
    }

    #[inline(always)]
    fn sent(&self, pushed: Pushed) -> Sent {
        match pushed {
            Pushed::Hot => Sent::Done,
            Pushed::Cold => self.raise(),
            Pushed::Full => Sent::Full,
        }
    }

    #[cold]
    fn raise(&self) -> Sent {
        self.node
            .segment
            .bell(self.peer)
            .raise(self.node.own as u32);
        Sent::Done
    }
}

/// A header as a ring carries it. The ring sets the length and ignores `seq`.
#[inline(always)]
fn words(header: &Header) -> [u64; 3] {
    // SAFETY: 24 bytes without padding.
    unsafe { transmute::<Header, [u64; 3]>(*header) }
}

impl Link for ShmLink {
    fn limits(&self) -> Limits {
        let (caps, rma) = self.memory.limits();
        Limits {
            inline: INLINE,
            frame: self.producer.longest(),
            caps,
            rma,
            direct_from: self.node.direct_from.load(Ordering::Relaxed),
        }
    }

    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, _token: Token) -> Sent {
        // SAFETY: the caller's promise.
        let pushed = unsafe { self.producer.push(words(header), body.ptr, body.len) };
        self.sent(pushed)
    }

    unsafe fn register(&mut self, memory: RawBufMut, uses: Uses) -> Result<Registration, Refused> {
        // An address and a length are all that cross-memory attach needs. Whether the peer may use
        // them, the peer finds out.
        if !self.node.cma || uses.atomic {
            return Err(Refused::Unavailable);
        }
        let addr = memory.ptr.expose_provenance() as u64;
        Ok(Registration::new(region_of(addr, memory.len), None))
    }

    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        _token: Token,
    ) -> Transfer {
        let card = self.node.segment.card(self.peer);
        // SAFETY: the caller's promise.
        unsafe { self.memory.read(card, from, offset, into) }
    }

    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, _token: Token) -> Transfer {
        let card = self.node.segment.card(self.peer);
        // SAFETY: the caller's promise.
        unsafe { self.memory.write(card, to, offset, from) }
    }

    /// What was written is there: the system has copied it.
    fn flush_writes(&mut self, _token: Token) -> Transfer {
        match self.node.cma {
            true => Transfer::Done,
            false => Transfer::Unavailable,
        }
    }
}
