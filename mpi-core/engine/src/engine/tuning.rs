//! What may be tuned while MPI runs, and what is counted meanwhile.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::Engine;
use crate::engine::matching::Envelope;
use crate::engine::protocol::{Path, Peer};
use crate::settings::Settings;
use crate::sync::threaded;
use crate::tools::{self, Event, Safety};

/// Lengths in bytes at which protocols change. Advice, not synchronisation: relaxed everywhere.
pub(super) struct Tuning {
    eager_limit: AtomicUsize,
    net_eager_limit: AtomicUsize,
    eager_budget: AtomicUsize,
    cma_limit: AtomicUsize,
}

impl Tuning {
    pub(super) fn new(settings: &Settings) -> Tuning {
        Tuning {
            eager_limit: settings.eager_limit.into(),
            net_eager_limit: settings.net_eager_limit.into(),
            eager_budget: settings.eager_budget.into(),
            cma_limit: settings.cma_limit.into(),
        }
    }

    /// Of the longest message that is sent eagerly on a path.
    pub(super) fn eager_limit(&self, path: &Path) -> usize {
        let limit = match path {
            Path::Own | Path::Shm(_) => &self.eager_limit,
            Path::Net(_) => &self.net_eager_limit,
        };
        limit.load(Ordering::Relaxed)
    }

    /// Of the eager messages outstanding per peer, beyond which a sender uses rendezvous.
    pub(super) fn eager_budget(&self) -> usize {
        self.eager_budget.load(Ordering::Relaxed)
    }

    /// From which a rendezvous copies directly from the sender's memory.
    pub(super) fn cma_limit(&self) -> usize {
        self.cma_limit.load(Ordering::Relaxed)
    }
}

/// What this process has sent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sends {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Messages whose data waited for their receiver.
    pub(crate) rendezvous: u64,
}

impl Sends {
    #[inline]
    pub(crate) fn count(&mut self, len: usize) {
        self.messages += 1;
        self.bytes += len as u64;
    }
}

/// Messages that have arrived, by whether their receive was there first.
#[derive(Clone, Copy, Default)]
pub(crate) struct Arrivals {
    pub(crate) expected: u64,
    pub(crate) unexpected: u64,
}

impl Engine {
    /// Takes over what may change while MPI runs; nothing else of `settings` has an effect.
    pub(crate) fn retune(&self, settings: &Settings) {
        let Tuning {
            eager_limit,
            net_eager_limit,
            eager_budget,
            cma_limit,
        } = &self.tuning;
        eager_limit.store(settings.eager_limit, Ordering::Relaxed);
        net_eager_limit.store(settings.net_eager_limit, Ordering::Relaxed);
        eager_budget.store(settings.eager_budget, Ordering::Relaxed);
        cma_limit.store(settings.cma_limit, Ordering::Relaxed);
        for peer in self.known_peers() {
            let mut out = peer.out.lock();
            let limit = self.tuning.eager_limit(&out.path);
            out.limit_eager(limit);
            drop(out);
            // With another budget it may hold too much now, or no longer.
            self.adjust_hold(peer.process);
        }
        self.waiting.retune(settings.spin, settings.yield_for);
    }

    fn known_peers(&self) -> impl Iterator<Item = &Peer> {
        // Pairs with the release in `make_peer`.
        let peers = self.peers.iter().map(|peer| peer.load(Ordering::Acquire));
        // SAFETY: null, or published, and published peers live as long as the engine.
        peers.filter_map(|peer| unsafe { peer.as_ref() })
    }

    /// What was sent so far, to this process itself, too.
    pub(crate) fn sends(&self) -> Sends {
        let mut all = Sends::default();
        for peer in self.known_peers() {
            let Sends {
                messages,
                bytes,
                rendezvous,
            } = peer.out.lock().sends;
            all.messages += messages;
            all.bytes += bytes;
            all.rendezvous += rendezvous;
        }
        all
    }

    /// What has arrived so far.
    pub(crate) fn arrivals(&self) -> Arrivals {
        let mut all = Arrivals::default();
        for lane in &self.lanes {
            let Arrivals {
                expected,
                unexpected,
            } = lane.lock().arrivals;
            all.expected += expected;
            all.unexpected += unexpected;
        }
        all
    }

    /// Tells tools, if any listens, of a message that was there before its receive.
    #[inline]
    pub(super) fn unexpected(&self, envelope: Envelope, process: u32, len: usize) {
        // Collectives' messages are no user's.
        if envelope.context & 1 == 0 {
            self.raise(Event::Unexpected {
                process,
                tag: envelope.tag,
                bytes: len as u64,
            });
        }
    }

    /// Keeps an event until no lock is held.
    #[inline]
    pub(super) fn raise(&self, event: Event) {
        if tools::is_wanted(event) && tools::queue(event) {
            self.chores.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells tools what has happened. No lock is held. Returns false: nothing has moved by that.
    #[cold]
    pub(super) fn tell_tools(&self) -> bool {
        let safety = match threaded() {
            true => Safety::ThreadSafe,
            false => Safety::None,
        };
        self.chores
            .fetch_sub(tools::deliver(safety), Ordering::Relaxed);
        false
    }

    /// Receives that wait for a message now, and messages that wait for a receive.
    pub(crate) fn queue_lengths(&self) -> (u64, u64) {
        let counts = self.lanes.iter().map(|lane| lane.lock().counts());
        let sum = |(a, b), (c, d)| (a + c as u64, b + d as u64);
        counts.fold((0, 0), sum)
    }

    /// Bytes of other processes' messages that wait here for a receive now.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let kept = |peer: &Peer| peer.kept.load(Ordering::Relaxed) as u64;
        self.known_peers().map(kept).sum()
    }

    /// How often a waiting thread has yielded the processor, and how often it has slept.
    pub(crate) fn pauses(&self) -> (u64, u64) {
        self.waiting.pauses()
    }

    /// Requests alive.
    pub(crate) fn request_count(&self) -> u64 {
        self.requests.handles().len() as u64
    }

    /// Communicators alive, the world and that of this process alone among them.
    pub(crate) fn comm_count(&self) -> u64 {
        self.comms.handles().len() as u64 + 2
    }
}
