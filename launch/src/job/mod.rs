//! The state of a job: what each rank has said and how it ended, and what follows from that.
//!
//! No system call is made here. The launcher tells what has happened and carries out the
//! [`Effect`]s.

use crate::plan::Spec;
use crate::process::{End, Outcome};
use crate::sys::signals;
use ferrite_client::Wait;
use rustix::process::Pid;
use std::time::{Duration, Instant};

mod dialogue;
mod left;
pub(crate) mod pmi;
mod store;

pub(crate) use dialogue::Dialogue;

pub(crate) use left::PARTING;

/// How long ranks have between SIGTERM and SIGKILL.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// A second interrupt within this time of the first is the same one, sent to a whole process group
/// and passed on as well.
const SAME_INTERRUPT: Duration = Duration::from_millis(100);

/// A second interrupt within this time of the first kills.
const AGAIN_WITHIN: Duration = Duration::from_secs(5);

/// How long a better reason is waited for when one rank cannot reach another: that one may have
/// died, or its host.
pub(crate) const BETTER_REASON: Duration = Duration::from_secs(1);

/// mpiexec's exit code when the time limit is reached; that of timeout(1).
const TIMED_OUT: u8 = 124;

/// What the launcher is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Tell the user.
    Say(String),
    /// Send this signal to every rank.
    PassOn(i32),
    /// Send this signal to the ranks of other hosts: those of this one have it from their terminal.
    PassOnAfar(i32),
    /// Ask every process of the job to end.
    Terminate,
    /// Kill every process of the job.
    Kill,
}

/// What the launcher answers to a hello.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Welcome,
    /// The same, but as a new job: nothing of the former one may be seen.
    WelcomeAgain,
    Refuse(String),
}

/// A job.
pub(crate) struct Job {
    ranks: Vec<Rank>,
    /// Names of the nodes.
    nodes: Vec<String>,
    /// Whether some ranks are not on mpiexec's own machine.
    afar: bool,
    phase: Phase,
    /// How the job ends, once something has decided that.
    outcome: Option<Outcome>,
    /// When the last request to end came from the user, and which signal it was.
    interrupted: Option<(Instant, i32)>,
    /// When it is a failure that a rank has left without MPI_Finalize; set while one has.
    parting: Option<Instant>,
    /// A rank that cannot reach another one, that one, why, and until when a better reason may
    /// come.
    lost: Option<(u32, u32, String, Instant)>,
    effects: Vec<Effect>,
}

struct Rank {
    node: u32,
    /// As typed.
    program: String,
    /// The process that mpiexec started; `None` before that.
    pid: Option<Pid>,
    end: Option<End>,
    /// It cannot be started, or its host is lost.
    gone: bool,
    mpi: Mpi,
    /// Whether it says when it waits for long, and what it has said last.
    tells_waits: bool,
    wait: Option<(Wait, Instant)>,
    /// Why a later program of this rank was refused.
    refused: Option<String>,
    garbled: bool,
}

/// How far a rank's MPI program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mpi {
    /// No program has said hello.
    Never,
    /// This process is between init and finalize.
    Inside(Option<Pid>),
    /// This process has finalized, or nobody minds that it has not.
    Finalized(Option<Pid>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// All ranks have ended well, but not all that they have started; they are asked to end at this
    /// time.
    Lingering(Instant),
    /// SIGTERM has been sent; SIGKILL follows at this time.
    Ending(Instant),
    /// SIGKILL has been sent.
    Killed,
}

impl Job {
    /// A job that is to be started. `here`: the node that is mpiexec's own machine.
    pub(crate) fn new(spec: &Spec, here: Option<u32>) -> Job {
        let rank = |(appnum, &node): (u32, &u32)| Rank {
            node,
            program: spec.programs[appnum as usize].words[0]
                .to_string_lossy()
                .into_owned(),
            pid: None,
            end: None,
            gone: false,
            mpi: Mpi::Never,
            tells_waits: false,
            wait: None,
            refused: None,
            garbled: false,
        };
        Job {
            ranks: spec.appnums().zip(&spec.node_of).map(rank).collect(),
            nodes: spec.nodes.clone(),
            afar: spec.node_of.iter().any(|&node| Some(node) != here),
            phase: Phase::Running,
            outcome: None,
            interrupted: None,
            parting: None,
            lost: None,
            effects: Vec::new(),
        }
    }

