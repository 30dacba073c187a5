//! A transport between threads of one process: queues behind locks.
//!
//! It does on purpose what shared memory does not: with [`Config::lazy`] it answers `Queued` and
//! takes a body only when the receiver polls, as completion-based hardware does. It is meant for
//! tests of whatever sits above a transport, and keeps the conformance suite honest by being a
//! second implementor.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::place::{Access, Pair, World, places};
use crate::registry::Registry;
use ferrite_fabric::{
    Act, AtomicOps, Atomics, CONTROL, Caps, Header, Limits, Network, Order, RawBuf, RawBufMut,
    Refused, Region, RmaLimits, Sent, Sink, Token, Transfer, Uses,
};

/// Frames delivered in one poll.
const POLL: usize = 32;

/// What the transport should be like.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bodies up to this length, in bytes, are never queued.
    pub inline: usize,
    /// The longest body of a frame, in bytes.
    pub frame: usize,
    /// Frames on their way from one process to another.
    pub frames: usize,
    /// Whether bodies longer than `inline` and [`CONTROL`] stay with the sender until the receiver
    /// takes them.
    pub lazy: bool,
    /// Whether registered memory can be reached.
    pub direct: bool,
}

struct Frame {
    header: Header,
    body: Body,
}

enum Body {
    Copied(Vec<u8>),
    Lent(RawBuf, Token),
}

#[derive(Default)]
struct Inbox {
    /// By sender.
    queues: Vec<VecDeque<Frame>>,
    /// Operations of this process that have finished: peer and token.
    completions: VecDeque<(u32, Token)>,
    asleep: bool,
    /// The sender whose turn it is.
    next: usize,
    bell: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Process {
    inbox: Mutex<Inbox>,
    bell: Condvar,
}

impl Process {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the process, if it sleeps, after something was put there for it.
    fn rouse(&self, mut inbox: MutexGuard<'_, Inbox>) {
        if inbox.asleep {
            inbox.asleep = false;
            self.bell.notify_all();
            let bell = inbox.bell.clone();
            drop(inbox);
            bell.iter().for_each(|bell| bell());
        }
    }
}

/// Everything is done by the thread that asks for it, before it sends a frame.
const DIRECT: Caps = Caps {
    read: true,
    write: true,
    atomics: Atomics {
        of_32: AtomicOps::ALL,
        of_64: AtomicOps::ALL,
        with_processors: true,
    },
    visible_writes: true,
    checks_keys: true,
    order: in_order(),
};

const RMA: RmaLimits = RmaLimits {
    inline: usize::MAX,
    transfer: usize::MAX,
    outstanding: usize::MAX,
    registrations: 1000,
    registered: usize::MAX,
};

const fn in_order() -> Order {
    let (mut order, mut first) = (Order::NONE, 1);
    while first < 4 {
        let mut then = 0;
        while then < 4 {
            order = order.with(Act::ALL[first], Act::ALL[then]);
            then += 1;
        }
        first += 1;
    }
    order
}

struct Memory {
    config: Config,
    registry: Mutex<Registry>,
    processes: Vec<Process>,
}

/// Connects `processes` processes with each other, each of which reaches itself, too.
pub fn connect(processes: u32, config: Config) -> Vec<Arc<dyn Network>> {
    let n = processes as usize;
    let process = |_| Process {
        inbox: Mutex::new(Inbox {
            queues: (0..n).map(|_| VecDeque::new()).collect(),
            ..Inbox::default()
        }),
        bell: Condvar::new(),
    };
    let memory = Arc::new(Memory {
        config,
        registry: Mutex::new(Registry::new(0, 8, RMA)),
        processes: (0..n).map(process).collect(),
    });
    places(&memory, n)
}

impl Memory {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next frame for a process, from the senders in turn.
    fn take(&self, rank: usize) -> Option<(usize, Frame)> {
        let mut inbox = self.processes[rank].lock();
        let senders = inbox.queues.len();
        for _ in 0..senders {
            let sender = inbox.next;
            inbox.next = (sender + 1) % senders;
            if let Some(frame) = inbox.queues[sender].pop_front() {
                return Some((sender, frame));
            }
        }
        None
    }
}

impl World for Memory {
    const NAME: &'static str = "memory";

    fn limits(&self, _: Pair) -> Limits {
        let (caps, rma) = match self.config.direct {
            true => (DIRECT, RMA),
            false => (Caps::NONE, RmaLimits::NONE),
        };
        Limits {
            inline: self.config.inline,
            frame: self.config.frame,
            caps,
            rma,
            direct_from: 0,
        }
    }

