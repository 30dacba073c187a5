//! The launching half of mpiexec: one thread, one event loop.
//!
//! What happens to processes, sockets and pipes is read here and told to [`Job`], which decides; nothing here waits for
//! anything but events.

use crate::bind;
use crate::channel::{Channel, Heard};
use crate::guard::{Guarded, Outcome};
use crate::job::{Answer, Effect, Job};
use crate::output::{Output, Watch};
use crate::report::{self, End};
use crate::signals;
use crate::spawn::{Plan, Started};
use crate::sys::{self, SignalEvents};
use crate::tree;
use ferrite_client::wire::{self, Reply, Request, Welcome};
use rustix::event::{Timespec, epoll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

/// How often processes that survive SIGKILL for a while are looked after.
const KILL_AGAIN: Duration = Duration::from_millis(50);

/// How long they may: a process in an uninterruptible system call does not die before that returns.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Runs the job to its end.
pub(crate) fn run(plan: Plan, guarded: Guarded) -> Outcome {
    match Launcher::new(&plan, guarded).and_then(Launcher::run) {
        Ok(outcome) => outcome,
        Err(e) => {
            // Ranks die with this process: by the kernel's parent-death signal, and by the guard.
            report::stderr(&format!("the launcher cannot go on: {e}"));
            Outcome::Exit(1)
        }
    }
}

struct Launcher<'a> {
    plan: &'a Plan,
    guarded: Guarded,
    epoll: OwnedFd,
    signals: SignalEvents,
    job: Job,
    output: Output,
    seats: Vec<Seat>,
    rank_of: HashMap<Pid, u32>,
    /// Whether a stream's source is registered.
    watched: Vec<Watch>,
    /// Whether a destination is.
    awaited: [Watch; 2],
    id: [u8; 16],
    segment: OwnedFd,
    secret: ferrite_client::Secret,
    cards: HashMap<u32, String>,
    cpus: u32,
    time_limit: Option<(Instant, Duration)>,
    /// When SIGKILL was first sent, and when it will be again.
    killing: Option<(Instant, Instant)>,
    /// Whether this process has no child left.
    childless: bool,
    oom_kills: Option<u64>,
}

/// A started rank.
struct Seat {
    appnum: u32,
    pid: Pid,
    channel: Channel,
    streams: Option<[usize; 2]>,
    /// Watches an MPI program that stands behind a wrapper.
    program: Option<OwnedFd>,
}

/// Sources of events, as a number for epoll.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Guard,
    Destination(usize),
    Stream(usize),
    Channel(usize),
    Program(usize),
}

impl Source {
    fn number(self) -> epoll::EventData {
        let (kind, index) = match self {
            Source::Signals => (0, 0),
            Source::Guard => (1, 0),
            Source::Destination(index) => (2, index),
            Source::Stream(index) => (3, index),
            Source::Channel(index) => (4, index),
            Source::Program(index) => (5, index),
        };
        epoll::EventData::new_u64(kind << 32 | index as u64)
    }

    fn of(data: epoll::EventData) -> Source {
        let index = data.u64() as u32 as usize;
        match data.u64() >> 32 {
            0 => Source::Signals,
            1 => Source::Guard,
            2 => Source::Destination(index),
            3 => Source::Stream(index),
            4 => Source::Channel(index),
            _ => Source::Program(index),
        }
    }
}

/// A new job's id, and its empty memory file.
fn identity() -> io::Result<([u8; 16], OwnedFd)> {
    let mut id = [0; 16];
    rustix::rand::getrandom(&mut id[..], rustix::rand::GetRandomFlags::empty())?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok((id, rustix::fs::memfd_create("ferrite-job", flags)?))
}

