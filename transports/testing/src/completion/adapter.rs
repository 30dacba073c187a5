//! The adapters: what is posted to them and what they complete. They know nothing of credits or of
//! what a message means.
//!
//! A queue pair does its work in the order in which it was posted, but for what the network does
//! not promise the order of: an access or a frame may pass the one before it. Queue pairs are
//! independent of each other, and so are the completions of different kinds: what is done may be
//! told late.

use std::collections::{HashMap, VecDeque};

use super::Config;
use crate::conformance::Random;
use crate::registry::{Registry, What};
use ferrite_fabric::{Act, Failure, Header, Order, Outcome, OwnedBuf, RawBuf, Region};

/// Names a piece of work.
pub(super) type WorkId = u64;

/// Names memory that a process has registered for its own adapter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LocalKey(u64);

struct Registered {
    owner: usize,
    memory: RawBuf,
}

/// A message's body as it is posted.
pub(super) enum Payload {
    /// Copied into the work request.
    Inline(Vec<u8>),
    /// To be fetched from registered memory.
    Registered(LocalKey, RawBuf),
}

/// What a queue pair is to do.
pub(super) enum Work {
    Send {
        header: Header,
        payload: Payload,
        immediate: u32,
    },
    Access {
        what: What,
        /// What a write was copied to.
        _copy: Option<OwnedBuf>,
        region: Region,
        offset: u64,
        /// The process hears of a failure by the next flush.
        is_silent: bool,
    },
    /// Done after all accesses that were posted before.
    Flush,
}

impl Work {
    /// Whether `then`, posted after this, may be done before it.
    fn lets_pass(&self, then: &Work, order: Order) -> bool {
        match (self.act(), then.act()) {
            (Some(first), Some(then)) => !order.holds(first, then),
            _ => false,
        }
    }

    fn act(&self) -> Option<Act> {
        match self {
            Work::Send { .. } => Some(Act::Frame),
            Work::Access { what, .. } => Some(what.act()),
            Work::Flush => None,
        }
    }
}

/// A message in a receive buffer. Whoever gets it posts the buffer again.
pub(super) struct Received {
    pub(super) from: usize,
    pub(super) header: Header,
    pub(super) len: usize,
    pub(super) immediate: u32,
    pub(super) buffer: Box<[u8]>,
}

#[derive(Default)]
struct Adapter {
    receive_queue: VecDeque<Box<[u8]>>,
    received: VecDeque<Received>,
    /// Work that is done and will be told.
    done: Vec<(WorkId, usize, Outcome)>,
    /// Peers that do not answer any more.
    unreachable: VecDeque<usize>,
    /// It left, well or badly.
    gone: bool,
}

/// All adapters and what is between them.
pub(super) struct Adapters {
    random: Random,
    order: Order,
    numbers: u64,
    adapters: Vec<Adapter>,
    /// By sender and receiver.
    pairs: Vec<VecDeque<(WorkId, Work)>>,
    /// By sender and receiver: the first failure that the next flush tells.
    unheard: Vec<Outcome>,
    /// For the adapters of their owners.
    local: HashMap<LocalKey, Registered>,
    /// For the adapters of others.
    pub(super) registry: Registry,
}

