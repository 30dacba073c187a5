//! mpiexec on another host: started by a remote shell, it carries out orders from standard input
//! and tells by standard output.
//!
//! Like mpiexec it is two processes ([`crate::process::split`]). It lives as long as its
//! connection: when that ends, or nothing has come over it for too long, everything that was
//! started here is killed at once, and the agents below lose theirs.

use super::fleet::Fleet;
use super::station::Station;
use crate::console::FULL;
use crate::host;
use crate::node::{Node, Place, Plan};
use crate::plan::Spec;
use crate::process::{Guarded, Outcome, Source, Unstartable, report};
use crate::protocol::{ALL, Connection, Down, Piece, Read, Up, VERSION};
use rustix::fd::OwnedFd;
use std::io;
use std::time::{Duration, Instant};

/// How long killed processes have to disappear before the agent does.
const GIVE_UP: Duration = Duration::from_secs(6);

/// Runs until there is nothing to do here any more.
pub(crate) fn run(guarded: Guarded) -> Outcome {
    match Agent::new(guarded).and_then(Agent::run) {
        Ok(()) => Outcome::Exit(0),
        Err(e) => {
            // Ranks die with this process: by the kernel's parent-death signal, and by the guard.
            report::stderr(&format!("the agent cannot go on: {e}"));
            Outcome::Exit(1)
        }
    }
}

struct Agent {
    station: Station,
    parent: Connection,
    /// Number of this node, once it is told.
    number: u32,
    /// Bytes of standard output and error that are told and not yet taken.
    untaken: [u64; 2],
    awaited: bool,
    /// mpiexec has said that it will be silent for a while.
    paused: bool,
    /// The connection is no more; when to go whatever is left.
    orphaned: Option<Instant>,
    listener: Option<host::Listener>,
}

