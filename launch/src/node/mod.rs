//! The ranks of one host: starts them, serves their sockets, reads what they write, and sees them
//! end.
//!
//! The same for mpiexec's own machine and for an agent's: whoever runs it gives it orders
//! ([`Down`]), and takes what it tells ([`Up`]). It knows neither the job's state nor where its
//! words go.

mod channel;
mod lines;
mod spawn;

pub(crate) use spawn::{Place, Plan};

use self::channel::{Channel, Heard};
use self::lines::{Shown, Streams};
use self::spawn::Started;
use crate::host;
use crate::process::{End, Poller, Source, Unstartable, descendants, report};
use crate::protocol::{Down, Key, Up};
use crate::sys::Mask;
use ferrite_client::Secret;
use ferrite_client::wire::{self, Reply, Welcome};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitStatus};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

/// How often processes that survive SIGKILL for a while are looked after.
const KILL_AGAIN: Duration = Duration::from_millis(50);

/// How long they may: a process in an uninterruptible system call does not die before that returns.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Processes left behind that are named at most.
const MOST_NAMED: usize = 8;

/// The ranks of this host.
pub(crate) struct Node {
    plan: Plan,
    seats: Vec<Seat>,
    /// Numbers of seats whose process runs.
    seat_of: HashMap<Pid, usize>,
    streams: Streams,
    /// Where mpiexec's standard input goes, if it comes from another host.
    input: RankInput,
    /// The ranks of the node, and their memory file, if it can be had, with the id of its job; none
    /// for one rank.
    local: Vec<u32>,
    segment: Option<([u8; 16], Option<OwnedFd>)>,
    cpus: u32,
    /// Children of this process that are no ranks, and whatever descends from them.
    bystanders: Vec<Pid>,
    /// When SIGKILL was first sent, and when it will be again.
    killing: Option<(Instant, Instant)>,
    state: State,
    /// A rank has ended otherwise than by exiting with 0.
    has_failed: bool,
    oom_kills: Option<u64>,
    told: Vec<Up>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Ranks, or what they have started, run or will run.
    Busy,
    /// No process is left.
    Childless,
    /// And all that they wrote is told.
    Done,
}

/// A started rank.
struct Seat {
    rank: u32,
    appnum: u32,
    pid: Pid,
    channel: Channel,
    streams: Option<[usize; 2]>,
    /// Watches an MPI program that stands behind a wrapper.
    program: Option<OwnedFd>,
}

/// The way of mpiexec's standard input to a rank of this host.
#[derive(Default)]
struct RankInput {
    pipe: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    ends: bool,
    watched: bool,
}

impl Node {
    /// Of ranks that are to be started here.
    pub(crate) fn new(plan: Plan) -> Node {
        let local = plan.ranks().iter().map(|&(rank, _)| rank).collect();
        Node {
            plan,
            seats: Vec::new(),
            seat_of: HashMap::new(),
            streams: Streams::default(),
            input: RankInput::default(),
            local,
            segment: None,
            cpus: host::available(),
            bystanders: Vec::new(),
            killing: None,
            state: State::Busy,
            has_failed: false,
            oom_kills: report::out_of_memory_kills(),
            told: Vec::new(),
        }
    }

    /// What is to be told since the last call.
    pub(crate) fn told(&mut self) -> Vec<Up> {
        std::mem::take(&mut self.told)
    }

    /// Whether something has been told since.
    pub(crate) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// Starts the ranks.
    pub(crate) fn start(&mut self, mask: Mask, poller: &Poller) -> io::Result<()> {
        for (seat, &(rank, appnum)) in self.plan.ranks().iter().enumerate() {
            let started = match self.plan.start(seat, mask) {
                Ok(started) => started,
                Err(Unstartable { sentence, status }) => {
                    self.told.push(Up::Unstartable { sentence, status });
                    return Ok(());
                }
            };
            let Started {
                pid,
                channel,
                streams,
                input,
            } = started;
            self.told.push(Up::Started {
                rank,
                pid: pid.as_raw_pid(),
            });
            self.seat_of.insert(pid, seat);
            let streams = streams.map(|sources| self.streams.add(rank, sources));
            let channel = Channel::new(channel);
            poller.watch(channel.as_fd(), Source::Channel(seat))?;
            if input.is_some() {
                self.input.pipe = input;
            }
            self.seats.push(Seat {
                rank,
                appnum,
                pid,
                channel,
                streams,
                program: None,
            });
        }
        Ok(())
    }