impl<'a> Launcher<'a> {
    fn new(plan: &'a Plan, guarded: Guarded) -> io::Result<Launcher<'a>> {
        let (id, segment) = identity()?;
        let launcher = Launcher {
            plan,
            guarded,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            signals: SignalEvents::of(&signals::READ, false)?,
            job: Job::new(plan.ranks().map(|(_, program)| program)),
            output: Output::new(plan.label),
            seats: Vec::new(),
            rank_of: HashMap::new(),
            watched: Vec::new(),
            awaited: [Watch::No; 2],
            id,
            segment,
            secret: {
                let mut secret = [0; 32];
                rustix::rand::getrandom(&mut secret[..], rustix::rand::GetRandomFlags::empty())?;
                ferrite_client::Secret(secret)
            },
            cards: HashMap::new(),
            cpus: bind::available(),
            time_limit: plan.timeout.map(|limit| (Instant::now() + limit, limit)),
            killing: None,
            childless: false,
            oom_kills: report::out_of_memory_kills(),
        };
        launcher.watch(launcher.signals.as_fd(), Source::Signals)?;
        launcher.watch(launcher.guarded.alive.as_fd(), Source::Guard)?;
        Ok(launcher)
    }

    fn run(mut self) -> io::Result<Outcome> {
        for warning in &self.plan.warnings {
            self.output.say(warning);
        }
        self.start_ranks()?;
        let mut events = Vec::with_capacity(64);
        loop {
            self.carry_out();
            if self.is_over() {
                return Ok(match self.job.outcome() {
                    Outcome::Exit(0) if self.output.has_failed() => Outcome::Exit(1),
                    outcome => outcome,
                });
            }
            self.update_watches()?;
            let timeout = self.timeout();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                timeout.as_ref(),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            for event in events.drain(..) {
                self.handle(Source::of(event.data))?;
            }
            self.tick();
        }
    }

    /// Does what is due.
    fn tick(&mut self) {
        let now = Instant::now();
        self.job.tick(now);
        if let Some((_, again)) = &mut self.killing
            && *again <= now
        {
            // A process forked while the first round looked around has escaped it.
            *again = now + KILL_AGAIN;
            tree::signal_descendants(Signal::KILL);
        }
        if let Some((_, limit)) = self.time_limit.take_if(|(at, _)| *at <= now)
            && !self.job.is_over()
        {
            self.job.time_is_up(limit, now);
        }
    }

    fn start_ranks(&mut self) -> io::Result<()> {
        for (rank, (appnum, _)) in (0..).zip(self.plan.ranks()) {
            let started = self.plan.start(rank, appnum, self.guarded.mask);
            let Started {
                pid,
                channel,
                streams,
            } = match started {
                Ok(started) => started,
                Err(e) => {
                    self.job.unstartable(e.sentence, e.status);
                    return Ok(());
                }
            };
            self.job.started(rank, pid);
            self.rank_of.insert(pid, rank);
            let streams = streams.map(|sources| self.output.add(rank, sources));
            self.watched.resize(self.output.len(), Watch::No);
            let channel = Channel::new(channel);
            self.watch(channel.as_fd(), Source::Channel(rank as usize))?;
            self.seats.push(Seat {
                appnum,
                pid,
                channel,
                streams,
                program: None,
            });
        }
        Ok(())
    }

    /// Whether nothing is left to do or to wait for.
    fn is_over(&mut self) -> bool {
        if !self.job.is_over() {
            return false;
        }
        if !self.childless {
            self.reap();
        }
        let given_up = self
            .killing
            .is_some_and(|(since, _)| since.elapsed() > GIVE_UP);
        if given_up && !self.childless {
            let left: Vec<String> = tree::descendants().iter().map(Pid::to_string).collect();
            self.output.say(&format!(
                "these processes survive SIGKILL and stay behind: {}",
                left.join(" ")
            ));
            return true;
        }
        if !self.childless {
            self.job.leftovers(Instant::now());
            return false;
        }
        self.output.is_finished()
    }

    fn carry_out(&mut self) {
        for effect in self.job.effects() {
            match effect {
                Effect::Say(sentence) => self.output.say(&sentence),
                Effect::PassOn(signal) => self.signal_ranks(signal),
                Effect::Terminate => {
                    tree::signal_descendants(Signal::TERM);
                    // A stopped process would not notice.
                    tree::signal_descendants(Signal::CONT);
                }
                Effect::Kill => {
                    let now = Instant::now();
                    self.killing = Some((now, now + KILL_AGAIN));
                    tree::signal_descendants(Signal::KILL);
                }
            }
        }
    }

    fn signal_ranks(&self, signal: i32) {
        let Some(signal) = Signal::from_named_raw(signal) else {
            return;
        };
        for seat in &self.seats {
            if self.rank_of.contains_key(&seat.pid) {
                // A process that has ended but is not reaped takes the signal without effect.
                let _ = rustix::process::kill_process(seat.pid, signal);
            }
        }
    }

    fn handle(&mut self, source: Source) -> io::Result<()> {
        match source {
            Source::Signals => self.read_signals(),
            Source::Guard => {
                epoll::delete(&self.epoll, &self.guarded.alive)?;
                self.job.guard_is_gone();
            }
            Source::Destination(number) => self.output.write(number),
            Source::Stream(number) => {
                self.output.read(number);
            }
            Source::Channel(rank) => self.listen(rank)?,
            Source::Program(rank) => {
                // It may have finalized before it ended.
                self.listen(rank)?;
                self.seats[rank].program = None;
                self.job.program_gone(rank as u32, Instant::now());
            }
        }
        Ok(())
    }

    fn read_signals(&mut self) {
        while let Some(received) = self.signals.next() {
            match received.signal {
                libc::SIGCHLD => self.reap(),
                libc::SIGCONT => self.signal_ranks(libc::SIGCONT),
                libc::SIGTSTP => {
                    if !received.terminal {
                        self.signal_ranks(libc::SIGTSTP);
                    }
                    sys::take_default_action(libc::SIGTSTP);
                }
                signal if signals::PASSED_ON.contains(&signal) => {
                    self.job.signal(signal, received.terminal, Instant::now());
                    // What it does to the ranks is judged after they have got it.
                    self.carry_out();
                }
                _ => {}
            }
        }
    }

    /// Takes note of every process that has ended.
    fn reap(&mut self) {
        let mut ended = Vec::new();
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if let Some(rank) = self.rank_of.remove(&pid) {
                        ended.push((rank, End::of(status)));
                    }
                }
                Ok(None) => break,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.childless = true;
                    break;
                }
            }
        }
        // What a rank has said and written before it ended comes first. Then the most telling end: where one rank crashed, others
        // may have exited because of that.
        for &(rank, _) in &ended {
            // The channel's end is no news here.
            let _ = self.listen(rank as usize);
            if let Some(streams) = self.seats[rank as usize].streams {
                self.output.drain(streams);
            }
        }
        ended.sort_by_key(|&(rank, end)| (matches!(end, End::Code(_)), end == End::Code(0), rank));
        for (rank, end) in ended {
            let hint = self.hint(end);
            self.job.ended(rank, end, hint, Instant::now());
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

    /// Reads what a rank's programs say.
    fn listen(&mut self, rank: usize) -> io::Result<()> {
        let number = rank as u32;
        let mut program_is_gone = false;
        for heard in self.seats[rank].channel.receive() {
            match heard {
                Heard::Request(Request::Hello { version, .. }, sender) => {
                    let answer = self.job.hello(number, version, sender);
                    program_is_gone |= self.answer(rank, answer, sender)?;
                }
                Heard::Request(Request::Finalized, sender) => self.job.finalized(number, sender),
                Heard::Request(Request::Abort { code, message }, _) => {
                    self.job.abort(number, code, &message, Instant::now());
                }
                Heard::Request(Request::Publish { card }, _) => {
                    self.cards.insert(number, card);
                }
                Heard::Request(Request::Fetch { rank: asked }, _) => {
                    let value = self.cards.get(&asked).cloned();
                    self.seats[rank]
                        .channel
                        .answer(&Reply::Card { rank: asked, value }, None);
                }
                Heard::Request(Request::Lost { rank: lost, reason }, _) => {
                    let message = format!("rank {lost} can no longer be reached: {reason}");
                    self.job.abort(number, 1, &message, Instant::now());
                }
                Heard::Unstarted(errno) => {
                    let why = self.plan.explain(number, self.seats[rank].appnum, errno);
                    self.job.unstartable(why.sentence, why.status);
                }
                Heard::Garbled(what) => self.job.garbled(number, &what),
                Heard::Closed => {
                    // It stays readable, and says nothing any more. Not there twice: reaping listens as well.
                    let _ = epoll::delete(&self.epoll, &self.seats[rank].channel);
                }
            }
        }
        if program_is_gone {
            // Its last words may have come after its hello was read.
            self.listen(rank)?;
            self.job.program_gone(number, Instant::now());
        }
        Ok(())
    }

    /// Answers a hello. Returns whether the program that said it is known to be no more.
    fn answer(&mut self, rank: usize, answer: Answer, sender: Option<Pid>) -> io::Result<bool> {
        match answer {
            Answer::Refuse(reason) => self.seats[rank]
                .channel
                .answer(&Reply::Refused(reason), None),
            Answer::Welcome | Answer::WelcomeAgain => {
                if answer == Answer::WelcomeAgain {
                    (self.id, self.segment) = identity()?;
                }
                let seat = &self.seats[rank];
                let size = self.plan.size();
                let welcome = Welcome {
                    version: wire::VERSION,
                    job: self.id,
                    secret: self.secret,
                    rank: rank as u32,
                    size,
                    local_rank: rank as u32,
                    local: (0..size).collect(),
                    cpus: self.cpus,
                    appnum: seat.appnum,
                    launcher: std::process::id(),
                };
                seat.channel
                    .answer(&Reply::Welcome(welcome), Some(self.segment.as_fd()));
                if let Some(program) = sender.filter(|&pid| pid != seat.pid) {
                    match rustix::process::pidfd_open(program, PidfdFlags::empty()) {
                        Ok(pidfd) => {
                            self.watch(pidfd.as_fd(), Source::Program(rank))?;
                            self.seats[rank].program = Some(pidfd);
                        }
                        Err(Errno::SRCH) => return Ok(true),
                        // A kernel without pidfds: the end of the wrapper will have to do.
                        Err(_) => {}
                    }
                }
            }
        }
        Ok(false)
    }

    /// How long to wait for events; `None`: for ever.
    fn timeout(&mut self) -> Option<Timespec> {
        let now = Instant::now();
        let questions = self.output.show_questions(now);
        let kill_again = self
            .killing
            .filter(|_| !self.childless)
            .map(|(_, again)| again);
        let limit = self.time_limit.map(|(at, _)| at);
        let next = [questions, kill_again, limit, self.job.deadline()]
            .into_iter()
            .flatten()
            .min()?;
        // epoll counts milliseconds: rounding up, or it would return too early again and again.
        let left = next.saturating_duration_since(now) + Duration::from_millis(1);
        Some(Timespec {
            tv_sec: left.as_secs() as _,
            tv_nsec: left.subsec_nanos() as _,
        })
    }

    fn watch(&self, fd: BorrowedFd<'_>, source: Source) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            source.number(),
            epoll::EventFlags::IN,
        )?)
    }

    /// Registers what the output wants to be told of.
    fn update_watches(&mut self) -> io::Result<()> {
        for (number, watched) in self.watched.iter_mut().enumerate() {
            // A source that has ended is closed, which has removed it.
            let (source, wanted) = match self.output.source(number) {
                Some(source) => source,
                None => continue,
            };
            if *watched != wanted {
                match wanted {
                    Watch::Yes => {
                        let data = Source::Stream(number).number();
                        epoll::add(&self.epoll, source, data, epoll::EventFlags::IN)?;
                    }
                    Watch::No => epoll::delete(&self.epoll, source)?,
                }
                *watched = wanted;
            }
        }
        let mut awaited = [Watch::No; 2];
        for (number, fd) in self.output.blocked() {
            awaited[number] = Watch::Yes;
            if self.awaited[number] == Watch::No {
                let data = Source::Destination(number).number();
                epoll::add(&self.epoll, fd, data, epoll::EventFlags::OUT)?;
            }
        }
        for (number, change) in self.awaited.into_iter().zip(awaited).enumerate() {
            if change == (Watch::Yes, Watch::No) {
                epoll::delete(&self.epoll, self.output.destination(number))?;
            }
        }
        self.awaited = awaited;
        Ok(())
    }
}
