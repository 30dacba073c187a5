//! The agents that this process has started on other hosts: mpiexec's own, or those below an agent.
//!
//! Each is a remote shell with a [`Connection`] over its standard input and output. Its life: it is
//! dialled, again and again while the failure may pass; it answers and is told the job; it speaks
//! and listens; it is lost, or leaves. Orders go down by the number of a node, what agents tell
//! comes up with it, and nobody in between looks into it.

mod child;
mod complaints;
mod tree;

use crate::plan::{Spec, UNRUN, Verdict};
use crate::process::{CANNOT_START, End, Poller, Source};
use crate::protocol::{ALL, BEAT, Connection, Down, Piece, Read, SILENCE, Up, VERSION};
use crate::sys::{self, Fork, Mask};
use child::{Attempt, Child, State};
use complaints::Complaints;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitStatus};
use std::io;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};
use tree::branches;

/// How long to wait before a host is dialled again, at first and at most.
const REST: Duration = Duration::from_millis(300);
const LONGEST_REST: Duration = Duration::from_secs(3);

/// How long a remote shell whose connection is closed has to say why.
const LAST_WORDS: Duration = Duration::from_millis(700);

/// All agents below this process.
pub(crate) struct Fleet {
    spec: Spec,
    mask: Mask,
    children: Vec<Child>,
    told: Vec<(u32, Up)>,
}

impl Fleet {
    /// Agents on these nodes, as a tree: `width` of them are this process's own.
    pub(crate) fn new(spec: Spec, nodes: &[u32], mask: Mask) -> Fleet {
        let now = Instant::now();
        let first = Attempt {
            began: now,
            rest: REST,
            number: 0,
        };
        let groups = branches(nodes, spec.remote.width);
        let child = |nodes: &[u32]| Child {
            node: nodes[0],
            below: nodes[1..].to_vec(),
            state: State::Resting(first, now),
            pid: None,
            connection: None,
            complaints: Complaints::default(),
            failure: None,
            awaited: false,
        };
        Fleet {
            children: groups.map(child).collect(),
            spec,
            mask,
            told: Vec::new(),
        }
    }

    /// What agents have told since the last call, with the numbers of their nodes.
    pub(crate) fn told(&mut self) -> Vec<(u32, Up)> {
        std::mem::take(&mut self.told)
    }

    /// Whether something has been told since.
    pub(crate) fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// Gives an order to a node, or to [`ALL`] that listen.
    pub(crate) fn order(&mut self, node: u32, order: &Down) {
        for child in &mut self.children {
            let meant = node == ALL || node == child.node || child.below.contains(&node);
            if meant
                && matches!(child.state, State::Answered(_) | State::Ready)
                && let Some(connection) = &mut child.connection
            {
                connection.send(node, order);
            }
        }
    }

