//! What mpiexec and an agent have in common: the ranks of their host, the agents below them, and
//! one event loop over both.
//!
//! Orders go in by the number of a node, what is told comes out with it. Whoever runs a station
//! decides; the station only carries.

use super::fleet::Fleet;
use crate::node::Node;
use crate::process::{Guarded, Poller, Source};
use crate::protocol::{ALL, Down, Up};
use crate::sys::{Received, SignalEvents, signals};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use std::io;
use std::time::{Duration, Instant};

/// A process that comes so much too late has been stopped, or its machine was.
const OVERSLEPT: Duration = Duration::from_secs(2);

/// One process's part of the tree.
pub(crate) struct Station {
    pub(crate) poller: Poller,
    pub(crate) guarded: Guarded,
    signals: SignalEvents,
    /// The ranks of this host, and its number; `None`: it has none.
    node: Option<(u32, Node)>,
    fleet: Fleet,
}

/// What has happened besides.
#[derive(Default)]
pub(crate) struct Turn {
    /// To descriptors that are not the station's.
    pub(crate) sources: Vec<Source>,
    /// Signals but SIGCHLD.
    pub(crate) signals: Vec<Received>,
    /// This process has not run for a while.
    pub(crate) overslept: bool,
}

impl Station {
    pub(crate) fn new(
        guarded: Guarded,
        node: Option<(u32, Node)>,
        fleet: Fleet,
    ) -> io::Result<Station> {
        let station = Station {
            poller: Poller::new()?,
            guarded,
            signals: SignalEvents::of(&signals::READ)?,
            node,
            fleet,
        };
        let poller = &station.poller;
        poller.watch(station.signals.as_fd(), Source::Signals)?;
        poller.watch(station.guarded.alive.as_fd(), Source::Guard)?;
        Ok(station)
    }

    /// Starts the ranks of this host.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        match &mut self.node {
            Some((_, node)) => node.start(self.guarded.mask, &self.poller),
            None => Ok(()),
        }
    }

    /// Another fleet, and other ranks: an agent learns its job.
    pub(crate) fn employ(&mut self, node: Option<(u32, Node)>, fleet: Fleet) {
        self.node = node;
        self.fleet = fleet;
    }

    /// What has been told since the last call, with the numbers of nodes.
    pub(crate) fn told(&mut self) -> Vec<(u32, Up)> {
        let mut told = Vec::new();
        if let Some((number, node)) = &mut self.node {
            told.extend(node.told().into_iter().map(|up| (*number, up)));
        }
        told.extend(self.fleet.told());
        told
    }

    /// Whether something has been told since. To be asked before waiting: what [`Station::update`]
    /// finds out is no event.
    pub(crate) fn has_told(&self) -> bool {
        let here = self.node.as_ref();
        here.is_some_and(|(_, node)| node.has_told()) || self.fleet.has_told()
    }

    /// Gives an order to a node, or to [`ALL`].
    pub(crate) fn order(&mut self, to: u32, order: Down) -> io::Result<()> {
        self.order_others(to, &order);
        match &mut self.node {
            Some((number, node)) if to == *number || to == ALL => {
                node.set_bystanders(self.fleet.processes());
                node.obey(order, &self.poller)
            }
            _ => Ok(()),
        }
    }

    /// The same for nodes of other hosts only.
    pub(crate) fn order_others(&mut self, to: u32, order: &Down) {
        if matches!(order, Down::Terminate | Down::Kill) {
            self.fleet.abandon();
        }
        self.fleet.order(to, order);
    }

    /// Whether there is room for what the ranks of this host write to standard output (0) or error
    /// (1).
    pub(crate) fn set_full(&mut self, which: usize, full: bool) {
        if let Some((_, node)) = &mut self.node {
            node.set_full(which, full);
        }
    }

    /// Whether nothing runs on this host any more, and everything is told of it.
    pub(crate) fn is_done_here(&self) -> bool {
        self.node.as_ref().is_none_or(|(_, node)| node.is_done())
    }

    /// The agents below.
    pub(crate) fn fleet(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// Registers what is to be watched for, and sends what is to be sent.
    pub(crate) fn update(&mut self) -> io::Result<()> {
        if let Some((_, node)) = &mut self.node {
            // Nobody may tell that what a rank has left behind has ended: it need not be a child of
            // this process.
            if node.has_leftovers() {
                reap(&mut self.node, &mut self.fleet, &self.poller);
            }
        }
        if let Some((_, node)) = &mut self.node {
            node.update(&self.poller)?;
        }
        Ok(self.fleet.update(&self.poller)?)
    }

    /// Waits until something happens, or until this time, and handles what is the station's.
    pub(crate) fn turn(&mut self, until: Option<Instant>) -> io::Result<Turn> {
        let node = self.node.as_ref().and_then(|(_, node)| node.deadline());
        let until = [until, node, self.fleet.deadline()]
            .into_iter()
            .flatten()
            .min();
        let mut turn = Turn::default();
        let sources = self.poller.wait(until)?;
        let woken = Instant::now();
        if until.is_some_and(|until| until + OVERSLEPT < woken) {
            turn.overslept = true;
            self.fleet.forgive(woken);
        }
        for source in sources {
            match source {
                Source::Signals => {
                    while let Some(received) = self.signals.next() {
                        match received.signal {
                            libc::SIGCHLD => reap(&mut self.node, &mut self.fleet, &self.poller),
                            _ => turn.signals.push(received),
                        }
                    }
                }
                Source::Stream(_) | Source::Channel(_) | Source::Program(_) | Source::RankInput => {
                    if let Some((_, node)) = &mut self.node {
                        node.handle(source, &self.poller);
                    }
                }
                Source::Child(_) | Source::ChildOut(_) | Source::ChildErrors(_) => {
                    self.fleet.handle(source, &self.poller);
                }
                other => turn.sources.push(other),
            }
        }
        let now = Instant::now();
        if let Some((_, node)) = &mut self.node {
            node.set_bystanders(self.fleet.processes());
            node.tick(now);
        }
        self.fleet.tick(now, &self.poller);
        Ok(turn)
    }
}

/// Takes note of every process that has ended.
fn reap(node: &mut Option<(u32, Node)>, fleet: &mut Fleet, poller: &Poller) {
    let mut ended: Vec<(Pid, WaitStatus)> = Vec::new();
    let childless = loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                if !fleet.ended(pid, status, poller) {
                    ended.push((pid, status));
                }
            }
            Ok(None) => break false,
            Err(Errno::INTR) => {}
            Err(_) => break true,
        }
    };
    if let Some((_, node)) = node {
        node.set_bystanders(fleet.processes());
        node.ended(&ended, childless, poller);
    }
}
