//! `mpiexec --doctor`: what would keep a job from running on these hosts, or from running well, and
//! what to do about it.
//!
//! Each host is reached as a job would reach it, and looks at itself ([`examine`]); then each one
//! listens, and every other one tries to connect ([`dial`]). This file runs the visit and prints
//! what was found.

use crate::agents::{Fleet, Station};
use crate::host::{self, Listener, dial, examine, parse_ports};
use crate::plan::{Placement, Remote, Spec};
use crate::process::{Guarded, Outcome, Source, report};
use crate::protocol::{Down, Finding, Level, Target, Up};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How long a host may take to look at itself, and to try to connect to all others.
const LOOK_WITHIN: Duration = Duration::from_secs(20);

/// Clocks that differ by so much make trouble with the times of files.
const CLOCKS: Duration = Duration::from_secs(1);

/// The hosts that are to be looked at.
pub(crate) struct Visit {
    spec: Spec,
    here: Option<u32>,
    ports: Option<(u16, u16)>,
}

impl Visit {
    /// The error is a sentence.
    pub(crate) fn new(placement: &Placement, remote: Remote) -> Result<Visit, String> {
        let range = std::env::var("FERRITE_PORT_RANGE").unwrap_or_default();
        Ok(Visit {
            spec: Spec {
                nodes: placement.nodes.clone(),
                folder: "/".into(),
                remote,
                ..Spec::default()
            },
            here: placement.here,
            ports: match range.trim() {
                "" => None,
                range => Some(parse_ports(range)?),
            },
        })
    }
}

/// Looks at the hosts, and prints what it finds. mpiexec exits with 1 if there is a problem.
pub(crate) fn run(visit: Visit, guarded: Guarded) -> Outcome {
    match Doctor::new(visit, guarded).and_then(Doctor::run) {
        Ok(Level::Problem) => Outcome::Exit(1),
        Ok(_) => Outcome::Exit(0),
        Err(e) => {
            report::stderr(&format!("the doctor cannot go on: {e}"));
            Outcome::Exit(1)
        }
    }
}

struct Doctor {
    station: Station,
    spec: Spec,
    here: Option<u32>,
    ports: Option<(u16, u16)>,
    hosts: Vec<Host>,
    own: Option<Listener>,
}

/// What is known of a host.
#[derive(Default)]
struct Host {
    findings: Vec<Finding>,
    /// It cannot be reached.
    lost: bool,
    /// When it was asked to look at itself.
    asked: Option<Instant>,
    /// Whether it has.
    looked: bool,
    listens: Option<Result<Target, String>>,
    /// For each other host that listens, in order.
    dialled: Option<Vec<Result<String, String>>>,
}

impl Doctor {
    fn new(visit: Visit, guarded: Guarded) -> io::Result<Doctor> {
        let Visit { spec, here, ports } = visit;
        let hosts: Vec<Host> = spec.nodes.iter().map(|_| Host::default()).collect();
        let afar: Vec<u32> = (0..hosts.len() as u32)
            .filter(|&node| Some(node) != here)
            .collect();
        let fleet = Fleet::new(spec.clone(), &afar, guarded.mask);
        Ok(Doctor {
            station: Station::new(guarded, None, fleet)?,
            spec,
            here,
            ports,
            hosts,
            own: None,
        })
    }

    fn run(mut self) -> io::Result<Level> {
        if let Some(here) = self.here {
            let host = &mut self.hosts[here as usize];
            host.findings = examine();
            host.looked = true;
            let listener = Listener::open(self.ports);
            host.listens = Some(listener.map(|listener| {
                let target = listener.target();
                self.own = Some(listener);
                target
            }));
        }
        let settled = |host: &Host| host.lost || (host.looked && host.listens.is_some());
        if !self.until(|host| settled(host))? {
            return Ok(Level::Problem);
        }
        let listening = self.dial()?;
        if !self.until(|host| host.lost || host.dialled.is_some())? {
            return Ok(Level::Problem);
        }
        self.station.fleet().close();
        let until = Instant::now() + Duration::from_secs(1);
        while !self.station.fleet().is_gone() && Instant::now() < until {
            self.station.turn(Some(until))?;
        }
        self.station.fleet().kill();
        self.print(&listening)
    }

