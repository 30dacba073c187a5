//! The simulator behind the traits of a network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flight::Access;
use super::schedule::{Locked, Phase, World};
use super::state::News;
use ferrite_fabric::{
    Header, Landing, Limits, Link, Network, Port, RawBuf, RawBufMut, Region, Sent, Sink, Token,
    Transfer,
};

/// Events told in one poll.
const POLL: usize = 32;

/// A process's place in a simulated network.
pub struct SimNetwork {
    world: Arc<World>,
    rank: usize,
}

impl SimNetwork {
    pub(super) fn new(world: Arc<World>, rank: u32) -> SimNetwork {
        let rank = rank as usize;
        SimNetwork { world, rank }
    }
}

/// Whether the run has begun; before, and without one, processes are at large.
fn in_turns(state: &Locked<'_>) -> bool {
    state.entered > 0
}

impl Network for SimNetwork {
    fn card(&self) -> String {
        format!("sim:{}", self.rank)
    }

    fn port(&self) -> Box<dyn Port> {
        Box::new(SimPort {
            world: self.world.clone(),
            rank: self.rank,
        })
    }

    fn link(&self, peer: u32) -> Box<dyn Link> {
        Box::new(SimLink {
            world: self.world.clone(),
            rank: self.rank,
            peer: peer as usize,
        })
    }

    fn keeps_back(&self) -> bool {
        self.world.lock().keeps_back(self.rank)
    }

    fn flush(&self) {
        let mut state = self.world.lock();
        for peer in 0..state.ranks.len() {
            state.flush(self.rank, peer);
        }
        rouse(&self.world, state);
    }

    fn ring(&self, bell: Arc<dyn Fn() + Send + Sync>) {
        self.world.lock().ranks[self.rank].bell = Some(bell);
    }

    fn sleep(&self, timeout: Option<Duration>) {
        let mut state = self.world.lock();
        if in_turns(&state) {
            let until = timeout.map(|timeout| state.now + timeout.as_nanos() as u64);
            if state.ranks[self.rank].asleep {
                let woken = false;
                drop(
                    self.world
                        .pass(state, self.rank, Phase::Sleeping { until, woken }),
                );
            }
            return;
        }
        let until = timeout.map(|timeout| Instant::now() + timeout);
        while state.ranks[self.rank].asleep && state.next_due(self.rank).is_none() {
            let left = until.map_or(Duration::MAX, |until| {
                until.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return;
            }
            // A long time, which the system's clock can express.
            let left = left.min(Duration::from_secs(3600));
            state = self.world.wait(state, self.rank, left);
        }
    }

    fn wake(&self) {
        let mut state = self.world.lock();
        let own = &mut state.ranks[self.rank];
        own.asleep = false;
        if let Phase::Sleeping { woken, .. } = &mut own.phase {
            *woken = true;
        }
        self.world.notify(self.rank);
    }

    fn close(&self) {
        self.flush();
        let mut state = self.world.lock();
        state.ranks[self.rank].closed = true;
        if in_turns(&state) {
            drop(self.world.pass(state, self.rank, Phase::Closing));
        }
    }
}

/// After something was sent: wakes whom it concerns, if processes are at large.
fn rouse(world: &World, mut state: Locked<'_>) {
    if in_turns(&state) {
        return;
    }
    let mut bells = Vec::new();
    for rank in 0..state.ranks.len() {
        if state.ranks[rank].asleep && state.next_due(rank).is_some() {
            state.ranks[rank].asleep = false;
            bells.extend(state.ranks[rank].bell.clone());
            world.notify(rank);
        }
    }
    drop(state);
    bells.iter().for_each(|bell| bell());
}

/// Sends to one process of a simulated network.
pub struct SimLink {
    world: Arc<World>,
    rank: usize,
    peer: usize,
}

impl SimLink {
    unsafe fn transfer(
        &mut self,
        own: RawBufMut,
        region: &Region,
        offset: u64,
        writes: bool,
        token: Token,
    ) -> Transfer {
        let access = Access {
            own,
            region: region.addr >> 32,
            offset,
            writes,
        };
        let mut state = self.world.lock();
        // SAFETY: the caller's promise, which is `Link::read`'s or `Link::write`'s.
        unsafe { state.transfer(self.rank, self.peer, region, access, token) }
    }
}

impl Link for SimLink {
    fn limits(&self) -> Limits {
        let mut state = self.world.lock();
        let caps = state.pair(self.rank, self.peer).caps;
        Limits {
            inline: state.config.inline,
            frame: state.config.frame,
            caps,
        }
    }

    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent {
        let mut state = self.world.lock();
        // SAFETY: the caller's promise.
        let sent = unsafe { state.try_send(self.rank, self.peer, header, body, token) };
        rouse(&self.world, state);
        sent
    }

    fn flush(&mut self) {
        let mut state = self.world.lock();
        state.flush(self.rank, self.peer);
        rouse(&self.world, state);
    }

    unsafe fn expose(&mut self, buffer: RawBuf) -> Option<Region> {
        self.world.lock().expose(self.rank, buffer)
    }

    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe { self.transfer(into, from, offset, false, token) }
    }

    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, token: Token) -> Transfer {
        let (ptr, len) = (from.ptr.cast_mut(), from.len);
        // SAFETY: the caller's promise; it is read only.
        unsafe { self.transfer(RawBufMut { ptr, len }, to, offset, true, token) }
    }
}

/// Receives from all processes of a simulated network. Dropped, the process is no more; its peers hear of that unless it took leave
/// with [`Network::close`].
pub struct SimPort {
    world: Arc<World>,
    rank: usize,
}

impl Port for SimPort {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        let rank = self.rank;
        let mut state = self.world.lock();
        for peer in 0..state.ranks.len() {
            state.flush(rank, peer);
        }
        if !in_turns(&state) {
            rouse(&self.world, state);
            state = self.world.lock();
        }
        let most = state.config.latency / 4 + 2;
        state.now += state.random.below(most) as u64;
        if in_turns(&state) {
            if !state.is_due(rank) || state.random.once_in(4) {
                state = self.world.pass(state, rank, Phase::Polling);
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
            state = self.world.lock();
            if let Some((peer, id, place)) = placed {
                state.placed(peer, rank, id, place);
            }
        }
        // What was taken here may be what another waited for.
        rouse(&self.world, state);
        events
    }

    fn prepare_sleep(&mut self) -> bool {
        let mut state = self.world.lock();
        let ready = match in_turns(&state) {
            true => state.is_due(self.rank),
            false => state.next_due(self.rank).is_some(),
        };
        state.ranks[self.rank].asleep = !ready;
        !ready
    }

    fn awake(&mut self) {
        self.world.lock().ranks[self.rank].asleep = false;
    }
}

/// The place that was named for a body: of which peer's flight.
type Placed = (usize, u64, Option<RawBufMut>);

/// Tells the engine something.
fn tell(sink: &mut dyn Sink, news: News) -> Option<Placed> {
    match news {
        News::Frame(peer, header, body) => sink.frame(peer as u32, &header, RawBuf::of(&body)),
        News::Landed(peer, header) => sink.landed(peer as u32, &header),
        News::Completed(peer, token, ok) => sink.completed(peer as u32, token, ok),
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

impl Drop for SimPort {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        state.die(self.rank);
        // Whoever is at large hears of it.
        for rank in 0..state.ranks.len() {
            state.ranks[rank].asleep &= in_turns(&state) || state.next_due(rank).is_none();
            self.world.notify(rank);
        }
    }
}