impl Adapters {
    pub(super) fn new(processes: usize, config: &Config) -> Adapters {
        Adapters {
            random: Random(config.seed),
            order: config.caps.order,
            numbers: 0,
            adapters: (0..processes).map(|_| Adapter::default()).collect(),
            pairs: (0..processes * processes)
                .map(|_| VecDeque::new())
                .collect(),
            unheard: vec![Ok(()); processes * processes],
            local: HashMap::new(),
            registry: Registry::new(config.seed, config.key, config.rma),
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn pair(&mut self, from: usize, to: usize) -> &mut VecDeque<(WorkId, Work)> {
        let n = self.adapters.len();
        &mut self.pairs[from * n + to]
    }

    pub(super) fn post_receive(&mut self, owner: usize, buffer: Box<[u8]>) {
        self.adapters[owner].receive_queue.push_back(buffer);
    }

    pub(super) fn register(&mut self, owner: usize, memory: RawBuf) -> LocalKey {
        let key = LocalKey(self.number());
        self.local.insert(key, Registered { owner, memory });
        key
    }

    pub(super) fn deregister(&mut self, key: LocalKey) {
        let known = self.local.remove(&key);
        assert!(known.is_some(), "memory is deregistered once");
    }

    /// Parts of memory that are registered for the time of a piece of work.
    #[cfg(test)]
    pub(super) fn registered(&self) -> usize {
        self.local.len()
    }

    /// Gives a queue pair something to do. Its completion names the work.
    pub(super) fn post(&mut self, from: usize, to: usize, work: Work) -> WorkId {
        let id = self.number();
        self.pair(from, to).push_back((id, work));
        id
    }

    /// Work that waits in a queue pair.
    pub(super) fn posted(&self, from: usize, to: usize) -> usize {
        self.pairs[from * self.adapters.len() + to].len()
    }

    /// Does some of the work, or all that there is.
    pub(super) fn work(&mut self, most: usize) {
        for _ in 0..most {
            let busy = |(at, pair): (usize, &VecDeque<_>)| (!pair.is_empty()).then_some(at);
            let busy: Vec<usize> = self.pairs.iter().enumerate().filter_map(busy).collect();
            if busy.is_empty() {
                return;
            }
            let (at, n) = (self.random.choose(&busy), self.adapters.len());
            let order = self.order;
            let passes = match (self.pairs[at].front(), self.pairs[at].get(1)) {
                (Some((_, first)), Some((_, then))) => first.lets_pass(then, order),
                _ => false,
            };
            let next = usize::from(passes && self.random.once_in(2));
            if let Some((id, work)) = self.pairs[at].remove(next) {
                let (from, to) = (at / n, at % n);
                let outcome = self.perform(from, to, work);
                self.adapters[from].done.push((id, to, outcome));
            }
        }
    }

    /// Does a piece of the work, or leaves it for later.
    pub(super) fn work_or_not(&mut self) {
        let most = self.random.below(2);
        self.work(most);
    }

    fn perform(&mut self, from: usize, to: usize, work: Work) -> Outcome {
        match work {
            Work::Send {
                header,
                payload,
                immediate,
            } => {
                let body = match payload {
                    Payload::Inline(body) => body,
                    Payload::Registered(key, body) => {
                        if !self.is_local(from, key, body) {
                            return Err(Failure::Denied);
                        }
                        // SAFETY: registered, hence lent until the work is completed.
                        unsafe { body.to_vec() }
                    }
                };
                if self.adapters[to].gone {
                    // It took leave: nobody waits for this. One that died has been found out
                    // before.
                    return Ok(());
                }
                let buffer = self.adapters[to].receive_queue.pop_front();
                let mut buffer = buffer.unwrap_or_else(|| {
                    panic!(
                        "process {from} has sent to {to} without a credit: no receive buffer is \
                        posted"
                    )
                });
                buffer[..body.len()].copy_from_slice(&body);
                let len = body.len();
                self.adapters[to].received.push_back(Received {
                    from,
                    header,
                    len,
                    immediate,
                    buffer,
                });
                Ok(())
            }
            Work::Access {
                what,
                region,
                offset,
                is_silent,
                ..
            } => {
                // SAFETY: this process's buffers are lent until the work is completed.
                let outcome = unsafe { self.registry.access(to, &region, offset, &what) };
                if is_silent {
                    let unheard = self.unheard(from, to);
                    *unheard = unheard.and(outcome);
                }
                outcome
            }
            Work::Flush => std::mem::replace(self.unheard(from, to), Ok(())),
        }
    }

    fn unheard(&mut self, from: usize, to: usize) -> &mut Outcome {
        let n = self.adapters.len();
        &mut self.unheard[from * n + to]
    }

    /// Whether a process has registered a buffer under this key.
    fn is_local(&self, owner: usize, key: LocalKey, buffer: RawBuf) -> bool {
        let known = self.local.get(&key);
        known.is_some_and(|known| {
            known.owner == owner && known.memory.ptr == buffer.ptr && buffer.len <= known.memory.len
        })
    }

    /// A message that has arrived.
    pub(super) fn received(&mut self, owner: usize) -> Option<Received> {
        self.adapters[owner].received.pop_front()
    }

    /// Work of a process that is done: its name, the peer, and whether it went well. In any order,
    /// and not at once.
    pub(super) fn done(&mut self, owner: usize) -> Option<(WorkId, usize, Outcome)> {
        let done = &mut self.adapters[owner].done;
        if done.is_empty() || self.random.once_in(3) {
            return None;
        }
        let at = self.random.below(done.len());
        Some(done.swap_remove(at))
    }

    /// A peer that is found not to answer any more.
    pub(super) fn unreachable(&mut self, owner: usize) -> Option<usize> {
        self.adapters[owner].unreachable.pop_front()
    }

    /// Whether a process has something to hear.
    pub(super) fn has_news(&self, owner: usize) -> bool {
        let own = &self.adapters[owner];
        !own.received.is_empty() || !own.done.is_empty() || !own.unreachable.is_empty()
    }

    /// What an adapter still has of a peer is forgotten.
    pub(super) fn forget(&mut self, owner: usize, peer: usize) {
        let own = &mut self.adapters[owner];
        own.done.retain(|(_, of, _)| *of != peer);
        let received = std::mem::take(&mut own.received);
        for message in received {
            if message.from == peer {
                own.receive_queue.push_back(message.buffer);
            } else {
                own.received.push_back(message);
            }
        }
        self.pair(owner, peer).clear();
    }

    /// An adapter goes. If it took no leave its peers find that out: what they do with it fails.
    pub(super) fn leave(&mut self, owner: usize, took_leave: bool) {
        if took_leave {
            // What it has sent still arrives.
            self.work(usize::MAX);
        }
        self.local.retain(|_, known| known.owner != owner);
        self.registry.forget(owner);
        let own = &mut self.adapters[owner];
        *own = Adapter {
            gone: true,
            ..Adapter::default()
        };
        for peer in 0..self.adapters.len() {
            self.pair(owner, peer).clear();
            if took_leave {
                continue;
            }
            let failed = std::mem::take(self.pair(peer, owner));
            let peer = &mut self.adapters[peer];
            if !peer.gone {
                let failed = failed
                    .into_iter()
                    .map(|(id, _)| (id, owner, Err(Failure::Unreachable)));
                peer.done.extend(failed);
                peer.unreachable.push_back(owner);
            }
        }
    }
}

// SAFETY: raw buffers are addresses; who registers memory promises that it may be used from any
// thread of this process until it is deregistered or the work is completed.
unsafe impl Send for Adapters {}
