//! The simulator as a world of processes: who is told what, and who sleeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::schedule::{Locked, Phase, Simulation};
use super::state::News;
use crate::place::{Access, Pair, World};
use ferrite_fabric::{
    Header, Landing, Limits, RawBuf, RawBufMut, Refused, Region, Sent, Sink, Token, Transfer, Uses,
};

/// Events told in one poll.
const POLL: usize = 32;

/// Whether the run has begun; before, and without one, processes are at large.
fn in_turns(state: &Locked<'_>) -> bool {
    state.entered > 0
}

impl Simulation {
    /// After something was sent: wakes whom it concerns, if processes are at large.
    fn rouse(&self, mut state: Locked<'_>) {
        if in_turns(&state) {
            return;
        }
        let mut bells = Vec::new();
        for rank in 0..state.ranks.len() {
            if state.ranks[rank].asleep && state.next_due(rank).is_some() {
                state.ranks[rank].asleep = false;
                bells.extend(state.ranks[rank].bell.clone());
                self.notify(rank);
            }
        }
        drop(state);
        bells.iter().for_each(|bell| bell());
    }
}

impl World for Simulation {
    const NAME: &'static str = "sim";

    fn limits(&self, (from, to): Pair) -> Limits {
        let mut state = self.lock();
        let caps = state.pair(from, to).caps;
        Limits {
            inline: state.config.inline,
            frame: state.config.frame,
            caps,
            rma: state.config.rma,
            direct_from: state.config.direct_from,
        }
    }

    unsafe fn try_send(
        &self,
        (from, to): Pair,
        header: &Header,
        body: RawBuf,
        token: Token,
    ) -> Sent {
        let mut state = self.lock();
        // SAFETY: the caller's promise.
        let sent = unsafe { state.try_send(from, to, header, body, token) };
        self.rouse(state);
        sent
    }

    fn flush(&self, (from, to): Pair) {
        let mut state = self.lock();
        state.flush(from, to);
        self.rouse(state);
    }

    unsafe fn register(
        &self,
        rank: usize,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Region, Refused> {
        self.lock().register(rank, memory, uses)
    }

    fn unregister(&self, region: &Region) {
        self.lock().registry.unregister(region);
    }

    unsafe fn access(&self, (rank, peer): Pair, access: Access<'_>, token: Token) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe { self.lock().access(rank, peer, access, token) }
    }

    fn flush_writes(&self, (rank, peer): Pair, token: Token) -> Transfer {
        self.lock().flush_writes(rank, peer, token)
    }

    fn keeps_back(&self, rank: usize) -> bool {
        self.lock().keeps_back(rank)
    }

    fn flush_all(&self, rank: usize) {
        let mut state = self.lock();
        for peer in 0..state.ranks.len() {
            state.flush(rank, peer);
        }
        self.rouse(state);
    }

    fn ring(&self, rank: usize, bell: Arc<dyn Fn() + Send + Sync>) {
        self.lock().ranks[rank].bell = Some(bell);
    }

    fn sleep(&self, rank: usize, timeout: Option<Duration>) {
        let mut state = self.lock();
        if in_turns(&state) {
            let until = timeout.map(|timeout| state.now + timeout.as_nanos() as u64);
            if state.ranks[rank].asleep {
                let woken = false;
                drop(self.pass(state, rank, Phase::Sleeping { until, woken }));
            }
            return;
        }
        let until = timeout.map(|timeout| Instant::now() + timeout);
        while state.ranks[rank].asleep && state.next_due(rank).is_none() {
            let left = until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return;
            }
            // A long time, which the system's clock can express.
            let left = left.min(Duration::from_secs(3600));
            state = self.wait(state, rank, left);
        }
    }

    fn wake(&self, rank: usize) {
        let mut state = self.lock();
        let own = &mut state.ranks[rank];
        own.asleep = false;
        if let Phase::Sleeping { woken, .. } = &mut own.phase {
            *woken = true;
        }
        self.notify(rank);
    }

    fn close(&self, rank: usize) {
        self.flush_all(rank);
        let mut state = self.lock();
        state.ranks[rank].closed = true;
        if in_turns(&state) {
            drop(self.pass(state, rank, Phase::Closing));
        }
    }

    fn poll(&self, rank: usize, sink: &mut dyn Sink) -> usize {
        let mut state = self.lock();
        for peer in 0..state.ranks.len() {
            state.flush(rank, peer);
        }
        if !in_turns(&state) {
            self.rouse(state);
            state = self.lock();
        }
        let most = state.config.latency / 4 + 2;
        state.now += state.random.below(most) as u64;
        if in_turns(&state) {
            if !state.is_due(rank) || state.random.once_in(4) {
                state = self.pass(state, rank, Phase::Polling);
            }
        } else if let Some(due) = state.next_due(rank) {
            state.now = state.now.max(due);
        }
        let most = 1 + state.random.below(POLL);
        let mut events = 0;
        while events < most {
            let Some(news) = state.news(rank) else {
                break;
            };
            events += 1;
            drop(state);
            let placed = tell(sink, news);
            state = self.lock();
            if let Some((peer, id, place)) = placed {
                state.placed(peer, rank, id, place);
            }
        }
        // What was taken here may be what another waited for.
        self.rouse(state);
        events
    }

    fn prepare_sleep(&self, rank: usize) -> bool {
        let mut state = self.lock();
        let ready = match in_turns(&state) {
            true => state.is_due(rank),
            false => state.next_due(rank).is_some(),
        };
        state.ranks[rank].asleep = !ready;
        !ready
    }

    fn awake(&self, rank: usize) {
        self.lock().ranks[rank].asleep = false;
    }

    /// Its peers hear of that unless it took leave.
    fn leave(&self, rank: usize) {
        let mut state = self.lock();
        state.die(rank);
        // Whoever is at large hears of it.
        for rank in 0..state.ranks.len() {
            state.ranks[rank].asleep &= in_turns(&state) || state.next_due(rank).is_none();
            self.notify(rank);
        }
    }
}

/// The place that was named for a body: of which peer's flight.
type Placed = (usize, u64, Option<RawBufMut>);

/// Tells the engine something.
fn tell(sink: &mut dyn Sink, news: News) -> Option<Placed> {
    match news {
        News::Frame(peer, header, body) => sink.frame(peer as u32, &header, RawBuf::of(&body)),
        News::Landed(peer, header) => sink.landed(peer as u32, &header),
        News::Completed(peer, token, outcome) => sink.completed(peer as u32, token, outcome),
        News::Down(peer, why) => sink.down(peer as u32, why),
        News::Arriving(peer, header, id) => {
            let place = match sink.arriving(peer as u32, &header) {
                Landing::Anywhere => None,
                Landing::At(place) => Some(place),
            };
            return Some((peer, id, place));
        }
    }
    None
}