impl Agent {
    fn new(guarded: Guarded) -> io::Result<Agent> {
        let input: OwnedFd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        // The ranks have none of it.
        let nothing = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        rustix::stdio::dup2_stdout(&nothing)?;
        let fleet = Fleet::new(Spec::default(), &[], guarded.mask);
        let station = Station::new(guarded, None, fleet)?;
        let parent = Connection::new(input, output)?;
        station
            .poller
            .watch(parent.input(), Source::Parent)
            .map_err(|_| {
                io::Error::other(
                    "standard input is no connection to mpiexec, which alone starts agents",
                )
            })?;
        Ok(Agent {
            station,
            parent,
            number: ALL,
            untaken: [0; 2],
            awaited: false,
            paused: false,
            orphaned: None,
            listener: None,
        })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            self.pass_up();
            self.station.update()?;
            self.pass_up();
            self.parent.flush();
            if self.awaited != self.parent.is_blocked() {
                let (poller, fd) = (&self.station.poller, self.parent.output());
                match self.parent.is_blocked() {
                    true => poller.watch_room(fd, Source::ParentOut)?,
                    false => poller.forget(fd),
                }
                self.awaited = self.parent.is_blocked();
            }
            if let Some(until) = self.orphaned {
                let gone = self.station.is_done_here() && self.station.fleet().is_gone();
                if gone || until <= Instant::now() {
                    self.station.fleet().kill();
                    return Ok(());
                }
            }
            let now = Instant::now();
            let beat = self.parent.beat(self.number, &Up::Beat, now);
            let silent = (!self.paused).then(|| self.parent.silent_at());
            let until = match self.orphaned {
                Some(until) => until.min(now + Duration::from_millis(200)),
                None => silent.into_iter().chain([beat]).min().unwrap_or(beat),
            };
            let turn = self.station.turn(Some(until))?;
            if turn.overslept {
                self.parent.forgive(Instant::now());
            }
            for source in turn.sources {
                match source {
                    Source::Parent => self.listen()?,
                    Source::ParentOut => self.parent.flush(),
                    Source::Guard => {
                        let alive = &self.station.guarded.alive;
                        self.station.poller.forget(alive);
                        self.orphan("its guard was killed")?;
                    }
                    _ => {}
                }
            }
            for received in turn.signals {
                if matches!(
                    received.signal,
                    libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT
                ) {
                    let name = crate::sys::signals::name(received.signal);
                    self.orphan(&format!("it was ended by {name}"))?;
                }
            }
            if self.orphaned.is_none() && !self.paused && self.parent.silent_at() <= Instant::now()
            {
                self.orphan("mpiexec has been silent for too long")?;
            }
        }
    }

    /// Sends up what this host, and those below, have to tell.
    fn pass_up(&mut self) {
        for (node, up) in self.station.told() {
            if let (true, Up::Output { which, bytes, .. }) = (node == self.number, &up) {
                let which = usize::from(*which);
                self.untaken[which] += bytes.len() as u64;
                let full = self.untaken[which] >= FULL as u64;
                self.station.set_full(which, full);
            }
            if self.orphaned.is_none() {
                self.parent.send(node, &up);
            }
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        let (pieces, closed) = match self.parent.read::<Down>() {
            Read::Pieces(pieces) => (pieces, None),
            Read::Last(pieces, broken) => (pieces, Some(broken)),
        };
        for piece in pieces {
            match piece {
                // mpiexec sees this agent's, and says what is wrong.
                Piece::Preamble(version) if version != VERSION => self.orphan("another version")?,
                Piece::Preamble(_) => {}
                Piece::Frame(to, order) => self.obey(to, order)?,
            }
        }
        match closed {
            None => Ok(()),
            Some(None) => self.orphan(""),
            Some(Some(broken)) => self.orphan(&format!("mpiexec sent {}", broken.0)),
        }
    }

    fn obey(&mut self, to: u32, order: Down) -> io::Result<()> {
        self.paused = false;
        match order {
            Down::Beat => {}
            Down::Setup { node, below, spec } if self.number == ALL => {
                self.set_up(node, &below, *spec)?;
            }
            Down::Pause => {
                self.paused = true;
                self.station.order_others(to, &Down::Pause);
            }
            Down::Took { which, bytes } if to == self.number => {
                let which = usize::from(which & 1);
                self.untaken[which] = self.untaken[which].saturating_sub(bytes);
                self.station
                    .set_full(which, self.untaken[which] >= FULL as u64);
            }
            Down::Examine | Down::Listen { .. } | Down::Dial(_) if to == self.number => {
                self.examine(order);
            }
            order => self.station.order(to, order)?,
        }
        Ok(())
    }

    /// Learns the job, starts the ranks of this host and the agents below.
    fn set_up(&mut self, number: u32, below: &[u32], spec: Spec) -> io::Result<()> {
        let known = |node: &u32| (*node as usize) < spec.nodes.len();
        if !spec.is_sound() || !known(&number) || !below.iter().all(known) {
            return self.orphan("mpiexec sent a job that makes no sense");
        }
        self.number = number;
        let mask = self.station.guarded.mask;
        // The agents below first: they take their time.
        let fleet = Fleet::new(spec.clone(), below, mask);
        match Plan::new(&spec, number, Place::Afar) {
            Ok(plan) => {
                self.station.employ(Some((number, Node::new(plan))), fleet);
                self.station.start()?;
            }
            Err(Unstartable { sentence, status }) => {
                self.station.employ(None, fleet);
                let sentence = format!("host {}: {sentence}", spec.name(number));
                self.parent
                    .send(number, &Up::Unstartable { sentence, status });
                self.parent.send(number, &Up::Done);
            }
        }
        self.parent.send(number, &Up::Ready);
        Ok(())
    }

    /// A part of `mpiexec --doctor`.
    fn examine(&mut self, order: Down) {
        let answer = match order {
            Down::Examine => Up::Found {
                findings: host::examine(),
                clock: host::clock(),
            },
            Down::Listen { ports } => Up::Listens(host::Listener::open(ports).map(|listener| {
                let target = listener.target();
                self.listener = Some(listener);
                target
            })),
            Down::Dial(targets) => Up::Dialled(host::dial(&targets)),
            _ => return,
        };
        self.parent.send(self.number, &answer);
    }

    /// Nobody waits for what runs here: it ends at once. `why`: for the user, if the user may still
    /// read it.
    fn orphan(&mut self, why: &str) -> io::Result<()> {
        if self.orphaned.is_some() {
            return Ok(());
        }
        self.orphaned = Some(Instant::now() + GIVE_UP);
        self.station.poller.forget(self.parent.input());
        if !why.is_empty() {
            report::stderr(&format!("the agent ends what it has started: {why}"));
        }
        // Their agents do the same as soon as they see it.
        self.station.fleet().close();
        for which in [0, 1] {
            self.station.order(ALL, Down::Closed { which })?;
        }
        self.station.order(ALL, Down::Kill)
    }
}
