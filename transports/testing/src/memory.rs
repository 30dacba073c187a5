//! A transport between threads of one process: queues behind locks.
//!
//! It does on purpose what shared memory does not: with [`Config::lazy`] it answers `Queued` and takes a body only when the
//! receiver polls, as completion-based hardware does. It is meant for tests of whatever sits above a transport, and keeps the
//! conformance suite honest by being a second implementor.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::place::{Access, Pair, World, places};
use ferrite_fabric::{
    CONTROL, Caps, Header, Limits, Network, RawBuf, Region, Sent, Sink, Token, Transfer,
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
    /// Whether bodies longer than `inline` and [`CONTROL`] stay with the sender until the receiver takes them.
    pub lazy: bool,
    /// Whether memory can be read and written directly.
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

struct Memory {
    config: Config,
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
        processes: (0..n).map(process).collect(),
    });
    places(&memory, n)
}

impl Memory {
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
        let caps = Caps {
            read: self.config.direct,
            write: self.config.direct,
        };
        Limits {
            inline: self.config.inline,
            frame: self.config.frame,
            caps,
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

    unsafe fn expose(&self, _: usize, buffer: RawBuf) -> Option<Region> {
        let addr = buffer.ptr.expose_provenance() as u64;
        self.config.direct.then_some(Region {
            addr,
            key_len: 0,
            key: [0; 64],
        })
    }

    unsafe fn access(&self, _: Pair, access: Access<'_>, _: Token) -> Transfer {
        if !self.config.direct {
            return Transfer::Unavailable;
        }
        let Access { own, region, .. } = access;
        let there = (region.addr + access.offset) as usize;
        let there: *mut u8 = core::ptr::with_exposed_provenance_mut(there);
        // SAFETY: this process's memory by the caller's promise; the region by that of the peer's `expose`, in the same program.
        unsafe {
            if access.writes {
                own.as_buf().copy_to(there);
            } else {
                RawBuf {
                    ptr: there,
                    len: own.len,
                }
                .copy_to(own.ptr);
            }
        }
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

    /// What was sent lies in the inboxes of the others already, or is completed before the sender's memory goes.
    fn close(&self, _: usize) {}

    fn poll(&self, rank: usize, sink: &mut dyn Sink) -> usize {
        let completions = core::mem::take(&mut self.processes[rank].lock().completions);
        let mut events = completions.len();
        for (peer, token) in completions {
            sink.completed(peer, token, true);
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
        assert!(covered.lent > 0 && covered.direct > 0, "{covered:?}");
        assert_eq!((covered.placed, covered.direct_later), (0, 0));
    }
}
