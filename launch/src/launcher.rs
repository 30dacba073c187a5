//! The launching half of mpiexec: the top of the tree of agents.
//!
//! What happens to processes, sockets and hosts is told by the [`Station`] and given to [`Job`],
//! which decides; nothing here waits for anything but events.

use crate::agents::{Fleet, Station, Turn};
use crate::console::{Input, Output};
use crate::job::{Dialogue, Effect, Job};
use crate::node::{Node, Plan};
use crate::plan::Spec;
use crate::process::{Guarded, Outcome, Source, report};
use crate::protocol::{ALL, Down, Up};
use crate::sys;
use crate::sys::signals;
use rustix::process::Pid;
use std::io;
use std::time::{Duration, Instant};

/// How long remote shells have to end after their job.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is to be run.
pub(crate) struct Task {
    pub(crate) spec: Spec,
    /// The ranks of this machine, and its number.
    pub(crate) plan: Option<(u32, Plan)>,
    pub(crate) label: bool,
    pub(crate) timeout: Option<Duration>,
    /// To be told first.
    pub(crate) notices: Vec<String>,
}

/// Runs the job to its end.
pub(crate) fn run(task: Task, guarded: Guarded) -> Outcome {
    match Launcher::new(task, guarded).and_then(Launcher::run) {
        Ok(outcome) => outcome,
        Err(e) => {
            // Ranks die with this process: by the kernel's parent-death signal, by the guard, and
            // on other hosts by their agents.
            report::stderr(&format!("the launcher cannot go on: {e}"));
            Outcome::Exit(1)
        }
    }
}

struct Launcher {
    station: Station,
    /// Number of this machine's node.
    here: Option<u32>,
    job: Job,
    dialogue: Dialogue,
    output: Output,
    input: Input,
    /// The rank of another host that has standard input, and its node.
    reader: Option<(u32, u32)>,
    /// For each node, whether it has ended or is lost.
    done: Vec<bool>,
    /// For each node, bytes of standard output and error that it may not count on having room for.
    untaken: Vec<[u64; 2]>,
    /// Whether nodes have been told that nobody reads standard output or error.
    closed: [bool; 2],
    notices: Vec<String>,
    time_limit: Option<(Instant, Duration)>,
}