    /// Carries out an order.
    pub(crate) fn obey(&mut self, order: Down, poller: &Poller) -> io::Result<()> {
        match order {
            Down::Welcome {
                rank,
                pid,
                id,
                secret,
            } => self.welcome(rank, pid, id, secret, poller)?,
            Down::Tell { rank, text, joined } => {
                if let Some(seat) = self.seat(rank) {
                    self.seats[seat].channel.send(&text, None);
                    self.watch_program(seat, joined.and_then(Pid::from_raw), poller)?;
                }
            }
            Down::Signal(signal) => self.signal_ranks(signal),
            Down::Terminate => {
                self.tell_of_leftovers();
                descendants::signal(Signal::TERM, &self.bystanders);
                // A stopped process would not notice.
                descendants::signal(Signal::CONT, &self.bystanders);
            }
            Down::Kill => {
                let now = Instant::now();
                self.killing.get_or_insert((now, now + KILL_AGAIN));
                descendants::signal(Signal::KILL, &self.bystanders);
            }
            Down::Input(bytes) => {
                match bytes.is_empty() {
                    true => self.input.ends = true,
                    false => self.input.waiting.extend(bytes),
                }
                self.pass_input();
            }
            Down::Closed { which } => self.streams.close(usize::from(which & 1)),
            // The rest is between mpiexec and agents.
            _ => {}
        }
        Ok(())
    }

    /// Whether there is room for standard output (0) or error (1).
    pub(crate) fn set_full(&mut self, which: usize, full: bool) {
        self.streams.set_full(which, full);
    }

    /// Children of this process that are no ranks.
    pub(crate) fn set_bystanders(&mut self, pids: Vec<Pid>) {
        self.bystanders = pids;
    }

    /// Something has happened to one of this node's descriptors.
    pub(crate) fn handle(&mut self, source: Source, poller: &Poller) {
        match source {
            Source::Stream(number) => {
                let shown = self.streams.read(number);
                self.told.extend(shown.map(tell));
            }
            Source::Channel(seat) => self.listen(seat, poller),
            Source::Program(seat) => {
                // It may have finalized before it ended.
                self.listen(seat, poller);
                self.seats[seat].program = None;
                let rank = self.seats[seat].rank;
                self.told.push(Up::ProgramGone { rank });
            }
            Source::RankInput => self.pass_input(),
            _ => {}
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        let questions = self.streams.questions(now);
        self.told.extend(questions.into_iter().map(tell));
        if self.state != State::Busy {
            return;
        }
        let Some((since, again)) = &mut self.killing else {
            return;
        };
        if *again <= now {
            // A process forked while the first round looked around has escaped it.
            *again = now + KILL_AGAIN;
            descendants::signal(Signal::KILL, &self.bystanders);
            if now - *since > GIVE_UP {
                let left = descendants::of_this_process(&self.bystanders);
                let left: Vec<String> = left.iter().map(Pid::to_string).collect();
                self.told.push(Up::Say(format!(
                    "these processes survive SIGKILL and stay behind: {}",
                    left.join(" ")
                )));
                self.state = State::Childless;
                self.streams.close(0);
                self.streams.close(1);
            }
        }
    }

    /// When to call [`Node::tick`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let busy = self.state == State::Busy;
        let kill = self.killing.filter(|_| busy).map(|(_, again)| again);
        kill.into_iter().chain(self.streams.deadline()).min()
    }

    /// Watches what is to be watched. Tells it if all is over here.
    pub(crate) fn update(&mut self, poller: &Poller) -> io::Result<()> {
        self.streams.update(poller)?;
        if let Some(pipe) = &self.input.pipe {
            let wanted = !self.input.waiting.is_empty();
            if self.input.watched != wanted {
                match wanted {
                    true => poller.watch_room(pipe.as_fd(), Source::RankInput)?,
                    false => poller.forget(pipe),
                }
                self.input.watched = wanted;
            }
        }
        if self.state == State::Childless && self.streams.are_finished() {
            self.state = State::Done;
            self.told.push(Up::Done);
        }
        Ok(())
    }

