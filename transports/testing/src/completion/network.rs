//! The transport behind the traits of a network.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::transport::News;
use super::{Fabric, Shared};
use ferrite_fabric::{
    Header, Limits, Link, LinkDown, Network, Port, RawBuf, RawBufMut, Region, Sent, Sink, Token,
    Transfer,
};

/// Events told in one poll.
const POLL: usize = 32;

/// A process's place in the network.
pub struct CompletionNetwork {
    fabric: Arc<Fabric>,
    rank: usize,
}

impl CompletionNetwork {
    pub(super) fn new(fabric: Arc<Fabric>, rank: usize) -> CompletionNetwork {
        CompletionNetwork { fabric, rank }
    }
}

impl Fabric {
    /// After something was posted: adapters work when they like, and at once while somebody sleeps who may wait for it. Wakes those for
    /// whom there is something.
    fn posted(&self, mut shared: MutexGuard<'_, Shared>) {
        let asleep = shared.sides.iter().any(|side| side.asleep);
        shared.adapters.work(if asleep { usize::MAX } else { 1 });
        let mut bells = Vec::new();
        let Shared { adapters, sides } = &mut *shared;
        for (rank, side) in sides.iter_mut().enumerate() {
            if side.asleep && adapters.has_news(rank) {
                side.asleep = false;
                self.bells[rank].notify_all();
                bells.extend(side.bell.clone());
            }
        }
        drop(shared);
        bells.iter().for_each(|bell| bell());
    }
}

impl Network for CompletionNetwork {
    fn card(&self) -> String {
        format!("completion:{}", self.rank)
    }

    fn port(&self) -> Box<dyn Port> {
        Box::new(CompletionPort {
            fabric: self.fabric.clone(),
            rank: self.rank,
        })
    }

    fn link(&self, peer: u32) -> Box<dyn Link> {
        Box::new(CompletionLink {
            fabric: self.fabric.clone(),
            rank: self.rank,
            peer: peer as usize,
        })
    }

    fn keeps_back(&self) -> bool {
        false
    }

    fn flush(&self) {}

    fn ring(&self, bell: Arc<dyn Fn() + Send + Sync>) {
        self.fabric.lock().sides[self.rank].bell = Some(bell);
    }

    fn sleep(&self, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut shared = self.fabric.lock();
        while shared.sides[self.rank].asleep {
            let left = until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return;
            }
            // A long time, which the system's clock can express.
            let left = left.min(Duration::from_secs(3600));
            let waited = self.fabric.bells[self.rank].wait_timeout(shared, left);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wake(&self) {
        self.fabric.lock().sides[self.rank].asleep = false;
        self.fabric.bells[self.rank].notify_all();
    }

    fn close(&self) {
        let mut shared = self.fabric.lock();
        shared.sides[self.rank].closed = true;
        shared.adapters.work(usize::MAX);
        self.fabric.posted(shared);
    }
}

/// Sends to one process.
pub struct CompletionLink {
    fabric: Arc<Fabric>,
    rank: usize,
    peer: usize,
}

impl CompletionLink {
    fn transfer(
        &mut self,
        own: RawBufMut,
        region: &Region,
        offset: u64,
        writes: bool,
        token: Token,
    ) -> Transfer {
        let mut shared = self.fabric.lock();
        let (pair, place) = ((self.rank, self.peer), (region, offset));
        let answer = shared.transfer(pair, own, place, writes, token);
        self.fabric.posted(shared);
        answer
    }
}

impl Link for CompletionLink {
    fn limits(&self) -> Limits {
        let config = &self.fabric.config;
        Limits {
            inline: config.inline,
            frame: config.frame,
            caps: config.caps,
        }
    }

    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent {
        let (config, mut shared) = (&self.fabric.config, self.fabric.lock());
        // SAFETY: the caller's promise.
        let sent = unsafe { shared.try_send(config, self.rank, self.peer, header, body, token) };
        self.fabric.posted(shared);
        sent
    }

    unsafe fn expose(&mut self, buffer: RawBuf) -> Option<Region> {
        let caps = self.fabric.config.caps;
        let exposes = caps.read || caps.write;
        exposes.then(|| self.fabric.lock().expose(self.rank, buffer))
    }

    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        if !self.fabric.config.caps.read {
            return Transfer::Unavailable;
        }
        self.transfer(into, from, offset, false, token)
    }

    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, token: Token) -> Transfer {
        if !self.fabric.config.caps.write {
            return Transfer::Unavailable;
        }
        let (ptr, len) = (from.ptr.cast_mut(), from.len);
        self.transfer(RawBufMut { ptr, len }, to, offset, true, token)
    }
}

/// Receives from all processes. Dropped, the process is no more; its peers find that out unless it took leave with
/// [`Network::close`].
pub struct CompletionPort {
    fabric: Arc<Fabric>,
    rank: usize,
}

impl Port for CompletionPort {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        let (fabric, rank) = (&self.fabric, self.rank);
        fabric.lock().adapters.work(POLL);
        let mut events = 0;
        while events < POLL {
            let news = fabric.lock().news(rank);
            match news {
                None => break,
                Some(News::Completed(peer, token, ok)) => sink.completed(peer as u32, token, ok),
                Some(News::Down(peer)) => {
                    let reason = format!("the adapter of process {peer} does not answer");
                    sink.down(peer as u32, LinkDown { reason });
                }
                Some(News::Frame(received)) => {
                    let body = RawBuf::of(&received.buffer[..received.len]);
                    sink.frame(received.from as u32, &received.header, body);
                    let mut shared = fabric.lock();
                    shared.release(&fabric.config, rank, received);
                    fabric.posted(shared);
                }
            }
            events += 1;
        }
        events
    }

    fn prepare_sleep(&mut self) -> bool {
        let mut shared = self.fabric.lock();
        shared.adapters.work(usize::MAX);
        let asleep = !shared.adapters.has_news(self.rank);
        shared.sides[self.rank].asleep = asleep;
        // The work may have been for others, too.
        self.fabric.posted(shared);
        asleep
    }

    fn awake(&mut self) {
        self.fabric.lock().sides[self.rank].asleep = false;
    }
}

impl Drop for CompletionPort {
    fn drop(&mut self) {
        let mut shared = self.fabric.lock();
        let took_leave = shared.sides[self.rank].closed;
        shared.adapters.leave(self.rank, took_leave);
        shared.sides[self.rank].bell = None;
        self.fabric.posted(shared);
    }
}
