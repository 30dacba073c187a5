//! Processes that have left the job without `MPI_Finalize`, with status 0.
//!
//! That is no failure as long as nobody needs them: a program that has exchanged all it wanted may
//! end so. A process that has waited for a while asks its launcher who has left, and tells it of
//! its wait; the launcher, which hears all, ends the job when a process waits for one that has
//! left, or when all wait and nothing moves. What one that leaves has sent before is received
//! first: a process tells that it needs one only a second after it has heard that it left.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ferrite_fabric::Wait;

use crate::engine::Engine;
use crate::engine::requests::{Kind, RequestRef};
use crate::handle::Request;
use crate::sync::threaded;

/// How often a process that waits asks, and after what time one does for the first time that is
/// about to leave itself.
const ASK: Duration = Duration::from_secs(1);
const ASK_AT_END: Duration = Duration::from_millis(100);

/// How long the launcher may take to see the end of a process whose connection has ended.
const SEEN_WITHIN: Duration = Duration::from_millis(500);

pub(in crate::engine) struct Departed {
    /// Whether there are others, and a launcher that knows of them.
    asks: bool,
    /// Those that have left, as the launcher has said.
    ranks: Mutex<Vec<u32>>,
    /// Those whose connections have ended, and the reasons, that the launcher has not been asked
    /// about.
    ended: Mutex<Vec<(u32, String)>>,
    /// This process has nothing left to do but to wait for the others in `MPI_Finalize`. Both are
    /// advice: relaxed everywhere.
    finalizing: AtomicBool,
    /// All others that have not left are there as well.
    all_are_there: AtomicBool,
    /// The request that a thread waits for and nothing else, [`COLLECTIVE`] or [`NOTHING`] in
    /// particular. Advice: relaxed everywhere.
    awaited: AtomicU32,
    /// Tests in vain, and when the launcher was last told of them.
    tests: AtomicU32,
    told: Mutex<Option<Instant>>,
}

/// Nothing in particular is waited for.
const NOTHING: u32 = 0;

/// A collective operation is, which needs all its members.
const COLLECTIVE: u32 = u32::MAX;

/// The clock is looked at once in so many tests in vain; a power of two.
const TESTS: u32 = 64;

impl Departed {
    pub(in crate::engine) fn new(asks: bool) -> Departed {
        Departed {
            asks,
            ranks: Mutex::new(Vec::new()),
            ended: Mutex::new(Vec::new()),
            finalizing: AtomicBool::new(false),
            all_are_there: AtomicBool::new(false),
            awaited: AtomicU32::new(NOTHING),
            tests: AtomicU32::new(0),
            told: Mutex::new(None),
        }
    }

    /// This request is waited for from now on, and nothing else.
    #[inline]
    pub(in crate::engine) fn awaits(&self, request: Request) {
        self.awaited.store(request.0, Ordering::Relaxed);
    }

    /// A collective operation is.
    #[inline]
    pub(in crate::engine) fn awaits_collective(&self) {
        self.awaited.store(COLLECTIVE, Ordering::Relaxed);
    }

    /// The wait is over.
    #[inline]
    pub(in crate::engine) fn awaits_nothing(&self) {
        self.awaited.store(NOTHING, Ordering::Relaxed);
    }

    /// Nothing is left to do for this process but to wait for the others.
    pub(in crate::engine) fn finalizing(&self) {
        self.finalizing.store(true, Ordering::Relaxed);
    }

    /// Whether the wait of `MPI_Finalize` is over, though not all have come.
    #[inline]
    pub(in crate::engine) fn all_are_there(&self) -> bool {
        self.all_are_there.load(Ordering::Relaxed)
    }

    fn is_finalizing(&self) -> bool {
        self.finalizing.load(Ordering::Relaxed)
    }
}

impl Engine {
    /// Whether to ask in a wait of this length, in which the launcher was asked last at this time
    /// (zero: not yet).
    pub(super) fn is_time_to_ask(&self, waited: Duration, told: Duration) -> bool {
        let pause = match (self.ask_every(), told.is_zero()) {
            (None, _) => return false,
            (Some(first), true) => first,
            // Many may wait for one that comes late.
            (Some(_), false) => ASK,
        };
        waited >= told + pause
    }

    /// How long a process that waits may sleep until it asks.
    pub(super) fn ask_every(&self) -> Option<Duration> {
        match self.progress.departed.is_finalizing() {
            _ if !self.progress.departed.asks => None,
            true => Some(ASK_AT_END),
            false => Some(ASK),
        }
    }