    /// Whether all is over here, and told.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether no rank runs, but something that ranks have started may.
    pub(crate) fn has_leftovers(&self) -> bool {
        self.seat_of.is_empty() && self.state == State::Busy
    }

    /// Names what ranks have left behind, before it is asked to end.
    fn tell_of_leftovers(&mut self) {
        // Where a rank has failed, there is a better reason for the end.
        if !self.has_leftovers() || self.has_failed {
            return;
        }
        for pid in descendants::of_this_process(&self.bystanders)
            .into_iter()
            .take(MOST_NAMED)
        {
            self.told.push(Up::Say(format!(
                "process {pid} ({}) has outlived the ranks and is ended with the job; start what \
                 shall live longer outside of mpiexec",
                descendants::name(pid)
            )));
        }
    }

    /// Takes note of processes that have ended. `childless`: this process has no child left.
    pub(crate) fn ended(
        &mut self,
        processes: &[(Pid, WaitStatus)],
        childless: bool,
        poller: &Poller,
    ) {
        let mut ended: Vec<(usize, End)> = Vec::new();
        for (pid, status) in processes {
            if let Some(seat) = self.seat_of.remove(pid) {
                ended.push((seat, End::of(*status)));
            }
        }
        // What a rank has said and written before it ended comes first. Then the most telling end:
        // where one rank crashed, others may have exited because of that.
        for &(seat, _) in &ended {
            // The channel's end is no news here.
            self.listen(seat, poller);
            if let Some(streams) = self.seats[seat].streams {
                let told = &mut self.told;
                self.streams.drain(streams, |shown| told.push(tell(shown)));
            }
        }
        ended.sort_by_key(|&(seat, end)| (matches!(end, End::Code(_)), end == End::Code(0), seat));
        for (seat, end) in ended {
            self.has_failed |= end != End::Code(0);
            let (rank, hint) = (self.seats[seat].rank, self.hint(end).to_string());
            self.told.push(Up::Ended { rank, end, hint });
        }
        let none_left = || {
            childless
                || (!self.bystanders.is_empty()
                    && descendants::of_this_process(&self.bystanders).is_empty())
        };
        if self.state == State::Busy && self.seat_of.is_empty() && none_left() {
            self.state = State::Childless;
        }
    }

