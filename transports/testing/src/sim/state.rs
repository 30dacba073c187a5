//! What is on its way between whom, and what comes of it. Everything here is done under the world's
//! lock.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Config;
use super::flight::{Body, Flight, Operation, Pending, Place, Waiting};
use super::schedule::Phase;
use super::trace::Trace;
use crate::conformance::Random;
use crate::registry::Registry;
use ferrite_fabric::{
    CONTROL, Caps, Failure, Header, LinkDown, Outcome, RawBuf, RawBufMut, Sent, Token,
};

/// Something that a process is told.
pub(super) enum News {
    Frame(usize, Header, Vec<u8>),
    Arriving(usize, Header, u64),
    Landed(usize, Header),
    Completed(usize, Token, Outcome),
    Down(usize, LinkDown),
}

/// One process.
#[derive(Default)]
pub(super) struct Rank {
    pub(super) phase: Phase,
    pub(super) pending: Vec<Pending>,
    /// Peers whose loss it will hear of, and when.
    pub(super) downs: Vec<(u64, usize, String)>,
    /// It said that it goes to sleep.
    pub(super) asleep: bool,
    pub(super) bell: Option<Arc<dyn Fn() + Send + Sync>>,
    /// Nothing more is sent.
    pub(super) closed: bool,
    /// It is no more.
    pub(super) dead: bool,
    /// What it did last, for a report.
    pub(super) last: String,
}

/// One direction between two processes.
pub(super) struct Pair {
    /// Accepted, but kept back.
    pub(super) kept: VecDeque<Flight>,
    pub(super) flights: VecDeque<Flight>,
    /// Frames arrive in order: not before this.
    not_before: u64,
    latency: usize,
    pub(super) caps: Caps,
    /// In the order in which they were accepted.
    pub(super) operations: VecDeque<Operation>,
    /// Failures of operations whose process had been told before that they are done.
    pub(super) unheard: Vec<(u64, Failure)>,
    /// Nothing gets through any more.
    pub(super) cut: bool,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) config: Config,
    pub(super) seed: u64,
    /// Virtual nanoseconds.
    pub(super) now: u64,
    pub(super) ranks: Vec<Rank>,
    pairs: Vec<Pair>,
    pub(super) registry: Registry,
    /// Counts flights and operations.
    pub(super) ids: u64,
    pub(super) accepted: u64,
    /// Whose turn it is, once all have entered.
    pub(super) turn: Option<usize>,
    pub(super) entered: usize,
    /// Turns in vain, one after the other.
    pub(super) in_vain: u64,
    pub(super) failure: Option<String>,
    pub(super) trace: Trace,
}

impl State {
    pub(super) fn new(seed: u64, processes: usize, config: Config) -> State {
        let mut random = Random(seed);
        let pair = |random: &mut Random| Pair {
            kept: VecDeque::new(),
            flights: VecDeque::new(),
            not_before: 0,
            latency: 1 + random.below(config.latency),
            caps: config.caps,
            operations: VecDeque::new(),
            unheard: Vec::new(),
            cut: false,
        };
        State {
            pairs: (0..processes * processes)
                .map(|_| pair(&mut random))
                .collect(),
            ranks: (0..processes).map(|_| Rank::default()).collect(),
            random,
            seed,
            now: 0,
            registry: Registry::new(seed, config.key, config.rma),
            ids: 0,
            accepted: 0,
            turn: None,
            entered: 0,
            in_vain: 0,
            failure: None,
            trace: Trace::new(config.tell),
            config,
        }
    }

    pub(super) fn pair(&mut self, from: usize, to: usize) -> &mut Pair {
        let n = self.ranks.len();
        &mut self.pairs[from * n + to]
    }

    pub(super) fn once_in(&mut self, n: usize) -> bool {
        n > 0 && self.random.once_in(n)
    }