impl Launcher {
    fn new(task: Task, guarded: Guarded) -> io::Result<Launcher> {
        let Task {
            spec,
            plan,
            label,
            timeout,
            notices,
        } = task;
        let here = plan.as_ref().map(|(node, _)| *node);
        let nodes = spec.nodes.len();
        let afar: Vec<u32> = (0..nodes as u32).filter(|&n| Some(n) != here).collect();
        let reader = spec.stdin.and_then(|rank| Some((rank, spec.node(rank)?)));
        let job = Job::new(&spec, here);
        let dialogue = Dialogue::new(&spec)?;
        let fleet = Fleet::new(spec, &afar, guarded.mask);
        let node = plan.map(|(number, plan)| (number, Node::new(plan)));
        Ok(Launcher {
            station: Station::new(guarded, node, fleet)?,
            here,
            job,
            dialogue,
            output: Output::new(label),
            input: Input::new(),
            reader: reader.filter(|(_, node)| Some(*node) != here),
            done: vec![false; nodes],
            untaken: vec![[0; 2]; nodes],
            closed: [false; 2],
            notices,
            // A time beyond what the clock can tell does not come.
            time_limit: timeout.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit))),
        })
    }

    fn run(mut self) -> io::Result<Outcome> {
        for notice in std::mem::take(&mut self.notices) {
            self.output.say(&notice);
        }
        self.station.start()?;
        loop {
            self.settle()?;
            if self.is_over() {
                break;
            }
            let turn = self.station.turn(self.deadline())?;
            self.handle(turn)?;
        }
        self.take_leave()?;
        Ok(match self.job.outcome() {
            Outcome::Exit(0) if self.output.has_failed() => Outcome::Exit(1),
            outcome => outcome,
        })
    }

    /// Draws all conclusions from what is known, and gets ready to wait.
    fn settle(&mut self) -> io::Result<()> {
        loop {
            for (node, up) in self.station.told() {
                self.hear(node, up)?;
            }
            self.carry_out()?;
            if self.job.is_over() && !self.done.iter().all(|&done| done) {
                self.job.leftovers(Instant::now());
            }
            self.make_room()?;
            self.output.update(&self.station.poller)?;
            self.input.update(&self.station.poller)?;
            self.station.update()?;
            if !self.station.has_told() {
                return Ok(());
            }
        }
    }

    /// Whether nothing is left to do or to wait for.
    fn is_over(&self) -> bool {
        self.job.is_over() && self.done.iter().all(|&done| done) && self.output.is_finished()
    }

    /// When something is due.
    fn deadline(&self) -> Option<Instant> {
        let limit = self.time_limit.map(|(at, _)| at);
        let due = [limit, self.job.deadline(), self.input.deadline()];
        due.into_iter().flatten().min()
    }

    fn handle(&mut self, turn: Turn) -> io::Result<()> {
        for source in turn.sources {
            match source {
                Source::Guard => {
                    let alive = &self.station.guarded.alive;
                    self.station.poller.forget(alive);
                    self.job.guard_is_gone();
                }
                Source::Destination(number) => self.output.write(number),
                Source::Input => {
                    let bytes = self.input.read();
                    self.pass_input(bytes)?;
                }
                _ => {}
            }
        }
        for received in turn.signals {
            match received.signal {
                libc::SIGCONT => self.station.order(ALL, Down::Signal(libc::SIGCONT))?,
                libc::SIGTSTP => self.stop(received.terminal)?,
                signal if signals::PASSED_ON.contains(&signal) => {
                    self.job.signal(signal, received.terminal, Instant::now());
                    // What it does to the ranks is judged after they have got it.
                    self.carry_out()?;
                }
                _ => {}
            }
        }
        let now = Instant::now();
        self.job.tick(now);
        if let Some((_, limit)) = self.time_limit.take_if(|(at, _)| *at <= now)
            && !self.job.is_over()
        {
            self.job.time_is_up(limit, now);
        }
        let bytes = self.input.tick(now);
        self.pass_input(bytes)
    }

    /// A node has told something.
    fn hear(&mut self, node: u32, up: Up) -> io::Result<()> {
        let of = match &up {
            Up::Started { rank, .. }
            | Up::Said { rank, .. }
            | Up::ProgramGone { rank }
            | Up::Ended { rank, .. }
            | Up::Output { rank, .. } => Some(*rank),
            _ => None,
        };
        if of.is_some_and(|rank| !self.job.is_on(rank, node)) || node as usize >= self.done.len() {
            return Err(io::Error::other(format!(
                "the agent of node {node} speaks of ranks that are not its own"
            )));
        }
        let now = Instant::now();
        match up {
            Up::Started { rank, pid } => {
                if let Some(pid) = Pid::from_raw(pid) {
                    self.job.started(rank, pid);
                }
                if self.reader == Some((rank, node)) {
                    self.input.open();
                }
            }
            Up::Unstartable { sentence, status } => self.job.unstartable(node, sentence, status),
            Up::Said { rank, pid, line } => {
                for (rank, answer) in self.dialogue.hear(rank, pid, &line, &mut self.job)? {
                    self.station.order(self.job.node(rank), answer)?;
                }
            }
            Up::ProgramGone { rank } => self.job.program_gone(rank, now),
            Up::Ended { rank, end, hint } => self.job.ended(rank, end, &hint, now),
            Up::Output { rank, which, bytes } => {
                let which = usize::from(which & 1);
                self.output.show(rank, which, &bytes);
                if Some(node) != self.here {
                    self.untaken[node as usize][which] += bytes.len() as u64;
                }
            }
            Up::InputTaken(bytes) => self.input.taken(bytes),
            Up::InputClosed => self.input.close(),
            Up::Say(sentence) => self.output.say(&sentence),
            Up::Done => self.done[node as usize] = true,
            Up::Without {
                nodes,
                sentence,
                status,
                lost: _,
            } => {
                for &node in &nodes {
                    if let Some(done) = self.done.get_mut(node as usize) {
                        *done = true;
                    }
                }
                self.job.without(&nodes, sentence, status, now);
            }
            Up::Beat | Up::Ready | Up::Found { .. } | Up::Listens(_) | Up::Dialled(_) => {}
        }
        Ok(())
    }

    fn carry_out(&mut self) -> io::Result<()> {
        for effect in self.job.effects() {
            match effect {
                Effect::Say(sentence) => self.output.say(&sentence),
                Effect::PassOn(signal) => self.station.order(ALL, Down::Signal(signal))?,
                Effect::PassOnAfar(signal) => {
                    self.station.order_others(ALL, &Down::Signal(signal));
                }
                Effect::Terminate => self.station.order(ALL, Down::Terminate)?,
                Effect::Kill => self.station.order(ALL, Down::Kill)?,
            }
        }
        Ok(())
    }

    /// Stops the job, and this process until it is continued.
    fn stop(&mut self, terminal: bool) -> io::Result<()> {
        match terminal {
            true => self.station.order_others(ALL, &Down::Signal(libc::SIGTSTP)),
            false => self.station.order(ALL, Down::Signal(libc::SIGTSTP))?,
        }
        self.station.order_others(ALL, &Down::Pause);
        self.station.update()?;
        sys::take_default_action(libc::SIGTSTP);
        self.station.fleet().forgive(Instant::now());
        // SIGCONT follows as a signal; this one is only for those that no terminal continues.
        self.station.order_others(ALL, &Down::Beat);
        Ok(())
    }

    /// Tells nodes whether there is room for what their ranks write.
    fn make_room(&mut self) -> io::Result<()> {
        for which in [0, 1] {
            let full = self.output.is_full(which);
            self.station.set_full(which, full);
            if self.output.is_closed(which) && !self.closed[which] {
                self.closed[which] = true;
                let which = which as u8;
                self.station.order(ALL, Down::Closed { which })?;
            }
            if full {
                continue;
            }
            for (node, untaken) in (0..).zip(&mut self.untaken) {
                let bytes = std::mem::take(&mut untaken[which]);
                if bytes > 0 {
                    let which = which as u8;
                    self.station
                        .order_others(node, &Down::Took { which, bytes });
                }
            }
        }
        Ok(())
    }

    fn pass_input(&mut self, bytes: Option<Vec<u8>>) -> io::Result<()> {
        match (bytes, self.reader) {
            (Some(bytes), Some((_, node))) => self.station.order(node, Down::Input(bytes)),
            _ => Ok(()),
        }
    }

    /// Nothing runs any more: the remote shells end.
    fn take_leave(&mut self) -> io::Result<()> {
        let until = Instant::now() + FAREWELL;
        self.input.close();
        self.input.update(&self.station.poller)?;
        self.station.fleet().close();
        while !self.station.fleet().is_gone() && Instant::now() < until {
            self.station.turn(Some(until))?;
        }
        self.station.fleet().kill();
        Ok(())
    }
}