    /// What is to be done since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Whether no rank runs or will run.
    pub(crate) fn is_over(&self) -> bool {
        self.ranks
            .iter()
            .all(|rank| rank.gone || rank.end.is_some())
    }

    /// How the job ended, or would if it were over.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.unwrap_or(Outcome::Exit(0))
    }

    /// When [`Job::tick`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Lingering(at) | Phase::Ending(at) => Some(at),
            Phase::Running => {
                let lost = self.lost.as_ref().map(|(.., until)| *until);
                self.parting.into_iter().chain(lost).min()
            }
            Phase::Killed => None,
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) {
        match self.phase {
            Phase::Running if self.lost.as_ref().is_some_and(|(.., at)| *at <= now) => {
                if let Some((rank, other, reason, _)) = self.lost.take() {
                    if self.left_early().contains(&other) {
                        return self.missed(other, &format!("{} needs it", self.place(rank)), now);
                    }
                    let (who, whom) = (self.who(rank), self.place(other));
                    let sentence = format!("{who} lost {whom}: {reason}");
                    self.fail(sentence, Outcome::Exit(1), now);
                }
            }
            Phase::Running if self.parting.is_some_and(|at| at <= now) => self.parted(now),
            Phase::Lingering(at) if at <= now => self.terminate(now),
            Phase::Ending(at) if at <= now => self.kill(),
            _ => {}
        }
    }

    /// A rank's process has been started.
    pub(crate) fn started(&mut self, rank: u32, pid: Pid) {
        self.rank(rank).pid = Some(pid);
    }

    /// The node of a rank of the job.
    pub(crate) fn node(&self, rank: u32) -> u32 {
        self.ranks[rank as usize].node
    }

    /// Whether a rank runs on this node.
    pub(crate) fn is_on(&self, rank: u32, node: u32) -> bool {
        self.ranks
            .get(rank as usize)
            .is_some_and(|rank| rank.node == node)
    }

    /// A rank of this node cannot be started, and none after it has been.
    pub(crate) fn unstartable(&mut self, node: u32, sentence: String, status: u8) {
        self.fail(sentence, Outcome::Exit(status), Instant::now());
        self.kill();
        for rank in &mut self.ranks {
            rank.gone |= rank.node == node && rank.pid.is_none();
        }
    }

    /// These nodes cannot be had, or not any more. An empty sentence: nobody needs them now.
    pub(crate) fn without(&mut self, nodes: &[u32], sentence: String, status: u8, now: Instant) {
        let missed = |rank: &Rank| nodes.contains(&rank.node) && rank.end.is_none() && !rank.gone;
        let missed = self.numbers(missed);
        for &rank in &missed {
            self.rank(rank).gone = true;
        }
        if !sentence.is_empty() && !missed.is_empty() {
            self.fail(sentence, Outcome::Exit(status), now);
        }
    }

    /// A rank can no longer reach another one, for this reason.
    pub(crate) fn lost(&mut self, rank: u32, other: u32, reason: String, now: Instant) {
        if other as usize >= self.ranks.len() {
            let sentence = format!(
                "{} lost rank {other}, which is none of this job's: {reason}",
                self.who(rank)
            );
            return self.fail(sentence, Outcome::Exit(1), now);
        }
        if self.phase == Phase::Running && self.lost.is_none() {
            self.lost = Some((rank, other, reason, now + BETTER_REASON));
        }
    }

    /// A program of a rank wants to join.
    pub(crate) fn hello(&mut self, rank: u32, version: u32, pid: Option<Pid>) -> Answer {
        let ours = ferrite_client::wire::VERSION;
        let mpi = self.rank(rank).mpi;
        let refusal = match mpi {
            _ if version != ours => format!(
                "its MPI library speaks version {version} of the start-up dialogue and this \
                 mpiexec version {ours}: use the \
                 mpiexec of the installation that the program is linked with"
            ),
            Mpi::Never => {
                self.rank(rank).mpi = Mpi::Inside(pid);
                self.check_stragglers();
                return Answer::Welcome;
            }
            // A debugger that runs its program again, or a script of several programs: no other
            // rank is misled.
            Mpi::Finalized(_) if self.ranks.len() == 1 => {
                self.rank(rank).mpi = Mpi::Inside(pid);
                return Answer::WelcomeAgain;
            }
            Mpi::Inside(first) | Mpi::Finalized(first) => format!(
                "rank {rank} has had its MPI program already (process {}): each rank can run one, \
                 so start a second one with a \
                 second mpiexec",
                first.map_or("unknown".into(), |pid| pid.to_string())
            ),
        };
        self.rank(rank).refused = Some(refusal.clone());
        Answer::Refuse(refusal)
    }

    /// A program has finalized.
    pub(crate) fn finalized(&mut self, rank: u32, pid: Option<Pid>) {
        let rank = self.rank(rank);
        if rank.mpi == Mpi::Inside(pid) {
            rank.mpi = Mpi::Finalized(pid);
        }
    }

    /// A program has called abort.
    pub(crate) fn abort(&mut self, rank: u32, code: i32, message: &str, now: Instant) {
        let status = if code != 0 && code & 0xff == 0 {
            1
        } else {
            (code & 0xff) as u8
        };
        let why = if message.is_empty() {
            String::new()
        } else {
            format!(": {message}")
        };
        let who = self.who(rank);
        self.fail(
            format!("{who} called MPI_Abort({code}){why}"),
            Outcome::Exit(status),
            now,
        );
    }

    /// A rank has written something unintelligible to mpiexec.
    pub(crate) fn garbled(&mut self, rank: u32, what: &str) {
        if !std::mem::replace(&mut self.rank(rank).garbled, true) {
            let who = self.who(rank);
            self.say(format!(
                "{who} sent something that is no message to mpiexec, ignored: {what}"
            ));
        }
    }

    /// The MPI program of a rank is gone, while the wrapper that mpiexec started may run on.
    pub(crate) fn program_gone(&mut self, rank: u32, now: Instant) {
        if let Mpi::Inside(pid) = self.rank(rank).mpi {
            if self.ranks.len() == 1 {
                // Nobody waits for it, and the wrapper, which may be a debugger, knows what to do.
                self.rank(rank).mpi = Mpi::Finalized(pid);
                return;
            }
            let pid = pid.map_or("unknown".into(), |pid| pid.to_string());
            let who = self.who(rank);
            let sentence = format!(
                "{who}: its MPI program, process {pid}, ended without calling MPI_Finalize"
            );
            self.fail(sentence, Outcome::Exit(1), now);
        }
    }

    /// The process that mpiexec started for a rank has ended. `hint`: what else is known about
    /// that.
    pub(crate) fn ended(&mut self, rank: u32, end: End, hint: &str, now: Instant) {
        self.rank(rank).end = Some(end);
        if self.phase != Phase::Running {
            return;
        }
        let who = self.who(rank);
        let state = self.rank(rank);
        match (end, state.mpi, &state.refused) {
            (End::Signal { signal, .. }, _, _) => match self.interrupted {
                Some((_, asked)) if asked == signal => self.fail_interrupted(signal, now),
                _ => self.fail(
                    format!("{who} {end}{hint}"),
                    Outcome::Exit(end.exit_code()),
                    now,
                ),
            },
            (End::Code(0), _, Some(refusal)) => {
                let sentence = format!("{who}: an MPI program in it was refused: {refusal}");
                self.fail_for(sentence, Outcome::Exit(1), now);
            }
            (End::Code(0), Mpi::Inside(program), None)
                if program.is_none() || program == state.pid =>
            {
                // The others tell when they wait for it, if they can.
                let tells = |rank: &Rank| rank.tells_waits || rank.mpi == Mpi::Never;
                if !self.ranks.iter().all(tells) {
                    self.parting.get_or_insert(now + PARTING);
                }
            }
            // The code is a wrapper's, and hides how the program ended.
            (End::Code(0), Mpi::Inside(_), None) => {
                let sentence = format!("{who} exited without calling MPI_Finalize");
                self.fail_for(sentence, Outcome::Exit(1), now);
            }
            (End::Code(0), Mpi::Never, None) => self.check_stragglers(),
            (End::Code(0), Mpi::Finalized(_), None) => {}
            (End::Code(code), Mpi::Finalized(_), _) => {
                if self.outcome.is_none() {
                    self.outcome = Some(Outcome::Exit(code));
                    self.say(format!(
                        "{who} {end}, after MPI_Finalize; the other ranks go on"
                    ));
                }
            }
            (End::Code(code), _, _) => {
                let inside = matches!(state.mpi, Mpi::Inside(_));
                let finalize = if inside {
                    " without calling MPI_Finalize"
                } else {
                    ""
                };
                self.fail(format!("{who} {end}{finalize}"), Outcome::Exit(code), now);
            }
        }
        if self.phase == Phase::Running && self.is_over() {
            let left = self.left_early();
            if !left.is_empty() {
                let left = name(&left);
                self.say(format!("warning: {left} exited without MPI_Finalize"));
            }
        }
    }

    /// A signal that is for the ranks. `terminal`: they have it already.
    pub(crate) fn signal(&mut self, signal: i32, terminal: bool, now: Instant) {
        let asks_to_end = matches!(
            signal,
            libc::SIGINT | libc::SIGQUIT | libc::SIGTERM | libc::SIGHUP
        );
        // A rank that is alone has its terminal to itself: a debugger takes any number of
        // interrupts.
        let between_them = terminal && self.ranks.len() == 1 && self.phase == Phase::Running;
        if asks_to_end {
            match self.interrupted {
                Some((before, _)) if now - before < SAME_INTERRUPT => return,
                Some((before, _)) if now - before < AGAIN_WITHIN && !between_them => {
                    let sentence = format!("{} again: the ranks are killed", signals::name(signal));
                    self.fail(sentence, interrupted(signal), now);
                    return self.kill();
                }
                _ => self.interrupted = Some((now, signal)),
            }
        }
        let starting = self
            .ranks
            .iter()
            .any(|rank| rank.pid.is_none() && !rank.gone);
        if asks_to_end && starting && self.phase == Phase::Running {
            // Who does not run yet cannot get it.
            self.fail_interrupted(signal, now);
        } else if self.phase == Phase::Running && !terminal {
            self.effects.push(Effect::PassOn(signal));
        } else if self.phase == Phase::Running && self.afar {
            self.effects.push(Effect::PassOnAfar(signal));
        }
    }

    /// The time limit is reached.
    pub(crate) fn time_is_up(&mut self, limit: Duration, now: Instant) {
        let running = self.numbers(|rank| rank.end.is_none() && !rank.gone);
        let sentence = format!(
            "the time limit of {} s is reached; {} still running: {}",
            limit.as_secs_f64(),
            if running.len() == 1 { "rank" } else { "ranks" },
            ferrite_client::wire::format_ranks(&running)
        );
        self.fail(sentence, Outcome::Exit(TIMED_OUT), now);
    }

    /// The guard is dead: nobody waits for this job any more.
    pub(crate) fn guard_is_gone(&mut self) {
        let sentence = "mpiexec was killed; so are the ranks".to_string();
        self.fail(
            sentence,
            Outcome::Exit(128 + libc::SIGKILL as u8),
            Instant::now(),
        );
        self.kill();
    }

    /// All ranks have ended, but processes that they started have not. They may be about to (a
    /// shell does not wait for the other end of its output), so they have a moment.
    pub(crate) fn leftovers(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            self.phase = Phase::Lingering(now + GRACE);
        }
    }

    /// A job in which some programs have joined cannot go on without a rank that has ended and
    /// never will.
    fn check_stragglers(&mut self) {
        let joined = self.ranks.iter().position(|rank| rank.mpi != Mpi::Never);
        let absent = self
            .ranks
            .iter()
            .position(|rank| rank.mpi == Mpi::Never && rank.end.is_some());
        if let (Some(joined), Some(absent)) = (joined, absent) {
            let who = self.who(absent as u32);
            let sentence = format!(
                "{who} exited without calling MPI_Init, but rank {joined} called it and needs \
                 every rank"
            );
            self.fail(sentence, Outcome::Exit(1), Instant::now());
        }
    }

    fn numbers(&self, which: impl Fn(&Rank) -> bool) -> Vec<u32> {
        let ranks = (0..).zip(&self.ranks);
        ranks
            .filter(|(_, rank)| which(rank))
            .map(|(number, _)| number)
            .collect()
    }

    /// The user has asked the job to end, and it does.
    fn fail_interrupted(&mut self, signal: i32, now: Instant) {
        let sentence = match signal {
            libc::SIGINT => "ended by SIGINT (ctrl-C)".to_string(),
            _ => format!("ended by {}", signals::name(signal)),
        };
        self.fail(sentence, interrupted(signal), now);
    }

    /// The first failure decides how the job ends, and is the only one that is told.
    fn fail(&mut self, mut sentence: String, outcome: Outcome, now: Instant) {
        let left = self.left_early();
        if !left.is_empty() {
            // It may be the cause of this failure.
            sentence += "; before that, ";
            sentence += &name(&left);
            sentence += " exited without calling MPI_Finalize";
        }
        self.fail_for(sentence, outcome, now);
    }

    /// [`Job::fail`] for a reason that is whole.
    fn fail_for(&mut self, sentence: String, outcome: Outcome, now: Instant) {
        if self.phase == Phase::Running {
            self.outcome = self.outcome.or(Some(outcome));
            let others = self
                .ranks
                .iter()
                .filter(|rank| rank.pid.is_some() && rank.end.is_none() && !rank.gone)
                .count();
            let then = match (others, self.ranks.len()) {
                (0, _) | (_, 1) => "",
                _ => "; the other ranks are ended (SIGTERM, and SIGKILL after 1 s)",
            };
            self.say(format!("{sentence}{then}"));
            self.terminate(now);
        }
    }

    fn terminate(&mut self, now: Instant) {
        self.phase = Phase::Ending(now + GRACE);
        self.effects.push(Effect::Terminate);
    }

    fn kill(&mut self) {
        if self.phase != Phase::Killed {
            self.phase = Phase::Killed;
            self.effects.push(Effect::Kill);
        }
    }

    fn say(&mut self, sentence: String) {
        self.effects.push(Effect::Say(sentence));
    }

    fn rank(&mut self, rank: u32) -> &mut Rank {
        &mut self.ranks[rank as usize]
    }

    /// `rank 3 (process 4711, ./a)`, `rank 3 on h2 (process 4711, ./a)`.
    fn who(&self, number: u32) -> String {
        let (rank, place) = (&self.ranks[number as usize], self.place(number));
        match rank.pid {
            Some(pid) => format!("{place} (process {pid}, {})", rank.program),
            None => format!("{place} ({})", rank.program),
        }
    }

    /// `rank 3`, and its host where there are several.
    fn place(&self, number: u32) -> String {
        match self.nodes.len() {
            1 => format!("rank {number}"),
            _ => {
                let node = self.ranks[number as usize].node;
                format!("rank {number} on {}", self.nodes[node as usize])
            }
        }
    }
}

/// `rank 3`, `ranks 0-2,5`.
fn name(ranks: &[u32]) -> String {
    let plural = if ranks.len() == 1 { "" } else { "s" };
    format!("rank{plural} {}", ferrite_client::wire::format_ranks(ranks))
}

fn interrupted(signal: i32) -> Outcome {
    match signal {
        libc::SIGINT => Outcome::Interrupted,
        _ => Outcome::Exit(128 + signal as u8),
    }
}

#[cfg(test)]
mod tests;