    /// # Safety
    /// As [`ferrite_fabric::Link::try_send`].
    pub(super) unsafe fn try_send(
        &mut self,
        from: usize,
        to: usize,
        header: &Header,
        body: RawBuf,
        token: Token,
    ) -> Sent {
        let (longest, room) = (self.config.frame, self.config.frames);
        assert!(
            body.len <= longest,
            "a body of {} bytes, but at most {longest}",
            body.len
        );
        let pair = self.pair(from, to);
        if pair.cut {
            // Into the void, or not at all.
            return if self.random.once_in(2) {
                Sent::Done
            } else {
                Sent::Full
            };
        }
        let is_full = pair.kept.len() + pair.flights.len() >= room;
        if is_full || self.once_in(self.config.full_once_in) {
            return Sent::Full;
        }
        let lent =
            body.len > self.config.inline.max(CONTROL) && self.once_in(self.config.lend_once_in);
        let header = Header {
            len: body.len as u32,
            seq: 0,
            ..*header
        };
        // SAFETY: readable during the call, by the caller's promise.
        let copy = unsafe { body.to_vec() };
        self.trace.frame(self.now, "sends to", from, to, &header);
        self.trace.body(&copy);
        self.ids += 1;
        let flight = Flight {
            id: self.ids,
            header,
            body: if lent {
                Body::Lent(body)
            } else {
                Body::Owned(copy)
            },
            pieces: VecDeque::new(),
            at: 0,
            place: Place::Unasked,
        };
        self.accepted += 1;
        self.in_vain = 0;
        self.ranks[from].last = format!("sent kind {} to {to}", header.kind);
        let id = flight.id;
        self.pair(from, to).kept.push_back(flight);
        if lent {
            let due = self.now + self.random.below(3 * self.config.latency + 1) as u64;
            self.ranks[from].pending.push(Pending {
                due,
                peer: to,
                token,
                waiting: Waiting::Frame(id),
            });
        }
        if !self.once_in(self.config.keep_once_in) {
            self.flush(from, to);
        }
        if let Some((frames, one, other)) = self.config.cut
            && frames == self.accepted
        {
            self.cut(one as usize, other as usize, None);
        }
        if lent {
            Sent::Queued(token)
        } else {
            Sent::Done
        }
    }

    /// Lets go of what was kept back.
    pub(super) fn flush(&mut self, from: usize, to: usize) {
        while let Some(mut flight) = self.pair(from, to).kept.pop_front() {
            let len = flight.header.len as usize;
            let asks = len > self.config.place_from && len > 0 && !self.random.once_in(8);
            if asks {
                flight.place = Place::ToAsk;
            }
            let latency = self.pair(from, to).latency;
            let mut due = self.pair(from, to).not_before.max(self.now);
            due += self.random.below(latency + 1) as u64;
            let pieces = 1 + self.random.below(self.config.pieces);
            let mut left = len;
            for piece in 1..=pieces {
                let part = match piece {
                    _ if piece == pieces => left,
                    _ => self.random.below(left + 1),
                };
                left -= part;
                flight.pieces.push_back((due, part));
                due += self.random.below(latency + 1) as u64;
            }
            let pair = self.pair(from, to);
            pair.not_before = flight.whole();
            pair.flights.push_back(flight);
        }
    }

    pub(super) fn keeps_back(&mut self, from: usize) -> bool {
        (0..self.ranks.len()).any(|to| !self.pair(from, to).kept.is_empty())
    }

    /// When something is there for a process that it has not been told.
    pub(super) fn next_due(&mut self, rank: usize) -> Option<u64> {
        let own = &self.ranks[rank];
        let pending = own.pending.iter().map(|pending| pending.due);
        let downs = own.downs.iter().map(|down| down.0);
        let mut due = pending.chain(downs).min();
        for peer in 0..self.ranks.len() {
            if let Some(flight) = self.pair(peer, rank).flights.front() {
                due = Some(due.map_or(flight.due(), |due| due.min(flight.due())));
            }
        }
        due
    }

    pub(super) fn is_due(&mut self, rank: usize) -> bool {
        self.next_due(rank).is_some_and(|due| due <= self.now)
    }

    /// Something that is there for a process, whichever the seed says. Pieces that land are no
    /// news, but take place here.
    pub(super) fn news(&mut self, rank: usize) -> Option<News> {
        enum There {
            Pending(usize),
            Down(usize),
            Flight(usize),
        }
        self.land();
        loop {
            let now = self.now;
            let mut there = Vec::new();
            let own = &self.ranks[rank];
            let pending = own.pending.iter().enumerate();
            there.extend(
                pending
                    .filter(|(_, pending)| pending.due <= now)
                    .map(|(at, _)| There::Pending(at)),
            );
            let downs = own.downs.iter().enumerate();
            there.extend(
                downs
                    .filter(|(_, down)| down.0 <= now)
                    .map(|(at, _)| There::Down(at)),
            );
            for peer in 0..self.ranks.len() {
                let flights = &self.pair(peer, rank).flights;
                if flights.front().is_some_and(|flight| flight.due() <= now) {
                    there.push(There::Flight(peer));
                }
            }
            if there.is_empty() {
                return None;
            }
            let chosen = there.swap_remove(self.random.below(there.len()));
            self.in_vain = 0;
            match chosen {
                There::Pending(at) => return Some(self.complete(rank, at)),
                There::Down(at) => return Some(self.down(rank, at)),
                There::Flight(peer) => {
                    if let Some(news) = self.arrive(peer, rank) {
                        return Some(news);
                    }
                }
            }
        }
    }

