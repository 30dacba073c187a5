//! Whose turn it is.

use std::fmt::Write;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Config;
use super::state::State;

/// So many turns in which nothing happens at all are a deadlock. Much more than anybody polls in
/// vain who will do something else.
const IN_VAIN: u64 = 100_000;

/// What a process is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not entered, or nobody has.
    #[default]
    Outside,
    /// It can go on.
    Ready,
    /// It has looked for news.
    Polling,
    /// It sleeps until there are some, or until then.
    Sleeping { until: Option<u64>, woken: bool },
    /// It does something else until then, and hears of nothing.
    Computing { until: u64 },
    /// It waits until what it sent has arrived and all others close, too.
    Closing,
    /// It has left.
    Left,
}

pub(super) struct Simulation {
    state: Mutex<State>,
    /// One for each process.
    bells: Vec<Condvar>,
}

pub(super) type Locked<'a> = MutexGuard<'a, State>;

impl Simulation {
    pub(super) fn new(seed: u64, processes: u32, config: Config) -> Simulation {
        let state = State::new(seed, processes as usize, config);
        Simulation {
            state: Mutex::new(state),
            bells: (0..processes).map(|_| Condvar::new()).collect(),
        }
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to happen to a process at large.
    pub(super) fn wait<'a>(
        &self,
        state: Locked<'a>,
        rank: usize,
        timeout: core::time::Duration,
    ) -> Locked<'a> {
        let waited = self.bells[rank].wait_timeout(state, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn notify(&self, rank: usize) {
        self.bells[rank].notify_all();
    }

    pub(super) fn enter(&self, rank: usize) {
        let mut state = self.lock();
        assert_eq!(
            state.ranks[rank].phase,
            Phase::Outside,
            "a process enters once"
        );
        state.ranks[rank].phase = Phase::Ready;
        state.entered += 1;
        if state.entered == self.bells.len() {
            self.choose(&mut state);
        }
        drop(self.wait_for_turn(state, rank));
    }

    pub(super) fn end_turns(&self, rank: usize) {
        let mut state = self.lock();
        state.ranks[rank].phase = Phase::Left;
        if state.turn == Some(rank) {
            self.choose(&mut state);
        }
    }

    /// Lets the others go on. Returns when it is this process's turn again.
    pub(super) fn pass<'a>(&self, mut state: Locked<'a>, rank: usize, phase: Phase) -> Locked<'a> {
        state.ranks[rank].phase = phase;
        if state.failure.is_none() {
            self.choose(&mut state);
        }
        self.wait_for_turn(state, rank)
    }

    fn wait_for_turn<'a>(&self, mut state: Locked<'a>, rank: usize) -> Locked<'a> {
        loop {
            if let Some(failure) = &state.failure {
                let failure = failure.clone();
                drop(state);
                panic!("{failure}");
            }
            if state.turn == Some(rank) {
                state.ranks[rank].phase = Phase::Ready;
                return state;
            }
            state = self.bells[rank]
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn fail(&self, why: &str) {
        let mut state = self.lock();
        state.failure.get_or_insert_with(|| why.to_owned());
        self.bells.iter().for_each(Condvar::notify_all);
    }

    fn choose(&self, state: &mut State) {
        state.in_vain += 1;
        state.turn = chosen(state);
        match state.turn {
            Some(rank) => self.notify(rank),
            None if state.ranks.iter().all(|rank| rank.phase == Phase::Left) => {}
            None => {
                let report = report(state);
                state.failure = Some(report);
                self.bells.iter().for_each(Condvar::notify_all);
            }
        }
    }
}

/// Who goes on, whichever the seed says; `None`: nobody ever can.
fn chosen(state: &mut State) -> Option<usize> {
    if state.in_vain > IN_VAIN {
        return None;
    }
    loop {
        let all = 0..state.ranks.len();
        let ready: Vec<usize> = all.clone().filter(|rank| is_ready(state, *rank)).collect();
        if !ready.is_empty() && !state.random.once_in(8) {
            return Some(state.random.choose(&ready));
        }
        // Who polls finds nothing at times, as who sleeps wakes for no reason.
        let idle = |rank: &usize| match state.ranks[*rank].phase {
            Phase::Polling => true,
            Phase::Sleeping { .. } => state.in_vain % 16 == 1,
            _ => false,
        };
        let idle: Vec<usize> = all.clone().filter(idle).collect();
        let next = all.filter_map(|rank| next_time(state, rank)).min();
        if !idle.is_empty() && (next.is_none() && ready.is_empty() || state.random.once_in(4)) {
            return Some(state.random.choose(&idle));
        }
        match next {
            _ if !ready.is_empty() => {}
            Some(next) => state.now = state.now.max(next),
            None => return None,
        }
    }
}

fn is_ready(state: &mut State, rank: usize) -> bool {
    match state.ranks[rank].phase {
        Phase::Outside | Phase::Left => false,
        Phase::Ready => true,
        Phase::Polling => state.is_due(rank),
        Phase::Computing { until } => until <= state.now,
        Phase::Sleeping { until, woken } => {
            woken || until.is_some_and(|until| until <= state.now) || state.is_due(rank)
        }
        Phase::Closing => {
            let over = |other: &super::state::Rank| {
                other.closed || other.dead || other.phase == Phase::Left
            };
            state.ranks.iter().all(over) && state.is_drained(rank)
        }
    }
}

/// When something will happen to a process if nobody does anything.
fn next_time(state: &mut State, rank: usize) -> Option<u64> {
    match state.ranks[rank].phase {
        Phase::Polling => state.next_due(rank),
        Phase::Computing { until } => Some(until),
        Phase::Sleeping { until, .. } => state.next_due(rank).into_iter().chain(until).min(),
        _ => None,
    }
}

/// Why nobody goes on.
fn report(state: &mut State) -> String {
    let mut report = format!(
        "deadlock at virtual time {} (seed {:#x}): nothing is on its way, and",
        state.now, state.seed
    );
    for rank in 0..state.ranks.len() {
        let own = &state.ranks[rank];
        let last = if own.last.is_empty() {
            "has done nothing"
        } else {
            &own.last
        };
        write!(
            report,
            "\n  process {rank} is {:?}; last it {last}",
            own.phase
        )
        .expect("a String");
        for peer in 0..state.ranks.len() {
            let pair = state.pair(rank, peer);
            if !pair.kept.is_empty() {
                let kept = pair.kept.len();
                write!(report, "; {kept} frames to {peer} were never flushed").expect("a String");
            }
        }
    }
    report
}
