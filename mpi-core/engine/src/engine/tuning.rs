//! What may be tuned while MPI runs, and what is counted meanwhile.

use core::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::engine::matching::Arrivals;
use crate::engine::protocol::{Peer, Sends};
use crate::settings::Settings;

impl Engine {
    /// Takes over what may change while MPI runs; nothing else of `settings` has an effect.
    pub(crate) fn retune(&self, settings: &Settings) {
        self.protocol_limits.set(settings);
        if let Some(memory) = self.transports.memory() {
            memory.set_direct_from(settings.cma_limit);
        }
        for peer in self.peers.known() {
            let mut out = peer.out.lock();
            let limit = self.protocol_limits.eager_limit(&out.path);
            out.limit_eager(limit);
            drop(out);
            // With another budget it may hold too much now, or no longer.
            self.adjust_hold(peer.process);
        }
        self.progress
            .waiting()
            .retune(settings.spin, settings.yield_for);
        self.progress.watchdog().retune(settings.stall);
    }

    /// What was sent so far, to this process itself, too.
    pub(crate) fn sends(&self) -> Sends {
        let mut all = Sends::default();
        for peer in self.peers.known() {
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
        for lane in self.lanes.iter() {
            let Arrivals {
                expected,
                unexpected,
            } = lane.lock().arrivals;
            all.expected += expected;
            all.unexpected += unexpected;
        }
        all
    }

    /// Receives that wait for a message now, and messages that wait for a receive.
    pub(crate) fn queue_lengths(&self) -> (u64, u64) {
        let counts = self.lanes.iter().map(|lane| lane.lock().counts());
        let sum = |(a, b), (c, d)| (a + c as u64, b + d as u64);
        counts.fold((0, 0), sum)
    }

    /// Bytes of other processes' messages that wait here for a receive now.
    pub(crate) fn unexpected_bytes(&self) -> u64 {
        let kept = |peer: &Peer| peer.unexpected_bytes.load(Ordering::Relaxed) as u64;
        self.peers.known().map(kept).sum()
    }

    /// How often a waiting thread has yielded the processor, and how often it has slept.
    pub(crate) fn pauses(&self) -> (u64, u64) {
        self.progress.waiting().pauses()
    }

    /// Requests alive.
    pub(crate) fn request_count(&self) -> u64 {
        self.requests.handles().len() as u64
    }

    /// Communicators alive, the world and that of this process alone among them.
    pub(crate) fn comm_count(&self) -> u64 {
        self.comms.table().handles().len() as u64 + 2
    }
}
