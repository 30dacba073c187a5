//! A transport over adapters: frames, credits, and who is to be told of what. Under the fabric's
//! lock.
//!
//! A sender has a credit for every receive buffer that is posted for it. A receiver that has posted
//! a buffer again owes a credit, which goes with the next frame, or alone when it owes
//! [`threshold`] of them. For those there are buffers in reserve: no more of them can be on their
//! way than the credits that they return allow.

use std::collections::HashMap;
use std::sync::Arc;

use super::adapter::{LocalKey, Payload, Received, Work, WorkId};
use super::{Config, Shared};
use crate::place::{Access, Pair};
use crate::registry::What;
use ferrite_fabric::{CONTROL, Failure, Header, Outcome, OwnedBuf, RawBuf, Sent, Token, Transfer};

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
    key: Option<LocalKey>,
    /// Whether it reaches the peer's memory.
    is_rma: bool,
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
    Completed(usize, Token, Outcome),
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
        let key = self.adapters.register(from, body);
        let work = Work::Send {
            header,
            payload: Payload::Registered(key, body),
            immediate,
        };
        let id = self.adapters.post(from, to, work);
        let doing = Doing {
            peer: to,
            token,
            key: Some(key),
            is_rma: false,
        };
        self.sides[from].doing.insert(id, doing);
        Sent::Queued(token)
    }

    /// Whether a queue pair takes one more access; otherwise what is answered.
    fn room(&self, config: &Config, (rank, peer): Pair) -> Result<(), Transfer> {
        let side = &self.sides[rank];
        if side.lost[peer] {
            return Err(Transfer::Failed(Failure::Unreachable));
        }
        let doing = side.doing.values();
        let under_way = doing.filter(|doing| doing.peer == peer && doing.is_rma);
        let is_full = under_way.count() >= config.rma.outstanding
            || self.adapters.posted(rank, peer) >= config.depth;
        if is_full { Err(Transfer::Full) } else { Ok(()) }
    }

    /// Begins an access to a peer's memory.
    ///
    /// # Safety
    /// As [`crate::place::World::access`].
    pub(super) unsafe fn access(
        &mut self,
        config: &Config,
        pair: Pair,
        access: Access<'_>,
        token: Token,
    ) -> Transfer {
        if let Err(answer) = self.room(config, pair) {
            return answer;
        }
        let (rank, peer) = pair;
        let Access {
            mut what,
            region,
            offset,
        } = access;
        let is_silent = !what.has_result() && what.len() <= config.rma.inline;
        let (mut copy, mut key) = (None, None);
        match what {
            What::Write(from) if is_silent => {
                // SAFETY: readable during the call, by the caller's promise.
                let bytes = OwnedBuf::from(unsafe { from.to_vec() }.into_boxed_slice());
                what = What::Write(bytes.buf());
                copy = Some(bytes);
            }
            What::Write(own) => key = self.local(rank, own),
            What::Read(own) | What::Atomic { result: own, .. } => {
                key = self.local(rank, own.as_buf());
            }
        }
        let work = Work::Access {
            what,
            _copy: copy,
            region: *region,
            offset,
            is_silent,
        };
        let id = self.adapters.post(rank, peer, work);
        if is_silent {
            return Transfer::Done;
        }
        self.doing(id, pair, token, key)
    }

    pub(super) fn flush_writes(&mut self, config: &Config, pair: Pair, token: Token) -> Transfer {
        if let Err(answer) = self.room(config, pair) {
            return answer;
        }
        let id = self.adapters.post(pair.0, pair.1, Work::Flush);
        self.doing(id, pair, token, None)
    }

    fn doing(
        &mut self,
        id: WorkId,
        (rank, peer): Pair,
        token: Token,
        key: Option<LocalKey>,
    ) -> Transfer {
        let doing = Doing {
            peer,
            token,
            key,
            is_rma: true,
        };
        self.sides[rank].doing.insert(id, doing);
        Transfer::Queued(token)
    }

    /// Registers a buffer for its process's adapter, unless it is part of what the process has
    /// registered for that.
    fn local(&mut self, rank: usize, own: RawBuf) -> Option<LocalKey> {
        let is_known = own.len == 0 || self.adapters.registry.is_local(rank, own);
        (!is_known).then(|| self.adapters.register(rank, own))
    }

    fn is_over(&mut self, doing: &Doing) {
        if let Some(key) = doing.key {
            self.adapters.deregister(key);
        }
    }

    /// The next thing that a process is to be told.
    pub(super) fn news(&mut self, rank: usize) -> Option<News> {
        while let Some((id, _, outcome)) = self.adapters.done(rank) {
            // What was copied is of no interest any more.
            if let Some(doing) = self.sides[rank].doing.remove(&id) {
                self.is_over(&doing);
                return Some(News::Completed(doing.peer, doing.token, outcome));
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
                self.is_over(&doing);
            } else {
                self.sides[rank].doing.insert(id, doing);
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
