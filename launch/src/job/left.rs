//! Ranks that have left with status 0 without MPI_Finalize: no failure unless somebody needs them.
//!
//! A rank that waits for long says so, and is told who has left. It then says, a second later,
//! whether it needs one of those: what that one had sent before has arrived by then. Who waits for
//! anybody at all needs nobody in particular; when all others wait and nothing moves, the one that
//! has left is missed as well.
//!
//! A rank that has exited after MPI_Finalize sends nothing any more. Where its calls and those of
//! others did not agree, these might wait for it in MPI_Finalize for ever; once all are there, none
//! has to.

use super::{Job, Mpi, Phase, Rank, name};
use crate::process::{End, Outcome};
use ferrite_client::wire::MOST_LEFT;
use ferrite_client::{Left, Wait};
use std::time::{Duration, Instant};

/// How long the other ranks may go on once one has exited with 0 without MPI_Finalize, where they
/// cannot tell whether they wait for it (they speak PMI). Programs that never call it end all at
/// about the same time.
pub(crate) const PARTING: Duration = Duration::from_secs(2);

/// How long nothing may move on any rank, once one has left, before that is taken for the reason.
const STUCK: Duration = Duration::from_secs(4);

/// How old what a rank has said of its wait may be. It says so every second.
const FRESH: Duration = Duration::from_millis(2500);

impl Job {
    /// A rank says, from now on, when it waits for long.
    pub(crate) fn tells_waits(&mut self, rank: u32) {
        self.rank(rank).tells_waits = true;
    }

    /// A rank waits. Returns who has left.
    pub(crate) fn waiting(&mut self, rank: u32, wait: &Wait, now: Instant) -> Left {
        let left = self.left_early();
        let is_through = |rank: &Rank| rank.end.is_some() && matches!(rank.mpi, Mpi::Finalized(_));
        let someone_is_through = self.ranks.iter().any(is_through);
        if left.is_empty() && !someone_is_through || self.phase != Phase::Running {
            return Left::default();
        }
        self.rank(rank).wait = Some((wait.clone(), now));
        let mut all_finalize = false;
        if let Some(needed) = wait.needs.filter(|needed| left.contains(needed)) {
            self.missed(needed, &format!("{} waits for it", self.place(rank)), now);
        } else {
            let goes_on = |rank: &&Rank| {
                rank.end.is_none() && !rank.gone && !matches!(rank.mpi, Mpi::Finalized(_))
            };
            let all = |is: &dyn Fn(&Wait, Instant) -> bool| {
                let mut others = self.ranks.iter().filter(goes_on);
                others.all(|rank| rank.wait.as_ref().is_some_and(|(wait, at)| is(wait, *at)))
            };
            all_finalize = all(&|wait, _| wait.finalizing);
            let known = left.len().min(MOST_LEFT) as u32;
            // All of them at the same time, then, and not only one after the other: `STUCK` is
            // longer than `FRESH`.
            let stuck = all(&|wait, at| {
                Duration::from_secs(wait.quiet.into()) >= STUCK
                    && wait.known == known
                    && now.saturating_duration_since(at) <= FRESH
            });
            if stuck && !all_finalize && !left.is_empty() {
                self.missed(left[0], "all others wait", now);
            }
        }
        Left {
            ranks: left,
            all_finalize,
        }
    }

    /// A rank has left without MPI_Finalize, and is missed. `by`: who misses it.
    pub(super) fn missed(&mut self, left: u32, by: &str, now: Instant) {
        let who = self.who(left);
        let sentence = format!("{who} exited without calling MPI_Finalize, and {by}");
        self.parting = None;
        self.fail_for(sentence, Outcome::Exit(1), now);
    }

    /// Ranks have left without MPI_Finalize, and others run on without them.
    pub(super) fn parted(&mut self, now: Instant) {
        let left = self.left_early();
        let who = match left[..] {
            [one] => self.who(one),
            _ => name(&left),
        };
        self.parting = None;
        let sentence = format!("{who} exited without calling MPI_Finalize");
        self.fail_for(sentence, Outcome::Exit(1), now);
    }

    /// The ranks that have exited with 0 between init and finalize.
    pub(super) fn left_early(&self) -> Vec<u32> {
        self.numbers(|rank| rank.end == Some(End::Code(0)) && matches!(rank.mpi, Mpi::Inside(_)))
    }
}
