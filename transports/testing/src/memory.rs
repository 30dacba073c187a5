//! A transport between threads of one process: queues behind locks.
//!
//! It does on purpose what shared memory does not: with [`Config::lazy`] it answers `Queued` and takes a body only when the
//! receiver polls, as completion-based hardware does. It is meant for tests of whatever sits above a transport, and keeps the
//! conformance suite honest by being a second implementor.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrite_fabric::{
    CONTROL, Caps, Header, Limits, Link, Port, RawBuf, RawBufMut, Region, Sent, Sink, Token,
    Transfer,
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
}

struct Process {
    inbox: Mutex<Inbox>,
    bell: Condvar,
}

impl Process {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, inbox: &mut Inbox) {
        if inbox.asleep {
            inbox.asleep = false;
            self.bell.notify_all();
        }
    }
}

/// Connects `processes` processes with each other. Of each: its port, and its links by peer (with one to itself).
pub fn connect(processes: u32, config: Config) -> Vec<(MemoryPort, Vec<MemoryLink>)> {
    let all: Arc<[Process]> = (0..processes)
        .map(|_| {
            let queues = (0..processes).map(|_| VecDeque::new()).collect();
            Process {
                inbox: Mutex::new(Inbox {
                    queues,
                    ..Inbox::default()
                }),
                bell: Condvar::new(),
            }
        })
        .collect();
    let link = |own, peer| MemoryLink {
        all: all.clone(),
        own,
        peer,
        config,
    };
    (0..processes)
        .map(|own| {
            let links = (0..processes).map(|peer| link(own, peer)).collect();
            (
                MemoryPort {
                    all: all.clone(),
                    own,
                    next: 0,
                },
                links,
            )
        })
        .collect()
}

/// Sends to one process.
pub struct MemoryLink {
    all: Arc<[Process]>,
    own: u32,
    peer: u32,
    config: Config,
}

impl Link for MemoryLink {
    fn limits(&self) -> Limits {
        let caps = Caps {
            read: self.config.direct,
            write: self.config.direct,
        };
        Limits {
            inline: self.config.inline,
            frame: self.config.frame,
            caps,
        }
    }

    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent {
        let longest = self.config.frame;
        assert!(
            body.len <= longest,
            "a body of {} bytes, but at most {longest}",
            body.len
        );
        let peer = &self.all[self.peer as usize];
        let mut inbox = peer.lock();
        let queue = &mut inbox.queues[self.own as usize];
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
        peer.wake(&mut inbox);
        if lent {
            Sent::Queued(token)
        } else {
            Sent::Done
        }
    }

    unsafe fn expose(&mut self, buffer: RawBuf) -> Option<Region> {
        let addr = buffer.ptr.expose_provenance() as u64;
        self.config.direct.then_some(Region {
            addr,
            key_len: 0,
            key: [0; 64],
        })
    }

    unsafe fn read(&mut self, into: RawBufMut, from: &Region, offset: u64, _: Token) -> Transfer {
        if !self.config.direct {
            return Transfer::Unavailable;
        }
        let ptr = core::ptr::with_exposed_provenance((from.addr + offset) as usize);
        // SAFETY: `into` by the caller's promise; the region by that of the peer's `expose`, in the same process.
        unsafe { RawBuf { ptr, len: into.len }.copy_to(into.ptr) };
        Transfer::Done
    }

    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, _: Token) -> Transfer {
        if !self.config.direct {
            return Transfer::Unavailable;
        }
        // SAFETY: `from` by the caller's promise; the region by that of the peer's `expose`, in the same process.
        unsafe {
            from.copy_to(core::ptr::with_exposed_provenance_mut(
                (to.addr + offset) as usize,
            ))
        };
        Transfer::Done
    }
}

/// Receives from all processes.
pub struct MemoryPort {
    all: Arc<[Process]>,
    own: u32,
    /// The sender whose turn it is.
    next: usize,
}

impl MemoryPort {
    /// What puts this process to sleep after `prepare_sleep`, until something arrives or `timeout` is over.
    pub fn sleeper(&self) -> impl Fn(Duration) + Send + Sync + use<> {
        let (all, own) = (self.all.clone(), self.own as usize);
        move |timeout| {
            let inbox = all[own].lock();
            let asleep = all[own]
                .bell
                .wait_timeout_while(inbox, timeout, |inbox| inbox.asleep);
            drop(asleep.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Takes the next frame, from the senders in turn.
    fn take(&mut self) -> Option<(u32, Frame)> {
        let mut inbox = self.all[self.own as usize].lock();
        let senders = inbox.queues.len();
        for _ in 0..senders {
            let sender = self.next;
            self.next = (self.next + 1) % senders;
            if let Some(frame) = inbox.queues[sender].pop_front() {
                return Some((sender as u32, frame));
            }
        }
        None
    }
}

impl Port for MemoryPort {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        let completions = core::mem::take(&mut self.all[self.own as usize].lock().completions);
        let mut events = completions.len();
        for (peer, token) in completions {
            sink.completed(peer, token, true);
        }
        for _ in 0..POLL {
            let Some((sender, frame)) = self.take() else {
                break;
            };
            events += 1;
            match frame.body {
                Body::Copied(body) => sink.frame(sender, &frame.header, RawBuf::of(&body)),
                Body::Lent(body, token) => {
                    sink.frame(sender, &frame.header, body);
                    let sender = &self.all[sender as usize];
                    let mut inbox = sender.lock();
                    inbox.completions.push_back((self.own, token));
                    sender.wake(&mut inbox);
                }
            }
        }
        events
    }

    fn prepare_sleep(&mut self) -> bool {
        let mut inbox = self.all[self.own as usize].lock();
        inbox.asleep = inbox.completions.is_empty() && inbox.queues.iter().all(VecDeque::is_empty);
        inbox.asleep
    }

    fn awake(&mut self) {
        self.all[self.own as usize].lock().asleep = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Coverage, Endpoint};

    fn conforms(config: Config) -> Coverage {
        conformance::run(0x6d65_6d6f, |processes| {
            let ends = connect(processes, config).into_iter().zip(0..);
            ends.map(|((port, links), rank)| Endpoint {
                rank,
                sleep: Box::new(port.sleeper()),
                port: Box::new(port),
                links: links
                    .into_iter()
                    .map(|link| Box::new(link) as Box<dyn Link>)
                    .collect(),
                reflexive: true,
                close: Box::new(|| {}),
            })
            .collect()
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