    unsafe fn try_send(
        &self,
        (from, to): Pair,
        header: &Header,
        body: RawBuf,
        token: Token,
    ) -> Sent {
        let longest = self.config.frame;
        assert!(
            body.len <= longest,
            "a body of {} bytes, but at most {longest}",
            body.len
        );
        let peer = &self.processes[to];
        let mut inbox = peer.lock();
        let queue = &mut inbox.queues[from];
        if queue.len() >= self.config.frames {
            return Sent::Full;
        }
        let lent = self.config.lazy && body.len > self.config.inline.max(CONTROL);
        let header = Header {
            len: body.len as u32,
            seq: 0,
            ..*header
        };
        let body = if lent {
            Body::Lent(body, token)
        } else {
            // SAFETY: readable during the call, by the caller's promise.
            Body::Copied(unsafe { body.to_vec() })
        };
        queue.push_back(Frame { header, body });
        peer.rouse(inbox);
        if lent {
            Sent::Queued(token)
        } else {
            Sent::Done
        }
    }

    unsafe fn register(
        &self,
        rank: usize,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Region, Refused> {
        match self.config.direct {
            true => self.registry().register(rank, memory, uses),
            false => Err(Refused::Unavailable),
        }
    }

    fn unregister(&self, region: &Region) {
        self.registry().unregister(region);
    }

    unsafe fn access(&self, (_, peer): Pair, access: Access<'_>, _: Token) -> Transfer {
        let Access {
            what,
            region,
            offset,
        } = access;
        // SAFETY: the caller's promise. The lock keeps registrations while their memory is used.
        let outcome = unsafe { self.registry().access(peer, region, offset, &what) };
        outcome.map_or_else(Transfer::Failed, |()| Transfer::Done)
    }

    fn flush_writes(&self, _: Pair, _: Token) -> Transfer {
        Transfer::Done
    }

    fn ring(&self, rank: usize, bell: Arc<dyn Fn() + Send + Sync>) {
        self.processes[rank].lock().bell = Some(bell);
    }

    fn sleep(&self, rank: usize, timeout: Option<Duration>) {
        // A long time, which the system's clock can express.
        let longest = Duration::from_secs(3600);
        let timeout = timeout.map_or(longest, |timeout| timeout.min(longest));
        let process = &self.processes[rank];
        let asleep = process
            .bell
            .wait_timeout_while(process.lock(), timeout, |inbox| inbox.asleep);
        drop(asleep.unwrap_or_else(PoisonError::into_inner));
    }

    fn wake(&self, rank: usize) {
        let process = &self.processes[rank];
        process.lock().asleep = false;
        process.bell.notify_all();
    }

    /// What was sent lies in the inboxes of the others already, or is completed before the sender's
    /// memory goes.
    fn close(&self, _: usize) {}

    fn poll(&self, rank: usize, sink: &mut dyn Sink) -> usize {
        let completions = core::mem::take(&mut self.processes[rank].lock().completions);
        let mut events = completions.len();
        for (peer, token) in completions {
            sink.completed(peer, token, Ok(()));
        }
        for _ in 0..POLL {
            let Some((from, frame)) = self.take(rank) else {
                break;
            };
            events += 1;
            let sender = from as u32;
            match frame.body {
                Body::Copied(body) => sink.frame(sender, &frame.header, RawBuf::of(&body)),
                Body::Lent(body, token) => {
                    sink.frame(sender, &frame.header, body);
                    let sender = &self.processes[from];
                    let mut inbox = sender.lock();
                    inbox.completions.push_back((rank as u32, token));
                    sender.rouse(inbox);
                }
            }
        }
        events
    }

    fn prepare_sleep(&self, rank: usize) -> bool {
        let mut inbox = self.processes[rank].lock();
        inbox.asleep = inbox.completions.is_empty() && inbox.queues.iter().all(VecDeque::is_empty);
        inbox.asleep
    }

    fn awake(&self, rank: usize) {
        self.processes[rank].lock().asleep = false;
    }

    /// Nobody is told: this network does not play losses.
    fn leave(&self, rank: usize) {
        self.processes[rank].lock().bell = None;
        self.registry().forget(rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Coverage, Endpoint};

    fn conforms(config: Config) -> Coverage {
        conformance::run(0x6d65_6d6f, |processes| {
            let networks = connect(processes, config).into_iter().zip(0..);
            let end = |(network, rank)| Endpoint {
                reflexive: true,
                ..Endpoint::of(network, rank, processes)
            };
            networks.map(end).collect()
        })
    }

    #[test]
    fn conforms_when_it_copies() {
        let config = Config {
            inline: 16,
            frame: 1000,
            frames: 10,
            lazy: false,
            direct: false,
        };
        assert_eq!(conforms(config), Coverage::default());
    }

    #[test]
    fn conforms_when_it_takes_bodies_late() {
        let covered = conforms(Config {
            inline: 40,
            frame: 4096,
            frames: 3,
            lazy: true,
            direct: true,
        });
        let Coverage {
            lent,
            direct,
            registered,
            refused,
            denied,
            flushed,
            atomics,
            ordered,
            ..
        } = covered;
        let all = [
            lent, direct, registered, refused, denied, flushed, atomics, ordered,
        ];
        assert!(all.iter().all(|count| *count > 0), "{covered:?}");
        assert_eq!(
            (covered.placed, covered.direct_later, covered.full),
            (0, 0, 0)
        );
    }
}
