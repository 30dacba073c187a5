//! Progress: receive what has arrived, send what waits for room.

use core::sync::atomic::Ordering;

use ferrite_fabric::Port;
use ferrite_shm::ShmPort;

use crate::engine::Engine;
use crate::engine::protocol::Landings;
use crate::engine::protocol::Receiver;
use crate::engine::protocol::{Outgoing, Peer};
use crate::engine::requests::{Body, RequestRef};
use crate::sync::threaded;

/// The receiving sides of the transports in use.
pub(in crate::engine) struct Ports {
    /// None where no other rank shares a segment with this one.
    pub(in crate::engine) shm: Option<ShmPort>,
    pub(in crate::engine) net: Option<NetPort>,
    /// Frames that are landing, by process.
    pub(in crate::engine) landings: Landings,
}

/// A network's port, polled less often while nothing comes from it: a look at sockets costs as much as a message through
/// shared memory.
pub(in crate::engine) struct NetPort {
    pub(in crate::engine) port: Box<dyn Port>,
    /// Polls of shared memory until the next look.
    pause: u32,
    /// What `pause` starts from; twice as long after every look in vain.
    pauses: u32,
}

impl NetPort {
    /// Looks in vain become at least this rare.
    const RARELY: u32 = 32;

    pub(in crate::engine) fn new(port: Box<dyn Port>) -> NetPort {
        NetPort {
            port,
            pause: 0,
            pauses: 0,
        }
    }

    /// Whether it is time to look.
    fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.wrapping_sub(1);
        due
    }

    /// Takes note of how the look went.
    fn looked(&mut self, events: usize) {
        self.pauses = match events {
            0 => (self.pauses * 2 + 1).min(Self::RARELY),
            _ => 0,
        };
        self.pause = self.pauses;
    }
}

impl Engine {
    /// Drives the transports once. Returns whether anything moved.
    #[inline]
    pub fn progress(&self) -> bool {
        let mut moved = false;
        if let Some(mut ports) = self.port.try_lock() {
            moved = self.poll(&mut ports);
        }
        if self.has_backlog.load(Ordering::Relaxed) {
            moved |= self.work_off();
        }
        if !moved && self.has_helps.load(Ordering::Relaxed) {
            moved = self.help();
        }
        if self.under_way.any() {
            moved |= self.advance_all();
        }
        if self.chores.load(Ordering::Relaxed) > 0 {
            moved |= self.finish_flushes()
                | self.start_announced()
                | self.tell_tools()
                | self.tell_of_ended();
        }
        moved
    }

    /// Nothing is received any more.
    pub(in crate::engine) fn shut_ports(&self) {
        let mut ports = self.port.lock();
        let shut = (ports.shm.take(), ports.net.take());
        drop(ports);
        drop(shut);
    }

    /// As [`Engine::progress`], but waits for a thread that has the port, and looks at the network in any case: after a false
    /// answer nothing is left that had arrived before. No lock is held.
    #[cold]
    pub(in crate::engine) fn hear(&self) -> bool {
        let mut ports = self.port.lock();
        if let Some(net) = &mut ports.net {
            net.pause = 0;
        }
        let heard = self.poll(&mut ports);
        drop(ports);
        heard | self.progress()
    }

    #[inline]
    pub(in crate::engine) fn poll(&self, ports: &mut Ports) -> bool {
        let mut receiver = Receiver {
            engine: self,
            landings: &mut ports.landings,
        };
        let mut moved = false;
        if let Some(shm) = &mut ports.shm {
            moved = shm.poll_into(&mut receiver) > 0;
        }
        if let Some(net) = &mut ports.net
            && (ports.shm.is_none() || net.is_due() || self.keeps_back())
        {
            let events = net.port.poll(&mut receiver);
            net.looked(events);
            moved |= events > 0;
        }
        moved
    }

    /// Sends what networks keep back, before a call returns after which this process may compute for long.
    #[inline]
    pub(in crate::engine) fn flush(&self) {
        if self.keeps_back()
            && let Some(net) = &self.net
        {
            net.flush();
        }
    }

    #[inline]
    fn keeps_back(&self) -> bool {
        self.net.as_ref().is_some_and(|net| net.keeps_back())
    }

    /// Puts a link on the list of those with work.
    pub(in crate::engine) fn enlist(&self, peer: &Peer, out: &mut Outgoing) {
        if !out.listed {
            out.listed = true;
            self.backlog.lock().push(peer.process);
            self.has_backlog.store(true, Ordering::Relaxed);
        }
    }

    /// Gives every link with work another try. Returns whether any frame went out.
    #[cold]
    fn work_off(&self) -> bool {
        let listed = std::mem::take(&mut *self.backlog.lock());
        let mut moved = false;
        let mut still = Vec::new();
        for process in listed {
            let mut out = self.peer(process).out.lock();
            let before = left(&out);
            self.pump(&mut out);
            // A send that is complete with this may be the last that this process does for long.
            out.flush();
            moved |= left(&out) != before;
            if out.has_work() {
                still.push(process);
            } else {
                out.listed = false;
            }
        }
        let mut backlog = self.backlog.lock();
        backlog.extend(still);
        self.has_backlog
            .store(!backlog.is_empty(), Ordering::Relaxed);
        moved
    }

    /// Whether frames wait for room, so that sleeping until something arrives could be forever.
    pub(in crate::engine) fn has_backlog(&self) -> bool {
        self.has_backlog.load(Ordering::Relaxed)
    }

    /// A request is done: hand it back to its caller, or remove it when nobody will come for it.
    #[inline]
    pub(in crate::engine) fn complete(&self, request: RequestRef) {
        // SAFETY: whoever completes a request owns its body.
        let body = unsafe { request.body() };
        if body.extra.is_some() {
            self.complete_extra(body);
        }
        if request.finish() {
            self.remove_request(request);
        } else if threaded() {
            self.waiting.something_finished();
        }
    }

    /// [`Engine::complete`] for a request with more to it.
    #[cold]
    fn complete_extra(&self, body: &mut Body) {
        match body.extra().whole.take() {
            Some(whole) => self.part_done(body, whole),
            None => self.note_arrival(body),
        }
    }
}

/// What is left to send, as a value that changes when some of it goes.
fn left(out: &Outgoing) -> (usize, usize, usize) {
    let offset = out
        .streams
        .iter()
        .map(|stream| stream.end - stream.offset)
        .sum();
    (out.frames.len(), out.streams.len(), offset)
}