    /// Goes on until this holds of every host. `false`: mpiexec is to end.
    fn until(&mut self, holds: impl Fn(&Host) -> bool) -> io::Result<bool> {
        loop {
            for (node, up) in self.station.told() {
                self.hear(node, up);
            }
            let now = Instant::now();
            for host in &mut self.hosts {
                if host.asked.is_some_and(|asked| asked + LOOK_WITHIN <= now) && !holds(host) {
                    host.lost = true;
                    let text = format!(
                        "its agent has not answered for {} s: is the machine overloaded, or a file \
                         system stuck?",
                        LOOK_WITHIN.as_secs()
                    );
                    host.findings
                        .push(Finding::new(Level::Problem, "agent", text));
                }
            }
            if self.hosts.iter().all(&holds) {
                return Ok(true);
            }
            self.station.update()?;
            let turn = self.station.turn(Some(now + Duration::from_secs(1)))?;
            let ends = |signal| {
                matches!(
                    signal,
                    libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT
                )
            };
            if turn.sources.contains(&Source::Guard) || turn.signals.iter().any(|s| ends(s.signal))
            {
                self.station.fleet().kill();
                return Ok(false);
            }
        }
    }

    fn hear(&mut self, node: u32, up: Up) {
        let host = &mut self.hosts[node as usize];
        match up {
            Up::Ready => {
                host.asked = Some(Instant::now());
                self.station.order_others(node, &Down::Examine);
                let ports = self.ports;
                self.station.order_others(node, &Down::Listen { ports });
            }
            Up::Found { findings, clock } => {
                let reached = Finding::new(
                    Level::Ok,
                    "ssh",
                    "reached without a password, its agent answers",
                );
                host.findings.insert(0, reached);
                host.findings.extend(findings);
                // It was read somewhere between the question and the answer.
                let (after, took) = (
                    host::clock(),
                    host.asked.map_or(Duration::ZERO, |at| at.elapsed()),
                );
                host.findings.push(compare_clocks(clock, after, took));
                host.looked = true;
            }
            Up::Listens(listens) => host.listens = Some(listens),
            Up::Dialled(reached) => host.dialled = Some(reached),
            Up::Without {
                nodes, sentence, ..
            } => {
                for node in nodes {
                    let Some(host) = self.hosts.get_mut(node as usize) else {
                        continue;
                    };
                    host.lost = true;
                    host.findings
                        .push(Finding::new(Level::Problem, "ssh", &*sentence));
                }
            }
            Up::Unstartable { sentence, .. } => {
                host.findings
                    .push(Finding::new(Level::Problem, "agent", sentence));
            }
            Up::Say(sentence) => report::stderr(&sentence),
            _ => {}
        }
    }

    /// Lets every host try to connect to all that listen. Returns those.
    fn dial(&mut self) -> io::Result<Vec<u32>> {
        let listens = |host: &Host| !host.lost && matches!(host.listens, Some(Ok(_)));
        let listening: Vec<u32> = (0..)
            .zip(&self.hosts)
            .filter(|(_, host)| listens(host))
            .map(|(node, _)| node)
            .collect();
        let target = |node: u32| match &self.hosts[node as usize].listens {
            Some(Ok(target)) => Some(target.clone()),
            _ => None,
        };
        let mut orders = Vec::new();
        for node in 0..self.hosts.len() as u32 {
            let others = listening.iter().filter(|&&other| other != node);
            orders.push((
                node,
                others
                    .filter_map(|&other| target(other))
                    .collect::<Vec<_>>(),
            ));
        }
        for (node, targets) in orders {
            let host = &mut self.hosts[node as usize];
            host.asked = Some(Instant::now());
            match Some(node) == self.here {
                true => host.dialled = Some(dial(&targets)),
                false if !host.lost => self.station.order_others(node, &Down::Dial(targets)),
                false => {}
            }
        }
        Ok(listening)
    }

