//! Operations on registered memory: when each takes effect, and when its process hears of it.
//!
//! Both are as late, or as early, as the promised order allows and the seed says.

use super::flight::{Operation, Pending, Waiting};
use super::state::State;
use crate::place::Access;
use crate::registry::What;
use ferrite_fabric::{
    Act, Atomics, Failure, Outcome, RawBufMut, Refused, Region, Token, Transfer, Uses,
};

impl State {
    pub(super) fn register(
        &mut self,
        owner: usize,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Region, Refused> {
        if !self.config.caps.allow(uses) {
            return Err(Refused::Unavailable);
        }
        if self.once_in(self.config.refuse_once_in) {
            let refused = "the simulated network is in no mood to register memory".to_owned();
            return Err(Refused::NoRoom(refused));
        }
        self.registry.register(owner, memory, uses)
    }

    /// Whether an operation may be begun; otherwise what is answered.
    fn room(&mut self, rank: usize, peer: usize) -> Result<(), Transfer> {
        if self.pair(rank, peer).cut {
            return Err(Transfer::Failed(Failure::Unreachable));
        }
        let pending = self.ranks[rank].pending.iter();
        let under_way = pending.filter(|pending| {
            let is_rma = matches!(pending.waiting, Waiting::Operation(_) | Waiting::Flush(_));
            pending.peer == peer && is_rma
        });
        let is_full = under_way.count() >= self.config.rma.outstanding;
        if is_full || self.once_in(self.config.full_once_in) {
            return Err(Transfer::Full);
        }
        self.in_vain = 0;
        Ok(())
    }

    /// # Safety
    /// As [`crate::place::World::access`].
    pub(super) unsafe fn access(
        &mut self,
        rank: usize,
        peer: usize,
        access: Access<'_>,
        token: Token,
    ) -> Transfer {
        let what = access.what;
        if self.once_in(self.config.unavailable_once_in) {
            let caps = &mut self.pair(rank, peer).caps;
            match what.act() {
                Act::Write => caps.write = false,
                Act::Atomic => caps.atomics = Atomics::NONE,
                Act::Read | Act::Frame => caps.read = false,
            }
            return Transfer::Unavailable;
        }
        if let Err(answer) = self.room(rank, peer) {
            return answer;
        }
        let (now, region) = (self.now, *access.region);
        let numbers = [
            peer as u64,
            what.act() as u64,
            region.addr,
            access.offset,
            what.len() as u64,
        ];
        self.trace.note(now, "accesses", rank, &numbers);
        self.ids += 1;
        let id = self.ids;
        let latency = 4 * self.config.latency + 1;
        let operation = Operation {
            id,
            what,
            copy: None,
            region,
            offset: access.offset,
            is_told: false,
            lands: now + self.random.below(latency) as u64,
            outcome: None,
        };
        self.pair(rank, peer).operations.push_back(operation);
        let is_visible = self.config.caps.visible_writes || what.has_result();
        let is_inline = !what.has_result() && what.len() <= self.config.rma.inline;
        if is_inline || self.once_in(self.config.direct_once_in) {
            let outcome = match is_visible {
                true => self.take_effect(rank, peer, id),
                false => {
                    self.let_go(rank, peer, id);
                    Ok(())
                }
            };
            self.tell(rank, peer, id);
            return outcome.map_or_else(Transfer::Failed, |()| Transfer::Done);
        }
        let due = now + self.random.below(latency) as u64;
        self.ranks[rank].pending.push(Pending {
            due,
            peer,
            token,
            waiting: Waiting::Operation(id),
        });
        Transfer::Queued(token)
    }

    pub(super) fn flush_writes(&mut self, rank: usize, peer: usize, token: Token) -> Transfer {
        if let Err(answer) = self.room(rank, peer) {
            return answer;
        }
        self.ids += 1;
        let id = self.ids;
        let has_nothing = self.pair(rank, peer).operations.is_empty();
        if has_nothing && self.once_in(self.config.direct_once_in) {
            return match self.flushed(rank, peer, id) {
                Ok(()) => Transfer::Done,
                Err(failure) => Transfer::Failed(failure),
            };
        }
        let due = self.now + self.random.below(4 * self.config.latency + 1) as u64;
        self.ranks[rank].pending.push(Pending {
            due,
            peer,
            token,
            waiting: Waiting::Flush(id),
        });
        Transfer::Queued(token)
    }

    /// The outcome of an operation whose process is being told.
    pub(super) fn operated(&mut self, rank: usize, peer: usize, id: u64) -> Outcome {
        let operations = &self.pair(rank, peer).operations;
        let Some(operation) = operations.iter().find(|operation| operation.id == id) else {
            return Err(Failure::Unreachable);
        };
        let (what, done) = (operation.what, operation.outcome);
        let outcome = match done {
            Some(outcome) => outcome,
            None if what.has_result() || self.config.caps.visible_writes => {
                self.take_effect(rank, peer, id)
            }
            // Its buffer is free, and its effect comes later.
            None => {
                self.let_go(rank, peer, id);
                Ok(())
            }
        };
        self.tell(rank, peer, id);
        outcome
    }

    /// All writes and atomic operations before `id` are visible. The first failure among those
    /// whose process did not hear of it.
    pub(super) fn flushed(&mut self, rank: usize, peer: usize, id: u64) -> Outcome {
        let changes = |what: &What| !matches!(what, What::Read(_));
        self.all_before(rank, peer, id, |what| changes(what));
        let unheard = &mut self.pair(rank, peer).unheard;
        let first = unheard.iter().position(|(failed, _)| *failed < id);
        let outcome = first.map_or(Ok(()), |first| Err(unheard[first].1));
        unheard.retain(|(failed, _)| *failed > id);
        outcome
    }

    /// What must have taken effect before a frame takes effect that was accepted as number `id`.
    pub(super) fn before_frame(&mut self, from: usize, to: usize, id: u64) {
        let order = self.config.caps.order;
        self.all_before(from, to, id, |what| order.holds(what.act(), Act::Frame));
    }

    /// What has been told lands in its time.
    pub(super) fn land(&mut self) {
        let n = self.ranks.len();
        for (from, to) in (0..n * n).map(|pair| (pair / n, pair % n)) {
            let now = self.now;
            let due = |operation: &&Operation| operation.is_told && operation.lands <= now;
            while let Some(operation) = self.pair(from, to).operations.iter().find(due) {
                let id = operation.id;
                let _ = self.take_effect(from, to, id);
            }
        }
    }

    /// What has been told of a process that leaves lands at last.
    pub(super) fn land_all(&mut self, from: usize, to: usize) {
        self.all_before(from, to, u64::MAX, |_| true);
        self.pair(from, to).operations.clear();
    }

    fn all_before(&mut self, from: usize, to: usize, id: u64, which: impl Fn(&What) -> bool) {
        let operations = self.pair(from, to).operations.iter();
        let those =
            operations.filter(|one| one.id < id && one.outcome.is_none() && which(&one.what));
        for id in those.map(|one| one.id).collect::<Vec<_>>() {
            let _ = self.take_effect(from, to, id);
        }
    }

    /// An operation takes effect, after those that must before it.
    fn take_effect(&mut self, rank: usize, peer: usize, id: u64) -> Outcome {
        let order = self.config.caps.order;
        let operations = &self.pair(rank, peer).operations;
        // It may have been one that had to be before another one.
        let Some(at) = operations.iter().position(|operation| operation.id == id) else {
            return Ok(());
        };
        if let Some(outcome) = operations[at].outcome {
            return outcome;
        }
        let then = operations[at].what.act();
        let first = operations.iter().take(at);
        let first =
            first.filter(|first| first.outcome.is_none() && order.holds(first.what.act(), then));
        for first in first.map(|first| first.id).collect::<Vec<_>>() {
            let _ = self.take_effect(rank, peer, first);
        }
        let operations = &self.pair(rank, peer).operations;
        let found = operations.iter().find(|operation| operation.id == id);
        let operation = found.expect("it has not taken effect");
        let (what, region, offset) = (operation.what, operation.region, operation.offset);
        // SAFETY: its buffers are lent until its process is told, or its own copy.
        let outcome = unsafe { self.registry.access(peer, &region, offset, &what) };
        let pair = self.pair(rank, peer);
        let found = pair
            .operations
            .iter_mut()
            .find(|operation| operation.id == id);
        let operation = found.expect("found before");
        operation.outcome = Some(outcome);
        if operation.is_told {
            pair.operations.retain(|operation| operation.id != id);
            if let Err(failure) = outcome {
                pair.unheard.push((id, failure));
            }
        }
        outcome
    }

    /// An operation that has not taken effect needs its buffer no more.
    fn let_go(&mut self, rank: usize, peer: usize, id: u64) {
        let operations = &mut self.pair(rank, peer).operations;
        let found = operations.iter_mut().find(|operation| operation.id == id);
        // SAFETY: its process has not been told that the buffer is its own again.
        unsafe { found.expect("it has not taken effect").let_go() };
    }

    /// The process of an operation hears of it.
    fn tell(&mut self, rank: usize, peer: usize, id: u64) {
        let operations = &mut self.pair(rank, peer).operations;
        if let Some(operation) = operations.iter_mut().find(|operation| operation.id == id) {
            operation.is_told = true;
        }
        operations.retain(|operation| operation.id != id || operation.outcome.is_none());
    }
}