    /// Tells the launcher of a wait in which nothing has moved for this long, and hears who has
    /// left. No lock is held.
    #[cold]
    pub(super) fn tell_of_wait(&self, quiet: Duration) {
        let finalizing = self.progress.departed.is_finalizing();
        let known = self.left_before();
        let needs = match finalizing || known.is_empty() {
            true => None,
            false => self.needed_of(&known),
        };
        let wait = Wait {
            // Where there are threads, another one may be about to do what this one waits for. It
            // matters only once somebody has left.
            quiet: match threaded() && !finalizing {
                true if known.is_empty() => 0,
                true => self.rests_for(),
                false => u32::try_from(quiet.as_secs()).unwrap_or(u32::MAX),
            },
            needs,
            known: known.len() as u32,
            finalizing,
        };
        if let Some(told) = self.bootstrap.waiting(&wait) {
            self.progress
                .departed
                .all_are_there
                .store(told.all_finalize && finalizing, Ordering::Relaxed);
            *self.left_now() = told.ranks;
        }
    }

    /// A test has found this request pending. Who tests for long waits.
    #[inline]
    pub(in crate::engine) fn tested_in_vain(&self, request: Request) {
        let tests = self
            .progress
            .departed
            .tests
            .load(Ordering::Relaxed)
            .wrapping_add(1);
        self.progress.departed.tests.store(tests, Ordering::Relaxed);
        if tests & (TESTS - 1) == 0 && self.progress.departed.asks {
            self.tested_often(request);
        }
    }

    #[cold]
    fn tested_often(&self, request: Request) {
        let now = Instant::now();
        let mut told = self
            .progress
            .departed
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|before| now.duration_since(before) >= ASK);
        if is_due {
            *told = Some(now);
            drop(told);
            self.progress.departed.awaits(request);
            // The program may do anything between two tests.
            self.tell_of_wait(Duration::ZERO);
            self.progress.departed.awaits_nothing();
        }
    }

    /// The connection to a process has ended for this reason. The launcher is asked about it by
    /// [`Engine::tell_of_ended`], as locks are held now.
    #[cold]
    pub(in crate::engine) fn connection_ended(&self, process: u32, reason: String) {
        self.ended_now().push((process, reason));
        self.chores.add();
    }

    /// Tells the launcher of processes whose connections have ended, unless they have left in
    /// peace: what is sent to one that has left goes nowhere, and who waits for it tells so. No
    /// lock is held. Returns false: nothing has moved by that.
    #[cold]
    pub(super) fn tell_of_ended(&self) -> bool {
        let ended = std::mem::take(&mut *self.ended_now());
        for (process, reason) in ended {
            self.chores.done(1);
            if !self.has_left(process) {
                self.bootstrap.lost(process, &reason);
            }
        }
        false
    }

    fn ended_now(&self) -> std::sync::MutexGuard<'_, Vec<(u32, String)>> {
        let ended = &self.progress.departed.ended;
        ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a process whose connection has ended has left in peace. Asks for a moment: a
    /// connection ends before its process.
    #[cold]
    fn has_left(&self, process: u32) -> bool {
        if !self.progress.departed.asks {
            return false;
        }
        let until = Instant::now() + SEEN_WITHIN;
        let wait = Wait {
            finalizing: self.progress.departed.is_finalizing(),
            ..Wait::default()
        };
        loop {
            let Some(told) = self.bootstrap.waiting(&wait) else {
                return false;
            };
            if told.ranks.contains(&process) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn left_now(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        let ranks = &self.progress.departed.ranks;
        ranks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left_before(&self) -> Vec<u32> {
        self.left_now().clone()
    }

    /// One of these processes without which the wait under way does not end.
    fn needed_of(&self, left: &[u32]) -> Option<u32> {
        let awaited = self.progress.departed.awaited.load(Ordering::Relaxed);
        let is_of_collectives = match awaited {
            NOTHING => return None,
            COLLECTIVE => true,
            request => {
                let data = self.requests.get(request).filter(|data| !data.is_done())?;
                // Where there are threads, the body may be another one's.
                let body = (!threaded()).then(|| {
                    // SAFETY: no other thread calls MPI, and this one is between two operations on
                    // requests.
                    unsafe { RequestRef::new(data).body() }
                });
                // Of a receive, the process is known once a message has come that is still on its
                // way.
                if let Some(body) = &body
                    && matches!(body.kind, Kind::Send | Kind::Recv)
                    && left.contains(&body.process)
                {
                    return Some(body.process);
                }
                body.is_some_and(|body| body.kind == Kind::Collective)
            }
        };
        let is_awaited = |context: u64, receive: &RequestRef| {
            // The lowest bit of a context tells collectives from the rest.
            match is_of_collectives {
                true => context & 1 != 0,
                false => receive.handle().0 == awaited,
            }
        };
        self.lanes.iter().find_map(|lane| {
            let lane = lane.lock();
            lane.posted().find_map(|(envelope, receive)| {
                if envelope.source < 0 || !is_awaited(envelope.context, receive) {
                    return None;
                }
                let comm = receive.data().comm();
                let known = envelope.source < comm.peers();
                let process = known.then(|| comm.process(envelope.source))?;
                left.contains(&process).then_some(process)
            })
        })
    }
}