    /// The remote shells that run.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        self.children.iter().filter_map(|child| child.pid).collect()
    }

    /// Whether every agent has left.
    pub(crate) fn is_gone(&self) -> bool {
        self.children
            .iter()
            .all(|child| child.state == State::Gone && child.pid.is_none())
    }

    /// The job ends: hosts that have not been reached are not needed any more.
    pub(crate) fn abandon(&mut self) {
        for at in 0..self.children.len() {
            if matches!(
                self.children[at].state,
                State::Dialling(_) | State::Resting(..)
            ) {
                self.without(at, String::new(), 0, false);
            }
        }
    }

    /// Nothing more is expected of any agent: closing the connection is what ends them.
    pub(crate) fn close(&mut self) {
        for child in &mut self.children {
            // A connection that is still being made would only make an agent that ends at once.
            if let State::Dialling(_) = child.state {
                child.kill();
            }
            child.connection = None;
            child.state = State::Gone;
        }
    }

    /// Ends remote shells that are still there.
    pub(crate) fn kill(&mut self) {
        self.close();
        for child in &self.children {
            child.kill();
        }
    }

    /// This process has not run for a while: silence was not the agents' fault.
    pub(crate) fn forgive(&mut self, now: Instant) {
        for connection in self
            .children
            .iter_mut()
            .filter_map(|c| c.connection.as_mut())
        {
            connection.forgive(now);
        }
    }

    /// Something has happened to a descriptor of a child.
    pub(crate) fn handle(&mut self, source: Source, poller: &Poller) {
        match source {
            Source::Child(at) => self.read(at, poller),
            Source::ChildOut(at) => {
                if let Some(connection) = &mut self.children[at].connection {
                    connection.flush();
                }
            }
            Source::ChildErrors(at) => self.read_errors(at),
            _ => {}
        }
    }

    /// Takes note of a process that has ended. Returns whether it was a remote shell.
    pub(crate) fn ended(&mut self, pid: Pid, status: WaitStatus, poller: &Poller) -> bool {
        let Some(at) = self.children.iter().position(|c| c.pid == Some(pid)) else {
            return false;
        };
        self.children[at].pid = None;
        self.read(at, poller);
        self.read_errors(at);
        self.shell_ended(at, End::of(status));
        true
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant, poller: &Poller) {
        for at in 0..self.children.len() {
            let (name, shell) = (self.name(at), self.spec.remote.shell());
            let patience = self.spec.remote.patience;
            let child = &self.children[at];
            let silent = child
                .connection
                .as_ref()
                .is_some_and(|connection| connection.silent_at() <= now);
            match child.state {
                State::Dialling(attempt) if attempt.began + patience <= now => {
                    if let Some(why) = child.failure.clone() {
                        self.unreached(at, &why);
                        continue;
                    }
                    let noise = match child
                        .connection
                        .as_ref()
                        .map(Connection::noise)
                        .unwrap_or_default()
                    {
                        noise if noise.is_empty() => String::new(),
                        noise => format!("; all it has printed is {noise:?}"),
                    };
                    let said = child.complaints.lines().last();
                    let said = said.map_or(String::new(), |line| format!(" ({line})"));
                    let sentence = format!(
                        "host {name}: {shell} runs, but no agent has answered within {} \
                         s{said}{noise}: does a login there hang? \
                         Try: {shell} {name} true",
                        patience.as_secs_f64()
                    );
                    self.without(at, sentence, CANNOT_START, false);
                }
                State::Resting(attempt, until) if until <= now => {
                    if let Err(e) = self.dial(at, attempt, poller) {
                        let sentence = format!("host {name}: cannot start {shell}: {e}");
                        self.without(at, sentence, CANNOT_START, false);
                    }
                }
                State::Answered(until) if until <= now => {
                    let sentence = format!(
                        "host {name}: its agent has answered, but has not started its ranks within \
                         {} s: is the file system of the \
                         program or of the working directory stuck there?",
                        patience.as_secs_f64()
                    );
                    self.without(at, sentence, CANNOT_START, false);
                }
                State::Answered(_) | State::Ready if silent => {
                    let sentence = format!(
                        "host {name} is lost: nothing has been heard from its agent for {} s; the \
                         host, or the network to it, is down",
                        SILENCE.as_secs()
                    );
                    self.without(at, sentence, CANNOT_START, true);
                }
                State::Leaving { until, dialled } if until <= now => {
                    self.left(at, dialled, None);
                }
                _ => {}
            }
            if let State::Answered(_) | State::Ready = self.children[at].state
                && let Some(connection) = &mut self.children[at].connection
            {
                connection.beat(ALL, &Down::Beat, now);
            }
        }
    }

    /// When to call [`Fleet::tick`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let patience = self.spec.remote.patience;
        let due = |child: &Child| {
            let connection = child.connection.as_ref().map(Connection::silent_at);
            let beat = Some(Instant::now() + BEAT);
            match child.state {
                State::Dialling(attempt) => Some(attempt.began + patience),
                State::Resting(_, until) | State::Leaving { until, .. } => Some(until),
                State::Answered(until) => connection.into_iter().chain(beat).chain([until]).min(),
                State::Ready => connection.into_iter().chain(beat).min(),
                State::Gone => None,
            }
        };
        self.children.iter().filter_map(due).min()
    }

    /// Sends what waits to be sent.
    pub(crate) fn update(&mut self, poller: &Poller) -> Result<(), Errno> {
        for (at, child) in self.children.iter_mut().enumerate() {
            let Some(connection) = &mut child.connection else {
                continue;
            };
            connection.flush();
            if child.awaited != connection.is_blocked() {
                match connection.is_blocked() {
                    true => poller.watch_room(connection.output(), Source::ChildOut(at))?,
                    false => poller.forget(connection.output()),
                }
                child.awaited = connection.is_blocked();
            }
        }
        Ok(())
    }

    /// Starts a remote shell.
    fn dial(&mut self, at: usize, attempt: Attempt, poller: &Poller) -> io::Result<()> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC);
        let ((stdin, to), (from, stdout), (errors, stderr)) = (pipe()?, pipe()?, pipe()?);
        rustix::io::ioctl_fionbio(&errors, true)?;
        let mut command = self
            .spec
            .remote
            .command(self.spec.name(self.children[at].node));
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let pid = match sys::fork()? {
            Fork::Parent(pid) => pid,
            Fork::Child => {
                // What the terminal sends to the job is not for the connection.
                let _ = rustix::process::setpgid(None, None);
                sys::restore(&self.mask);
                let failure = command.exec();
                let line = format!("{}: {failure}\n", UNRUN);
                // `exec` has put standard error in its place before it failed.
                let _ = rustix::io::write(rustix::stdio::stderr(), line.as_bytes());
                sys::exit_now(127)
            }
        };
        drop(command);
        let connection = Connection::new(from, to)?;
        poller.watch(connection.input(), Source::Child(at))?;
        let complaints = Complaints::new(errors);
        if let Some(source) = complaints.source() {
            poller.watch(source, Source::ChildErrors(at))?;
        }
        let child = &mut self.children[at];
        child.pid = Some(pid);
        child.connection = Some(connection);
        child.complaints = complaints;
        child.awaited = false;
        child.state = State::Dialling(attempt);
        Ok(())
    }

    /// Reads what an agent tells.
    fn read(&mut self, at: usize, poller: &Poller) {
        let Some(connection) = &mut self.children[at].connection else {
            return;
        };
        let (pieces, closed) = match connection.read::<Up>() {
            Read::Pieces(pieces) => (pieces, None),
            Read::Last(pieces, broken) => (pieces, Some(broken)),
        };
        for piece in pieces {
            match piece {
                Piece::Preamble(version) => self.answered(at, version),
                Piece::Frame(node, up) => self.hear(at, node, up),
            }
        }
        let child = &mut self.children[at];
        match closed {
            None => {}
            Some(_) if child.state == State::Gone => {}
            Some(Some(broken)) => {
                let sentence = format!(
                    "host {} is lost: its agent sent {}",
                    self.name(at),
                    broken.0
                );
                self.without(at, sentence, CANNOT_START, true);
            }
            Some(None) => {
                if let Some(connection) = &child.connection {
                    poller.forget(connection.input());
                }
                let dialled = match child.state {
                    State::Dialling(attempt) => Some(attempt),
                    _ => None,
                };
                if !matches!(child.state, State::Leaving { .. }) {
                    let until = Instant::now() + LAST_WORDS;
                    child.state = State::Leaving { until, dialled };
                }
                child.connection = None;
                child.awaited = false;
            }
        }
    }

    /// The other end has said which version it is.
    fn answered(&mut self, at: usize, version: String) {
        if version != VERSION {
            let sentence = format!(
                "host {}: the mpiexec there is of version {version}, this one of version \
                 {VERSION}: install the same on all hosts, or \
                 name where it is with -prefix",
                self.name(at)
            );
            return self.without(at, sentence, CANNOT_START, false);
        }
        let child = &mut self.children[at];
        if !matches!(child.state, State::Dialling(_)) {
            return;
        }
        let now = Instant::now();
        child.state = State::Answered(now + self.spec.remote.patience);
        let setup = Down::Setup {
            node: child.node,
            below: child.below.clone(),
            spec: Box::new(self.spec.clone()),
        };
        if let Some(connection) = &mut child.connection {
            connection.forgive(now);
            connection.send(child.node, &setup);
        }
        self.tell_errors(at);
    }

    fn hear(&mut self, at: usize, node: u32, up: Up) {
        let child = &mut self.children[at];
        if node != child.node && !child.below.contains(&node) {
            let sentence = format!(
                "host {} is lost: its agent speaks for another host",
                self.name(at)
            );
            return self.without(at, sentence, CANNOT_START, true);
        }
        match up {
            Up::Beat => {}
            Up::Ready if node == child.node => {
                if let State::Answered(_) = child.state {
                    child.state = State::Ready;
                }
                self.told.push((node, Up::Ready));
            }
            up => self.told.push((node, up)),
        }
    }

    /// A remote shell has ended, and what it has left is read.
    fn shell_ended(&mut self, at: usize, end: End) {
        match self.children[at].state {
            State::Dialling(attempt) => self.left(at, Some(attempt), Some(end)),
            State::Leaving { dialled, .. } => self.left(at, dialled, Some(end)),
            State::Answered(_) | State::Ready => self.left(at, None, Some(end)),
            State::Resting(..) | State::Gone => {}
        }
    }

    /// A connection is closed. `end`: how the remote shell ended, if it has.
    fn left(&mut self, at: usize, dialled: Option<Attempt>, end: Option<End>) {
        let name = self.name(at);
        let Some(attempt) = dialled else {
            let child = &self.children[at];
            let said = match (child.complaints.lines().last(), end) {
                (Some(line), _) => format!(": {line}"),
                (None, Some(End::Code(255))) => {
                    ": its connection was closed, or its agent killed".into()
                }
                (None, Some(end @ End::Code(_))) => format!(": its agent {end}"),
                (None, Some(end)) => format!(": the {} to it {end}", self.spec.remote.shell()),
                (None, None) => ": its agent is no more".into(),
            };
            return self.without(at, format!("host {name} is lost{said}"), CANNOT_START, true);
        };
        // A shell that has closed its output and runs on will not answer any more.
        let end = end.unwrap_or(End::Code(255));
        let verdict = self
            .spec
            .remote
            .diagnose(end, self.children[at].complaints.lines());
        let patience = self.spec.remote.patience;
        match verdict {
            Verdict::Fatal { sentence, status } => {
                self.without(at, format!("host {name}: {sentence}"), status, false);
            }
            Verdict::Again(why) if attempt.began + patience <= Instant::now() + attempt.rest => {
                self.unreached(at, &why);
            }
            Verdict::Again(why) => {
                let node = self.children[at].node;
                if attempt.number == 0 {
                    let notice = format!(
                        "host {name} cannot be reached yet: {why}; trying again, for {} s in all",
                        patience.as_secs_f64()
                    );
                    self.told.push((node, Up::Say(notice)));
                }
                let child = &mut self.children[at];
                child.kill();
                child.connection = None;
                child.complaints = Complaints::default();
                child.failure = Some(why);
                let next = Attempt {
                    rest: (attempt.rest * 2).min(LONGEST_REST),
                    number: attempt.number + 1,
                    ..attempt
                };
                child.state = State::Resting(next, Instant::now() + attempt.rest);
            }
        }
    }

    /// All attempts to reach a host have failed.
    fn unreached(&mut self, at: usize, why: &str) {
        let (name, shell) = (self.name(at), self.spec.remote.shell());
        let sentence = format!(
            "host {name} has not been reached within {} s: {why}. Is the name right, the host up, \
             its sshd running? Try: {shell} \
             {name} true (FERRITE_START_TIMEOUT sets the time)",
            self.spec.remote.patience.as_secs_f64()
        );
        self.without(at, sentence, CANNOT_START, false);
    }

    /// A child, and with it the nodes below it, is given up.
    fn without(&mut self, at: usize, sentence: String, status: u8, lost: bool) {
        let child = &mut self.children[at];
        if child.state == State::Gone {
            return;
        }
        child.state = State::Gone;
        child.connection = None;
        child.awaited = false;
        child.kill();
        let mut nodes = vec![child.node];
        nodes.extend(&child.below);
        let node = child.node;
        let without = Up::Without {
            nodes,
            sentence,
            status,
            lost,
        };
        self.told.push((node, without));
    }

    /// Reads a remote shell's standard error.
    fn read_errors(&mut self, at: usize) {
        let child = &mut self.children[at];
        child.complaints.read();
        // Otherwise they are kept for the verdict.
        if let State::Answered(_) | State::Ready = child.state {
            self.tell_errors(at);
        }
    }

    fn tell_errors(&mut self, at: usize) {
        let name = self.name(at);
        let child = &mut self.children[at];
        for line in child.complaints.take() {
            let line = line.strip_prefix("mpiexec: ").unwrap_or(&line);
            self.told
                .push((child.node, Up::Say(format!("{name}: {line}"))));
        }
    }

    fn name(&self, at: usize) -> String {
        self.spec.name(self.children[at].node).to_string()
    }
}
