//! Calls that wait for what does not come.
//!
//! A process that has waited for a while (`FERRITE_STALL`) and in which nothing has moved tells the
//! other members what collective calls it is in, and asks how far they are. Their answers are
//! evidence ([`crate::engine::communicators::call_log`]): a member has made the call of the same
//! number with arguments that must not differ, and then the call ends with an error. Or all others
//! have ended it or wait in it like this one, and nothing has moved in any of them for a while. Who
//! is late is no evidence, however late: it has not made the call yet. Then the question is asked
//! again later. A process in which some thread may do something does not wait ([`super::rest`]); if
//! that is all that is wanting, a sentence says so.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::nanos;
use crate::engine::Engine;
use crate::engine::communicators::{Calls, Rounds, Stage};
use crate::engine::protocol::{CallNews, Frame};
use crate::sync::{Class, ClassLock};

/// In a larger communicator a process asks only members at distances that are powers of two: the
/// neighbours of a rank that disagrees find out, and the job ends or whoever waits for them finds
/// out later.
const ASK_ALL: usize = 256;

/// How many communicators are remembered that were freed: others may still be in a call that this
/// process has ended.
const FREED: usize = 64;

/// The calls of all communicators.
pub(in crate::engine) struct Watchdog {
    calls: ClassLock<ByContext>,
    /// How long nothing moves until others are asked, in nanoseconds; 0: for ever. May be changed
    /// at any time. Relaxed everywhere: advice.
    stall: AtomicU64,
    /// `Call` frames that have come, and how often this process has asked. Relaxed everywhere:
    /// nothing else depends on them.
    pub(super) talk: AtomicU32,
    pub(super) asked: AtomicU32,
}

#[derive(Default)]
struct ByContext {
    alive: HashMap<u64, Arc<Calls>>,
    /// The last one last.
    freed: VecDeque<(u64, Arc<Calls>)>,
}

impl Watchdog {
    pub(in crate::engine) fn new(stall: Duration) -> Watchdog {
        Watchdog {
            calls: ClassLock::new(Class::Leaf, ByContext::default()),
            stall: nanos(stall).into(),
            talk: 0.into(),
            asked: 0.into(),
        }
    }

    /// Others are asked after so long from now on.
    pub(in crate::engine) fn retune(&self, stall: Duration) {
        self.stall.store(nanos(stall), Ordering::Relaxed);
    }

    /// How long to wait until others are asked; `None`: for ever.
    #[inline]
    pub(super) fn stall(&self) -> Option<Duration> {
        let stall = Duration::from_nanos(self.stall.load(Ordering::Relaxed));
        (!stall.is_zero()).then_some(stall)
    }

    /// A communicator of this context begins.
    pub(in crate::engine) fn add(&self, context: u64, calls: &Arc<Calls>) {
        self.calls.lock().alive.insert(context, calls.clone());
    }

    /// It ends.
    pub(in crate::engine) fn remove(&self, context: u64) {
        let ByContext { alive, freed } = &mut *self.calls.lock();
        freed.extend(alive.remove_entry(&context));
        if freed.len() > FREED {
            freed.pop_front();
        }
    }

    /// Those of a communicator, and whether its handle is freed.
    fn get(&self, context: u64) -> Option<(Arc<Calls>, bool)> {
        let all = self.calls.lock();
        if let Some(calls) = all.alive.get(&context) {
            return Some((calls.clone(), false));
        }
        let freed = all.freed.iter().find(|(other, _)| *other == context);
        freed.map(|(_, calls)| (calls.clone(), true))
    }

    /// Those with calls under way.
    fn busy(&self) -> Vec<(u64, Arc<Calls>)> {
        let all = self.calls.lock();
        let alive = all.alive.iter().map(|(context, calls)| (*context, calls));
        let freed = all.freed.iter().map(|(context, calls)| (*context, calls));
        let busy = alive.chain(freed).filter(|(_, calls)| calls.is_busy());
        busy.map(|(context, calls)| (context, calls.clone()))
            .collect()
    }
}

impl Engine {
    /// Nothing has moved for `rounds` times as long as it takes until others are asked: asks the
    /// other members of all calls under way how far they are.
    #[cold]
    pub(super) fn ask_about_calls(&self, rounds: Rounds) {
        let asked = self.progress.watchdog.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let stall = self.progress.watchdog.stall().unwrap_or_default();
        for (context, calls) in self.progress.watchdog.busy() {
            for call @ (number, started, arguments) in calls.under_way() {
                if let Some(doubt) = calls.give_up(call, self.job.rank, (rounds, asked)) {
                    let waited = stall * rounds.quiet;
                    eprintln!(
                        "ferrite: rank {}: nothing has moved for {waited:?}: {doubt}",
                        self.job.rank
                    );
                }
                let stage = Stage::UnderWay(arguments);
                for process in self.to_ask(&calls) {
                    self.tell_stage(process, context, (number, started), (stage, rounds), true);
                }
            }
        }
        self.flush();
    }

    fn to_ask(&self, calls: &Calls) -> Vec<u32> {
        let all: Vec<u32> = calls.processes().collect();
        let own = all.iter().position(|process| *process == self.job.rank);
        let own = own.unwrap_or(0);
        let size = all.len();
        let distances = 1..size;
        let is_asked = |distance: &usize| {
            size <= ASK_ALL || distance.is_power_of_two() || (size - distance).is_power_of_two()
        };
        let asked = distances.filter(is_asked);
        asked.map(|distance| all[(own + distance) % size]).collect()
    }

    fn tell_stage(
        &self,
        process: u32,
        context: u64,
        (number, started): (u32, u32),
        (stage, rounds): (Stage, Rounds),
        asks: bool,
    ) {
        let (arguments, has_ended) = match stage {
            Stage::UnderWay(arguments) => (Some(arguments), false),
            Stage::Ended(arguments) => (arguments, true),
            Stage::ToCome | Stage::Forgotten => return,
        };
        let news = CallNews {
            context,
            number,
            started,
            asks,
            has_ended,
            arguments: arguments.map(|arguments| (arguments, rounds)),
        };
        self.send_control(process, Frame::Call(news));
    }

    /// A member tells how far it is with a call, and may ask the same.
    #[cold]
    pub(in crate::engine) fn stage_told(&self, process: u32, news: CallNews) {
        let Some((calls, is_freed)) = self.progress.watchdog.get(news.context) else {
            return;
        };
        let call = (news.number, news.started);
        self.progress.watchdog.talk.fetch_add(1, Ordering::Relaxed);
        let arguments = news.arguments.map(|(arguments, _)| arguments);
        let theirs = match (news.has_ended, arguments) {
            (true, arguments) => Stage::Ended(arguments),
            (false, Some(arguments)) => Stage::UnderWay(arguments),
            (false, None) => return,
        };
        // An answer says nothing of how long the other has waited.
        let rounds = news
            .arguments
            .map_or(Rounds::default(), |(_, rounds)| rounds);
        let rounds = news.asks.then_some(rounds);
        let asked = self.progress.watchdog.asked.load(Ordering::Relaxed);
        calls.told(call, (self.job.rank, asked), process, (theirs, rounds));
        if news.asks {
            let ours = match calls.stage(call.0, call.1) {
                // What was not called before the communicator was freed is not late: it does not
                // come any more.
                Stage::ToCome if is_freed => Stage::Ended(None),
                stage => stage,
            };
            let answer = (ours, Rounds::default());
            self.tell_stage(process, news.context, call, answer, false);
        }
    }
}
