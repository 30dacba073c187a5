//! Links that are cut and processes that are no more.

use super::flight::{Body, Flight, Waiting};
use super::state::State;

impl State {
    /// Nothing gets through between two processes any more. What has arrived stays; what one of
    /// them has lent, if it is `dead`, is not touched.
    pub(super) fn cut(&mut self, one: usize, other: usize, dead: Option<usize>) {
        if self.pair(one, other).cut || one == other {
            return;
        }
        let now = self.now;
        self.trace
            .note(now, "is cut off from", one, &[other as u64]);
        let mut missed = [false; 2];
        for (at, (from, to)) in [(one, other), (other, one)].into_iter().enumerate() {
            let pair = self.pair(from, to);
            pair.cut = true;
            missed[at] = !pair.kept.is_empty();
            pair.kept.clear();
            let mut stays = pair.flights.len();
            for (place, flight) in pair.flights.iter_mut().enumerate() {
                let lent = matches!(flight.body, Body::Lent(_));
                if flight.whole() > now || dead == Some(to) || lent && dead == Some(from) {
                    stays = place;
                    break;
                }
                // SAFETY: the sender lives, and has not been told that the body is its own again.
                unsafe { flight.body.capture() };
            }
            missed[at] |= stays < pair.flights.len();
            pair.flights.truncate(stays);
            pair.operations.clear();
        }
        for (at, (from, to)) in [(one, other), (other, one)].into_iter().enumerate() {
            if dead == Some(from) {
                continue;
            }
            let mut pending = std::mem::take(&mut self.ranks[from].pending);
            pending.retain_mut(|pending| {
                if pending.peer != to {
                    return true;
                }
                pending.waiting = Waiting::Lost;
                self.random.once_in(2)
            });
            self.ranks[from].pending = pending;
            // Who has taken leave is not missed, unless something of its was.
            let is_news = !self.ranks[to].closed || missed[1 - at];
            if is_news && !self.ranks[from].closed {
                let due = now + self.random.below(self.config.latency * 3 + 1) as u64;
                let reason = format!("the simulated link between {from} and {to} is cut");
                self.ranks[from].downs.push((due, to, reason));
            }
        }
        self.in_vain = 0;
    }

    /// A process is no more: nothing of its is touched from now on.
    pub(super) fn die(&mut self, rank: usize) {
        if self.ranks[rank].dead {
            return;
        }
        for peer in (0..self.ranks.len()).filter(|peer| *peer != rank) {
            if self.ranks[rank].closed {
                self.leave_quietly(rank, peer);
            } else {
                self.cut(rank, peer, Some(rank));
            }
        }
        let own = self.pair(rank, rank);
        own.kept.clear();
        own.flights.clear();
        own.operations.clear();
        let own = &mut self.ranks[rank];
        own.dead = true;
        own.pending.clear();
        own.downs.clear();
        own.bell = None;
        self.registry.forget(rank);
    }

    /// What a process has sent that took leave still arrives.
    fn leave_quietly(&mut self, rank: usize, peer: usize) {
        self.flush(rank, peer);
        self.land_all(rank, peer);
        let pair = self.pair(rank, peer);
        pair.cut = true;
        let lent = |flight: &Flight| matches!(flight.body, Body::Lent(_));
        if pair.flights.iter().any(lent) {
            pair.flights.clear();
            self.failure.get_or_insert(format!(
                "process {rank} has left, but what it has lent to the network was not returned"
            ));
        }
        let back = self.pair(peer, rank);
        back.cut = true;
        back.flights.clear();
        back.kept.clear();
        back.operations.clear();
    }
}
