//! A transport over adapters: frames, credits, and who is to be told of what. Under the fabric's lock.
//!
//! A sender has a credit for every receive buffer that is posted for it. A receiver that has posted a buffer again owes a credit, which
//! goes with the next frame, or alone when it owes [`threshold`] of them. For those there are buffers in reserve: no more of them can
//! be on their way than the credits that they return allow.

use std::collections::HashMap;
use std::sync::Arc;

use super::adapter::{Key, Payload, Received, Work, WorkId};
use super::{Config, Shared};
use ferrite_fabric::{CONTROL, Header, RawBuf, RawBufMut, Region, Sent, Token, Transfer};

/// In immediate data: no frame, only credits.
const CREDITS_ONLY: u32 = 1 << 31;

/// A receiver that owes so many credits returns them at once.
fn threshold(credits: u32) -> u32 {
    (credits / 2).max(1)
}

/// Receive buffers for one sender.
pub(super) fn buffers_for(credits: u32) -> usize {
    (credits + credits / threshold(credits) + 1) as usize
}

/// What a piece of work is for.
struct Doing {
    peer: usize,
    token: Token,
    /// Memory that was registered for it.
    key: Key,
}

/// One process's side.
pub(super) struct Side {
    /// By peer: frames that may be sent.
    credits: Vec<u32>,
    /// By peer: credits to return.
    owed: Vec<u32>,
    /// By peer: it is lost.
    lost: Vec<bool>,
    doing: HashMap<WorkId, Doing>,
    pub(super) asleep: bool,
    pub(super) bell: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) closed: bool,
}

impl Side {
    pub(super) fn new(processes: usize, credits: u32) -> Side {
        Side {
            credits: vec![credits; processes],
            owed: vec![0; processes],
            lost: vec![false; processes],
            doing: HashMap::new(),
            asleep: false,
            bell: None,
            closed: false,
        }
    }
}

/// What a process is told.
pub(super) enum News {
    Frame(Received),
    Completed(usize, Token, bool),
    Down(usize),
}

impl Shared {
    /// # Safety
    /// As [`ferrite_fabric::Link::try_send`].
    pub(super) unsafe fn try_send(
        &mut self,
        config: &Config,
        from: usize,
        to: usize,
        header: &Header,
        body: RawBuf,
        token: Token,
    ) -> Sent {
        let longest = config.frame;
        assert!(
            body.len <= longest,
            "a body of {} bytes, but at most {longest}",
            body.len
        );
        let side = &mut self.sides[from];
        if side.lost[to] || side.credits[to] == 0 || self.adapters.posted(from, to) >= config.depth
        {
            return Sent::Full;
        }
        side.credits[to] -= 1;
        let immediate = std::mem::take(&mut side.owed[to]);
        let header = Header {
            len: body.len as u32,
            seq: 0,
            ..*header
        };
        if body.len <= config.inline.max(CONTROL) {
            // SAFETY: readable during the call, by the caller's promise.
            let payload = Payload::Inline(unsafe { body.to_vec() });
            let work = Work::Send {
                header,
                payload,
                immediate,
            };
            self.adapters.post(from, to, work);
            return Sent::Done;
        }
        let memory = RawBufMut {
            ptr: body.ptr.cast_mut(),
            len: body.len,
        };
        let key = self.adapters.register(from, memory, false);
        let work = Work::Send {
            header,
            payload: Payload::Registered(key.clone(), body),
            immediate,
        };
        let id = self.adapters.post(from, to, work);
        let doing = Doing {
            peer: to,
            token,
            key,
        };
        self.sides[from].doing.insert(id, doing);
        Sent::Queued(token)
    }

    pub(super) fn expose(&mut self, owner: usize, buffer: RawBuf) -> Region {
        let memory = RawBufMut {
            ptr: buffer.ptr.cast_mut(),
            len: buffer.len,
        };
        let Key(bytes) = self.adapters.register(owner, memory, true);
        let mut key = [0; 64];
        key[..bytes.len()].copy_from_slice(&bytes);
        Region {
            addr: buffer.ptr.addr() as u64,
            key_len: bytes.len() as u8,
            key,
        }
    }

    /// Begins to read a peer's memory at `offset` of a region, or to write it.
    pub(super) fn transfer(
        &mut self,
        (rank, peer): (usize, usize),
        own: RawBufMut,
        (region, offset): (&Region, u64),
        writes: bool,
        token: Token,
    ) -> Transfer {
        if self.sides[rank].lost[peer] {
            return Transfer::Failed;
        }
        let key = region.key.get(..usize::from(region.key_len));
        let remote = Key(key.unwrap_or_default().to_vec());
        let address = region.addr.wrapping_add(offset);
        let local = self.adapters.register(rank, own, false);
        let key = local.clone();
        let work = if writes {
            let from = own.as_buf();
            Work::Write {
                local,
                from,
                remote,
                address,
            }
        } else {
            let into = own;
            Work::Read {
                local,
                into,
                remote,
                address,
            }
        };
        let id = self.adapters.post(rank, peer, work);
        let doing = Doing { peer, token, key };
        self.sides[rank].doing.insert(id, doing);
        Transfer::Queued(token)
    }

    /// The next thing that a process is to be told.
    pub(super) fn news(&mut self, rank: usize) -> Option<News> {
        while let Some((id, _, ok)) = self.adapters.done(rank) {
            // What was copied is of no interest any more.
            if let Some(doing) = self.sides[rank].doing.remove(&id) {
                self.adapters.deregister(&doing.key);
                return Some(News::Completed(doing.peer, doing.token, ok));
            }
        }
        while let Some(received) = self.adapters.received(rank) {
            let side = &mut self.sides[rank];
            side.credits[received.from] += received.immediate & !CREDITS_ONLY;
            if received.immediate & CREDITS_ONLY == 0 {
                return Some(News::Frame(received));
            }
            self.adapters.post_receive(rank, received.buffer);
        }
        let peer = self.adapters.unreachable(rank)?;
        let side = &mut self.sides[rank];
        side.lost[peer] = true;
        let doing = std::mem::take(&mut side.doing);
        for (id, doing) in doing {
            if doing.peer == peer {
                self.adapters.deregister(&doing.key);
            } else {
                side.doing.insert(id, doing);
            }
        }
        self.adapters.forget(rank, peer);
        Some(News::Down(peer))
    }

    /// A frame was told: its buffer is free, and its sender gets a credit.
    pub(super) fn release(&mut self, config: &Config, rank: usize, received: Received) {
        let from = received.from;
        self.adapters.post_receive(rank, received.buffer);
        let side = &mut self.sides[rank];
        side.owed[from] += 1;
        if side.owed[from] < threshold(config.credits) || side.lost[from] {
            return;
        }
        let immediate = CREDITS_ONLY | std::mem::take(&mut side.owed[from]);
        let work = Work::Send {
            header: received.header,
            payload: Payload::Inline(Vec::new()),
            immediate,
        };
        self.adapters.post(rank, from, work);
    }
}
