//! mpiexec: starts jobs and serves their processes.
//!
//! [`main`] reads what is asked for (`command`), decides what runs where (`plan`), and splits
//! mpiexec in two (`process`). The launching half (`launcher`) starts the ranks of its own machine
//! (`node`, `host`) and, through remote shells, an agent on each other host, in a tree (`agents`),
//! which is the same program and serves the ranks there (`protocol` is what they say to each
//! other). It answers all ranks and decides by what happens to them how the job ends (`job`), and
//! merges their output by whole lines (`console`). It knows nothing of MPI but that processes say
//! hello, publish how they are reached, finalize and abort.
//!
//! A module uses those that stand before it in this list: `sys`, `process`, `command`, `plan`,
//! `protocol`, `host`, `node`, `job`, `console`, `agents`; and `doctor` and `launcher`, which are
//! the two things that mpiexec does, use all of them.

#![deny(unsafe_code)]

mod agents;
mod command;
mod console;
mod doctor;
pub mod fuzzing;
mod host;
mod job;
mod launcher;
mod node;
mod plan;
mod process;
mod protocol;
mod sys;

use command::{Command, JobRequest, Usage};
use host::Here;
use launcher::Task;
use node::{Place, Plan};
use plan::{Placement, Remote, Share, Spec, place};
use process::{Leash, USAGE, Unstartable, report, split};
use std::process::ExitCode;

/// The program, under any of its names.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| word == plan::AGENT) {
        return finish(split(Leash::Stdin, agents::run));
    }
    let task = match command::parse(words, |name| std::env::var_os(name)) {
        Ok(Command::Run(job)) => prepare(&job),
        Ok(Command::Doctor(job)) => return visit(&job),
        Ok(Command::Help) => return print(&command::text()),
        Ok(Command::Version) => return print(&command::version()),
        Err(Usage(sentence)) => Err(Unstartable {
            sentence,
            status: USAGE,
        }),
    };
    match task {
        Ok(task) => finish(split(Leash::None, |guarded| launcher::run(task, guarded))),
        Err(e) => {
            report::stderr(&e.sentence);
            ExitCode::from(e.status)
        }
    }
}

fn finish(split: std::io::Result<ExitCode>) -> ExitCode {
    split.unwrap_or_else(|e| {
        report::stderr(&format!("cannot start: {e}"));
        ExitCode::FAILURE
    })
}

/// Finds everything that can be wrong with a job before anything is started.
fn prepare(job: &JobRequest) -> Result<Task, Unstartable> {
    let usage = |sentence| Unstartable {
        sentence,
        status: USAGE,
    };
    let placement = placed(job).map_err(usage)?;
    let remote = match placement.nodes.len() == 1 && placement.here.is_some() {
        true => Remote::default(),
        false => Remote::new(&job.remote, |name| std::env::var_os(name)).map_err(usage)?,
    };
    let spec = Spec::new(job, &placement, remote).map_err(usage)?;
    let plan = match placement.here {
        Some(node) => {
            let place = Place::Here { label: job.label };
            Some((node, Plan::new(&spec, node, place)?))
        }
        None => None,
    };
    let mut notices = job.warnings.clone();
    if !placement.crowded.is_empty() && !job.oversubscribe {
        let names = placement.crowded.iter().map(|&node| spec.name(node));
        notices.push(format!(
            "more ranks than slots on {}: they share processors",
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if job.print_map {
        notices.extend(placement.lines());
    }
    Ok(Task {
        spec,
        plan,
        label: job.label,
        timeout: job.timeout,
        notices,
    })
}

/// Looks at hosts.
fn visit(job: &JobRequest) -> ExitCode {
    let named = job.programs[0].hosts.as_deref().unwrap_or_default();
    let here = Here::new();
    let share = Share {
        count: Some(named.len().max(1) as u32),
        hosts: named,
    };
    let placement = place(&[share], Some(1), |name| here.is(name));
    let visit = Remote::new(&job.remote, |name| std::env::var_os(name))
        .and_then(|remote| doctor::Visit::new(&placement?, remote));
    match visit {
        Ok(visit) => finish(split(Leash::None, |guarded| doctor::run(visit, guarded))),
        Err(sentence) => {
            report::stderr(&sentence);
            ExitCode::from(USAGE)
        }
    }
}

fn placed(job: &JobRequest) -> Result<Placement, String> {
    let shares: Vec<Share<'_>> = job
        .programs
        .iter()
        .map(|program| Share {
            count: program.count,
            hosts: program.hosts.as_deref().unwrap_or_default(),
        })
        .collect();
    if shares.iter().all(|share| share.hosts.is_empty()) {
        return place(&shares, job.per_host, |_| true);
    }
    let here = Here::new();
    place(&shares, job.per_host, |name| here.is(name))
}

/// Prints to standard output; a reader that has gone away is no failure.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