    /// Prints everything. Returns the worst.
    fn print(&self, listening: &[u32]) -> io::Result<Level> {
        let mut out = io::stdout().lock();
        let mut worst = Level::Ok;
        for (node, host) in (0..).zip(&self.hosts) {
            let this = if Some(node) == self.here {
                " (this machine)"
            } else {
                ""
            };
            writeln!(out, "host {}{this}", self.spec.name(node))?;
            let port = match &host.listens {
                Some(Ok(target)) => Some(Finding::new(
                    Level::Ok,
                    "ports",
                    format!("listens at {target}"),
                )),
                Some(Err(sentence)) => Some(Finding::new(Level::Problem, "ports", &**sentence)),
                None => None,
            };
            for finding in host.findings.iter().chain(&port) {
                worst = worst.max(finding.level);
                writeln!(out, "{finding}")?;
            }
        }
        if self.hosts.len() > 1 {
            writeln!(out, "connections between hosts (TCP)")?;
            for finding in self.pairs(listening) {
                worst = worst.max(finding.level);
                writeln!(out, "{finding}")?;
            }
        }
        let verdict = match worst {
            Level::Ok => "all is well",
            Level::Warning => "jobs can run; see the warnings",
            Level::Problem => "there are problems",
        };
        writeln!(out, "{verdict}")?;
        Ok(worst)
    }

    fn pairs(&self, listening: &[u32]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (node, host) in (0..).zip(&self.hosts) {
            let reached = host.dialled.iter().flatten();
            let others = listening.iter().filter(|&&other| other != node);
            for (&other, reached) in others.zip(reached) {
                let pair = format!("{} -> {}", self.spec.name(node), self.spec.name(other));
                findings.push(match reached {
                    Ok(address) => Finding::new(Level::Ok, &pair, address),
                    Err(why) => {
                        let ports = match self.ports {
                            Some((first, last)) => format!("TCP ports {first}-{last}"),
                            None => {
                                "all TCP ports, or set FERRITE_PORT_RANGE and let it pass those"
                                    .into()
                            }
                        };
                        let text = format!("{why}. Let the firewall between them pass {ports}");
                        Finding::new(Level::Problem, &pair, text)
                    }
                });
            }
        }
        findings
    }
}

/// Times in microseconds: there, then here after an answer that took so long.
fn compare_clocks(there: u64, after: u64, took: Duration) -> Finding {
    let before = after.saturating_sub(took.as_micros() as u64);
    let off = before
        .saturating_sub(there)
        .max(there.saturating_sub(after));
    let off = Duration::from_micros(off);
    match off > CLOCKS {
        true => {
            let text = format!(
                "is {:.1} s off this machine's: times of files will be wrong; let NTP or chrony \
                 set it",
                off.as_secs_f64()
            );
            Finding::new(Level::Warning, "clock", text)
        }
        false => Finding::new(
            Level::Ok,
            "clock",
            "agrees with this machine's within a second",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_with_the_time_that_the_answer_took() {
        let second = 1_000_000;
        let compare = |there, took| compare_clocks(there, 100 * second, Duration::from_secs(took));
        assert_eq!(compare(100 * second, 0).level, Level::Ok);
        assert_eq!(compare(97 * second, 5).level, Level::Ok);
        assert_eq!(compare(97 * second, 1).level, Level::Warning);
        assert!(compare(103 * second, 9).text.contains("is 3.0 s off"));
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding::new(Level::Warning, "memory", "little");
        assert_eq!(finding.to_string(), "  warning  memory        little");
        assert!(Level::Ok < Level::Warning && Level::Warning < Level::Problem);
    }
}
