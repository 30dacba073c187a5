//! The transport as a world of processes: who is told what, and who sleeps.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::transport::News;
use super::{Fabric, Shared};
use crate::place::{Access, Pair, World};
use ferrite_fabric::{
    Header, Limits, LinkDown, RawBuf, RawBufMut, Refused, Region, Sent, Sink, Token, Transfer, Uses,
};

/// Events told in one poll.
const POLL: usize = 32;

impl Fabric {
    /// After something was posted: adapters work when they like, and at once while somebody sleeps
    /// who may wait for it. Wakes those for whom there is something.
    fn posted(&self, mut shared: MutexGuard<'_, Shared>) {
        let asleep = shared.sides.iter().any(|side| side.asleep);
        if asleep {
            shared.adapters.work(usize::MAX);
        } else {
            shared.adapters.work_or_not();
        }
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

impl World for Fabric {
    const NAME: &'static str = "completion";

    fn limits(&self, _: Pair) -> Limits {
        Limits {
            inline: self.config.inline,
            frame: self.config.frame,
            caps: self.config.caps,
            rma: self.config.rma,
            direct_from: self.config.direct_from,
        }
    }

    unsafe fn try_send(
        &self,
        (from, to): Pair,
        header: &Header,
        body: RawBuf,
        token: Token,
    ) -> Sent {
        let mut shared = self.lock();
        // SAFETY: the caller's promise.
        let sent = unsafe { shared.try_send(&self.config, from, to, header, body, token) };
        self.posted(shared);
        sent
    }

    unsafe fn register(
        &self,
        rank: usize,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Region, Refused> {
        if !self.config.caps.allow(uses) {
            return Err(Refused::Unavailable);
        }
        self.lock().adapters.registry.register(rank, memory, uses)
    }

    fn unregister(&self, region: &Region) {
        self.lock().adapters.registry.unregister(region);
    }

    unsafe fn access(&self, pair: Pair, access: Access<'_>, token: Token) -> Transfer {
        let mut shared = self.lock();
        // SAFETY: the caller's promise.
        let answer = unsafe { shared.access(&self.config, pair, access, token) };
        self.posted(shared);
        answer
    }

    fn flush_writes(&self, pair: Pair, token: Token) -> Transfer {
        let mut shared = self.lock();
        let answer = shared.flush_writes(&self.config, pair, token);
        self.posted(shared);
        answer
    }

    fn ring(&self, rank: usize, bell: Arc<dyn Fn() + Send + Sync>) {
        self.lock().sides[rank].bell = Some(bell);
    }

    fn sleep(&self, rank: usize, timeout: Option<Duration>) {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut shared = self.lock();
        while shared.sides[rank].asleep {
            let left = until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return;
            }
            // A long time, which the system's clock can express.
            let left = left.min(Duration::from_secs(3600));
            let waited = self.bells[rank].wait_timeout(shared, left);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wake(&self, rank: usize) {
        self.lock().sides[rank].asleep = false;
        self.bells[rank].notify_all();
    }

    fn close(&self, rank: usize) {
        let mut shared = self.lock();
        shared.sides[rank].closed = true;
        shared.adapters.work(usize::MAX);
        self.posted(shared);
    }

    fn poll(&self, rank: usize, sink: &mut dyn Sink) -> usize {
        self.lock().adapters.work(POLL);
        let mut events = 0;
        while events < POLL {
            let news = self.lock().news(rank);
            match news {
                None => break,
                Some(News::Completed(peer, token, outcome)) => {
                    sink.completed(peer as u32, token, outcome);
                }
                Some(News::Down(peer)) => {
                    let reason = format!("the adapter of process {peer} does not answer");
                    sink.down(peer as u32, LinkDown { reason });
                }
                Some(News::Frame(received)) => {
                    let body = RawBuf::of(&received.buffer[..received.len]);
                    sink.frame(received.from as u32, &received.header, body);
                    let mut shared = self.lock();
                    shared.release(&self.config, rank, received);
                    self.posted(shared);
                }
            }
            events += 1;
        }
        events
    }

    fn prepare_sleep(&self, rank: usize) -> bool {
        let mut shared = self.lock();
        shared.adapters.work(usize::MAX);
        let asleep = !shared.adapters.has_news(rank);
        shared.sides[rank].asleep = asleep;
        // The work may have been for others, too.
        self.posted(shared);
        asleep
    }

    fn awake(&self, rank: usize) {
        self.lock().sides[rank].asleep = false;
    }

    /// Its peers find that out unless it took leave.
    fn leave(&self, rank: usize) {
        let mut shared = self.lock();
        let took_leave = shared.sides[rank].closed;
        shared.adapters.leave(rank, took_leave);
        shared.sides[rank].bell = None;
        self.posted(shared);
    }
}
