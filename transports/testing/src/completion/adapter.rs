//! The adapters: what is posted to them and what they complete. They know nothing of credits or of what a message means.
//!
//! A queue pair does its work in the order in which it was posted. Queue pairs are independent of each other, and so are the
//! completions of different kinds: what is done may be told late.

use std::collections::{HashMap, VecDeque};

use crate::conformance::Random;
use ferrite_fabric::{Header, RawBuf, RawBufMut};

/// Names a piece of work.
pub(super) type WorkId = u64;

/// The key of registered memory: a number and random bytes, all of which must be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key(pub(super) Vec<u8>);

impl Key {
    fn number(&self) -> u64 {
        let number = self.0.get(..8).and_then(|number| number.try_into().ok());
        number.map_or(0, u64::from_le_bytes)
    }
}

struct Registered {
    owner: usize,
    key: Key,
    memory: RawBufMut,
    /// Peers may reach it.
    remote: bool,
}

/// A message's body as it is posted.
pub(super) enum Payload {
    /// Copied into the work request.
    Inline(Vec<u8>),
    /// To be fetched from registered memory.
    Registered(Key, RawBuf),
}

/// What a queue pair is to do.
pub(super) enum Work {
    Send {
        header: Header,
        payload: Payload,
        immediate: u32,
    },
    Read {
        local: Key,
        into: RawBufMut,
        remote: Key,
        address: u64,
    },
    Write {
        local: Key,
        from: RawBuf,
        remote: Key,
        address: u64,
    },
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
    done: Vec<(WorkId, usize, bool)>,
    /// Peers that do not answer any more.
    unreachable: VecDeque<usize>,
    /// It left, well or badly.
    gone: bool,
}

/// All adapters and what is between them.
pub(super) struct Adapters {
    random: Random,
    key: usize,
    numbers: u64,
    adapters: Vec<Adapter>,
    /// By sender and receiver.
    pairs: Vec<VecDeque<(WorkId, Work)>>,
    registered: HashMap<u64, Registered>,
}

impl Adapters {
    pub(super) fn new(processes: usize, seed: u64, key: usize) -> Adapters {
        Adapters {
            random: Random(seed),
            key,
            numbers: 0,
            adapters: (0..processes).map(|_| Adapter::default()).collect(),
            pairs: (0..processes * processes)
                .map(|_| VecDeque::new())
                .collect(),
            registered: HashMap::new(),
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

    pub(super) fn register(&mut self, owner: usize, memory: RawBufMut, remote: bool) -> Key {
        let number = self.number();
        let mut key = number.to_le_bytes().to_vec();
        key.extend(self.random.bytes(self.key - 8));
        let key = Key(key);
        let registered = Registered {
            owner,
            key: key.clone(),
            memory,
            remote,
        };
        self.registered.insert(number, registered);
        key
    }

    pub(super) fn deregister(&mut self, key: &Key) {
        let known = self.registered.remove(&key.number());
        assert!(
            known.is_some_and(|known| known.key == *key),
            "memory is deregistered once"
        );
    }

    /// Gives a queue pair something to do. Its completion names the work.
    pub(super) fn post(&mut self, from: usize, to: usize, work: Work) -> WorkId {
        let id = self.number();
        self.pair(from, to).push_back((id, work));
        id
    }

    /// Work that waits in a queue pair.
    pub(super) fn posted(&mut self, from: usize, to: usize) -> usize {
        self.pair(from, to).len()
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
            if let Some((id, work)) = self.pairs[at].pop_front() {
                let (from, to) = (at / n, at % n);
                let ok = self.perform(from, to, work);
                self.adapters[from].done.push((id, to, ok));
            }
        }
    }

    fn perform(&mut self, from: usize, to: usize, work: Work) -> bool {
        match work {
            Work::Send {
                header,
                payload,
                immediate,
            } => {
                let body = match payload {
                    Payload::Inline(body) => body,
                    Payload::Registered(key, body) => {
                        let address = body.ptr.addr() as u64;
                        if self.reach(from, &key, address, body.len, false).is_none() {
                            return false;
                        }
                        // SAFETY: registered, hence lent until the work is completed.
                        unsafe { body.to_vec() }
                    }
                };
                if self.adapters[to].gone {
                    // It took leave: nobody waits for this. One that died has been found out before.
                    return true;
                }
                let buffer = self.adapters[to].receive_queue.pop_front();
                let mut buffer = buffer.unwrap_or_else(|| {
                    panic!("process {from} has sent to {to} without a credit: no receive buffer is posted")
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
                true
            }
            Work::Read {
                local,
                into,
                remote,
                address,
            } => {
                let own = self.reach(from, &local, into.ptr.addr() as u64, into.len, false);
                let theirs = self.reach(to, &remote, address, into.len, true);
                let (Some(own), Some(theirs)) = (own, theirs) else {
                    return false;
                };
                // SAFETY: both are registered: ours is lent until the work is completed, theirs is exposed.
                unsafe { theirs.as_buf().copy_to(own.ptr) };
                true
            }
            Work::Write {
                local,
                from: source,
                remote,
                address,
            } => {
                let own = self.reach(from, &local, source.ptr.addr() as u64, source.len, false);
                let theirs = self.reach(to, &remote, address, source.len, true);
                let (Some(own), Some(theirs)) = (own, theirs) else {
                    return false;
                };
                // SAFETY: as above.
                unsafe { own.as_buf().copy_to(theirs.ptr) };
                true
            }
        }
    }

    /// Registered memory at an address, if the key is its and it is long enough.
    fn reach(
        &self,
        owner: usize,
        key: &Key,
        address: u64,
        len: usize,
        remote: bool,
    ) -> Option<RawBufMut> {
        let known = self.registered.get(&key.number())?;
        if known.key != *key || known.owner != owner || remote && !known.remote {
            return None;
        }
        let at = address.checked_sub(known.memory.ptr.addr() as u64)? as usize;
        let fits = at <= known.memory.len && len <= known.memory.len - at;
        fits.then(|| known.memory.part(at, len))
    }

    /// A message that has arrived.
    pub(super) fn received(&mut self, owner: usize) -> Option<Received> {
        self.adapters[owner].received.pop_front()
    }

    /// Work of a process that is done: its name, the peer, and whether it went well. In any order, and not at once.
    pub(super) fn done(&mut self, owner: usize) -> Option<(WorkId, usize, bool)> {
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
        self.registered.retain(|_, known| known.owner != owner);
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
                let failed = failed.into_iter().map(|(id, _)| (id, owner, false));
                peer.done.extend(failed);
                peer.unreachable.push_back(owner);
            }
        }
    }
}

// SAFETY: raw buffers are addresses; who registers memory promises that it may be used from any thread of this process until it
// is deregistered or the work is completed.
unsafe impl Send for Adapters {}