    /// What else is known about a death.
    fn hint(&self, end: End) -> &'static str {
        match end {
            End::Signal {
                signal: libc::SIGKILL,
                ..
            } => {
                if report::out_of_memory_kills() > self.oom_kills {
                    ": the kernel has ended a process for lack of memory (see dmesg)"
                } else {
                    ": by another process, or by a limit of its memory or time"
                }
            }
            _ => "",
        }
    }

    fn seat(&self, rank: u32) -> Option<usize> {
        let seat = self.local.binary_search(&rank).ok()?;
        (seat < self.seats.len()).then_some(seat)
    }

    fn signal_ranks(&self, signal: i32) {
        if self.plan.is_afar() && matches!(signal, libc::SIGTSTP | libc::SIGCONT) {
            // No terminal is theirs, and without one the kernel lets nobody stop by SIGTSTP.
            let signal = match signal {
                libc::SIGTSTP => Signal::STOP,
                _ => Signal::CONT,
            };
            descendants::signal(signal, &self.bystanders);
            return;
        }
        let Some(signal) = Signal::from_named_raw(signal) else {
            return;
        };
        for pid in self.seat_of.keys() {
            // A process that has ended but is not reaped takes the signal without effect.
            let _ = rustix::process::kill_process(*pid, signal);
        }
    }

    /// Reads what a rank's programs say.
    fn listen(&mut self, seat: usize, poller: &Poller) {
        let rank = self.seats[seat].rank;
        for heard in self.seats[seat].channel.receive() {
            match heard {
                Heard::Line(line, sender) => self.told.push(Up::Said {
                    rank,
                    pid: sender.map(Pid::as_raw_pid),
                    line,
                }),
                Heard::Unstarted(errno) => {
                    let appnum = self.seats[seat].appnum;
                    let Unstartable { sentence, status } = self.plan.explain(rank, appnum, errno);
                    self.told.push(Up::Unstartable { sentence, status });
                }
                // It stays readable, and says nothing any more. Not there twice: the end of a
                // process listens as well.
                Heard::Closed => poller.forget(&self.seats[seat].channel),
            }
        }
    }

    /// A program of a rank joins the job.
    fn welcome(
        &mut self,
        rank: u32,
        pid: Option<i32>,
        id: [u8; 16],
        secret: Key,
        poller: &Poller,
    ) -> io::Result<()> {
        let Some(seat) = self.seat(rank) else {
            return Ok(());
        };
        if self.local.len() > 1 && self.segment.as_ref().is_none_or(|(of, _)| *of != id) {
            let name = format!("ferrite-job-{:032x}", u128::from_le_bytes(id));
            let file = ferrite_client::memory_file(&name);
            if let Err(why) = &file {
                self.told.push(Up::Say(format!(
                    "ranks of this host cannot share memory ({why}) and use TCP instead; does a \
                     sandbox forbid these calls?"
                )));
            }
            self.segment = Some((id, file.ok()));
        }
        let welcome = Welcome {
            version: wire::VERSION,
            job: id,
            secret: Secret(secret.0),
            rank,
            size: self.plan.size(),
            local_rank: seat as u32,
            local: self.local.clone(),
            nodes: self.plan.nodes().to_vec(),
            cpus: self.cpus,
            appnum: self.seats[seat].appnum,
            part: self.plan.part(self.seats[seat].appnum),
            launcher: std::process::id(),
        };
        let segment = self.segment.as_ref().and_then(|(_, file)| file.as_ref());
        let segment = segment.map(|file| file.as_fd());
        let text = Reply::Welcome(welcome).to_string();
        self.seats[seat].channel.send(&text, segment);
        self.watch_program(seat, pid.and_then(Pid::from_raw), poller)
    }

    /// Watches a program that has joined behind a wrapper.
    fn watch_program(
        &mut self,
        seat: usize,
        program: Option<Pid>,
        poller: &Poller,
    ) -> io::Result<()> {
        let Some(program) = program.filter(|&pid| pid != self.seats[seat].pid) else {
            return Ok(());
        };
        match rustix::process::pidfd_open(program, PidfdFlags::empty()) {
            Ok(pidfd) => {
                poller.watch(pidfd.as_fd(), Source::Program(seat))?;
                self.seats[seat].program = Some(pidfd);
            }
            Err(Errno::SRCH) => {
                // Its last words may have come after its hello was read.
                self.listen(seat, poller);
                let rank = self.seats[seat].rank;
                self.told.push(Up::ProgramGone { rank });
            }
            // A kernel without pidfds: the end of the wrapper will have to do.
            Err(_) => {}
        }
        Ok(())
    }

    /// Writes what waits for the rank that has mpiexec's standard input, as far as it takes it.
    fn pass_input(&mut self) {
        let input = &mut self.input;
        let Some(pipe) = &input.pipe else {
            return;
        };
        let mut taken = 0;
        let broken = loop {
            let (front, _) = input.waiting.as_slices();
            if front.is_empty() {
                break false;
            }
            match rustix::io::write(pipe, front) {
                Ok(count) => {
                    input.waiting.drain(..count);
                    taken += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break false,
                Err(_) => break true,
            }
        };
        if taken > 0 {
            self.told.push(Up::InputTaken(taken));
        }
        if broken {
            self.told.push(Up::InputClosed);
        }
        if broken || (input.ends && input.waiting.is_empty()) {
            input.pipe = None;
            input.waiting.clear();
        }
    }
}

fn tell(shown: Shown) -> Up {
    Up::Output {
        rank: shown.rank,
        which: shown.which as u8,
        bytes: shown.bytes,
    }
}