    /// The next piece of the frame at the head of a pair arrives.
    fn arrive(&mut self, from: usize, to: usize) -> Option<News> {
        let now = self.now;
        let flights = &mut self.pair(from, to).flights;
        let flight = flights.front_mut()?;
        if matches!(flight.place, Place::ToAsk) {
            let (header, id) = (flight.header, flight.id);
            self.trace.frame(now, "hears of", to, from, &header);
            return Some(News::Arriving(from, header, id));
        }
        let (_, len) = flight.pieces.pop_front()?;
        if let Place::At(place) = flight.place {
            let room = place.len.saturating_sub(flight.at).min(len);
            // SAFETY: what is lent stays until its completion is told, before which a body is
            // captured. The place was named by the receiver, who is to leave it alone until the
            // body has landed.
            unsafe {
                let bytes = flight.body.bytes(flight.at, room);
                if room > 0 {
                    let into = place.part(flight.at, room);
                    RawBuf::of(&bytes).copy_to(into.ptr);
                }
            }
        }
        flight.at += len;
        if !flight.pieces.is_empty() {
            return None;
        }
        let flight = flights.pop_front()?;
        self.before_frame(from, to, flight.id);
        let header = flight.header;
        self.ranks[to].last = format!("received kind {} from {from}", header.kind);
        if let Place::At(_) = flight.place {
            self.trace
                .frame(now, "gets in place from", to, from, &header);
            return Some(News::Landed(from, header));
        }
        self.trace.frame(now, "receives from", to, from, &header);
        // SAFETY: what is lent stays until its completion is told, before which a body is captured.
        let body = unsafe { flight.body.bytes(0, header.len as usize) };
        Some(News::Frame(from, header, body))
    }

    /// The receiver has said where a body is to land.
    pub(super) fn placed(&mut self, from: usize, to: usize, id: u64, place: Option<RawBufMut>) {
        let flight = self.pair(from, to).flights.front_mut();
        // It is gone when the link has died meanwhile.
        if let Some(flight) = flight.filter(|flight| flight.id == id) {
            flight.place = place.map_or(Place::Anywhere, Place::At);
        }
    }

    /// Tells a process that an operation of its has finished.
    fn complete(&mut self, rank: usize, at: usize) -> News {
        let pending = self.ranks[rank].pending.swap_remove(at);
        let (peer, token) = (pending.peer, pending.token);
        let outcome = match pending.waiting {
            Waiting::Frame(id) => {
                let pair = self.pair(rank, peer);
                let mut all = pair.kept.iter_mut().chain(pair.flights.iter_mut());
                if let Some(flight) = all.find(|flight| flight.id == id) {
                    // SAFETY: the body is lent until the sender is told, which comes next.
                    unsafe { flight.body.capture() };
                }
                Ok(())
            }
            Waiting::Operation(id) => self.operated(rank, peer, id),
            Waiting::Flush(id) => self.flushed(rank, peer, id),
            Waiting::Lost => Err(Failure::Unreachable),
        };
        let numbers = [peer as u64, token.0, outcome.is_ok().into()];
        self.trace.note(self.now, "completes", rank, &numbers);
        News::Completed(peer, token, outcome)
    }

    /// Tells a process that a peer is gone.
    fn down(&mut self, rank: usize, at: usize) -> News {
        let (_, peer, reason) = self.ranks[rank].downs.swap_remove(at);
        self.pair(peer, rank).flights.clear();
        let pending = &mut self.ranks[rank].pending;
        pending.retain(|pending| pending.peer != peer);
        let now = self.now;
        self.trace.note(now, "loses", rank, &[peer as u64]);
        News::Down(peer, LinkDown { reason })
    }

    /// Whether all that a process has sent to living peers has been taken.
    pub(super) fn is_drained(&mut self, rank: usize) -> bool {
        (0..self.ranks.len()).all(|peer| {
            let takes = !self.ranks[peer].closed && !self.ranks[peer].dead && peer != rank;
            let pair = self.pair(rank, peer);
            !takes || pair.kept.is_empty() && pair.flights.is_empty()
        })
    }
}

// SAFETY: raw buffers are addresses; who lends them promises that they may be used from any thread
// of this process until they are returned (see `Link::try_send`, `Link::register`, `Landing::At`).
unsafe impl Send for State {}
