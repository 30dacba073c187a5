//! `osu_mbw_mr`: windows of messages between pairs of processes, all pairs at once.

use std::process::ExitCode;

use ferrite_bench_abi::{Op, Requests, Result};
use ferrite_osu::{Element, Options, Program, Row, Samples, Table, VariedTable};

use crate::bandwidth::MEGABYTE;
use crate::job::{self, Job, Outcome, datatype};
use crate::messages::Messages;

const DATA: i32 = 100;
const ANSWER: i32 = 101;

/// Runs the program.
pub fn main() -> ExitCode {
    job::run(Program::MessageRate, measure)
}

fn measure(job: &Job<'_>) -> Result<Outcome> {
    let options = &job.options;
    if job.processes < 2 {
        return Ok(Outcome::Refused(
            "this test needs at least two processes, and the job has 1".to_owned(),
        ));
    }
    let most = job.processes / 2;
    let pairs = match options.pairs {
        None => most,
        Some(pairs) if pairs <= most as usize => pairs as i32,
        Some(pairs) => {
            return Ok(Outcome::Refused(format!(
                "-p {pairs}: a job of {} processes has no more than {most}",
                job.processes
            )));
        }
    };
    let table = Table::new(Program::MessageRate, options);
    job.say(&table.preamble(pairs as usize));
    let pairs = Pairs::new(job, pairs)?;
    if options.vary_window {
        varied(job, &pairs)
    } else {
        plain(job, &pairs, &table)
    }
}

fn plain(job: &Job<'_>, pairs: &Pairs<'_>, table: &Table<'_>) -> Result<Outcome> {
    let options = &job.options;
    let mut messages = Messages::new(options, options.window);
    for &element in &options.elements {
        job.say(&table.heading(&datatype(element).name(job.world)?));
        for bytes in options.sizes(element) {
            let result = pairs.measure(job, &mut messages, element, bytes, options.window)?;
            let valid = options.validation.is_none() || !job.any_wrong(result.wrong)?;
            let size = bytes as f64 / MEGABYTE;
            job.say(
                &table.row(&Row {
                    bytes,
                    value: size * result.rate,
                    rate: result.rate,
                    sorted: result
                        .samples
                        .sorted(|seconds| size * pairs.messages(options.window) / seconds),
                    valid,
                    ..Row::default()
                }),
            );
            if !valid {
                return Ok(Outcome::WrongData(bytes));
            }
        }
    }
    Ok(Outcome::Done)
}

/// `-V`: a table of bandwidths and one of message rates, with a column for each window.
fn varied(job: &Job<'_>, pairs: &Pairs<'_>) -> Result<Outcome> {
    let options = &job.options;
    let mut messages = Messages::new(options, Options::WINDOWS[Options::WINDOWS.len() - 1]);
    for &element in &options.elements {
        job.say(&VariedTable::heading(&datatype(element).name(job.world)?));
        let mut rates = Vec::new();
        for bytes in options.sizes(element) {
            let mut row = Vec::new();
            for window in Options::WINDOWS {
                row.push(
                    pairs
                        .measure(job, &mut messages, element, bytes, window)?
                        .rate,
                );
            }
            let size = bytes as f64 / MEGABYTE;
            let bandwidths: Vec<f64> = row.iter().map(|rate| size * rate).collect();
            job.say(&VariedTable::row(bytes, &bandwidths));
            rates.push((bytes, row));
        }
        if options.rate {
            job.say(&VariedTable::rate_heading());
            for (bytes, row) in rates {
                job.say(&VariedTable::row(bytes, &row));
            }
        }
    }
    Ok(Outcome::Done)
}

/// Process n of the first half sends to process n of the second.
struct Pairs<'world> {
    number: i32,
    /// The senders, and everybody else.
    half: ferrite_bench_abi::Comm<'world>,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    SendsTo(i32),
    ReceivesFrom(i32),
    Idle,
}

/// What the pairs did with one size.
struct Measured {
    /// Messages per second of all pairs; on rank 0 only.
    rate: f64,
    samples: Samples,
    wrong: i32,
}

impl<'world> Pairs<'world> {
    fn new(job: &Job<'world>, number: i32) -> Result<Self> {
        let role = match job.rank {
            rank if rank < number => Role::SendsTo(rank + number),
            rank if rank < 2 * number => Role::ReceivesFrom(rank - number),
            _ => Role::Idle,
        };
        let half = job
            .comm
            .split(i32::from(matches!(role, Role::SendsTo(_))))?;
        Ok(Self { number, half, role })
    }

    /// Messages that all pairs send in an iteration.
    fn messages(&self, window: usize) -> f64 {
        f64::from(self.number) * window as f64
    }

    fn measure(
        &self,
        job: &Job<'_>,
        messages: &mut Messages,
        element: Element,
        bytes: usize,
        window: usize,
    ) -> Result<Measured> {
        let plan = job.options.plan(bytes);
        let (samples, wrong) = self.windows(job, messages, element, bytes, window)?;
        // Rank 0 is a sender, and the first of them. The senders' mean time counts.
        let seconds = self.half.reduce(samples.seconds(), Op::Sum, 0)? / f64::from(self.number);
        let rate = self.messages(window) * plan.iterations as f64 / seconds;
        Ok(Measured {
            rate,
            samples,
            wrong,
        })
    }

    fn windows(
        &self,
        job: &Job<'_>,
        messages: &mut Messages,
        element: Element,
        bytes: usize,
        window: usize,
    ) -> Result<(Samples, i32)> {
        let Job {
            world,
            comm,
            options,
            ..
        } = job;
        let plan = options.plan(bytes);
        let untimed = options.validation.unwrap_or(0);
        let mut samples = Samples::new(plan.iterations, options.keeps_samples());
        let mut requests = Requests::new(window);
        let mut wrong = 0;
        messages.reset(bytes);
        comm.barrier()?;
        for iteration in 0..plan.warmup + plan.iterations {
            if options.validation.is_some() {
                messages.prepare(bytes, iteration);
            }
            comm.barrier()?;
            let (send, recv) = messages.payloads(bytes, datatype(element));
            for exchange in 0..=untimed {
                comm.barrier()?;
                match self.role {
                    Role::SendsTo(peer) => {
                        let timed = iteration >= plan.warmup && exchange == untimed;
                        let start = if timed { world.wtime() } else { 0.0 };
                        requests.scope(comm, |requests| {
                            for message in 0..window {
                                requests.isend(send.at(message), peer, DATA)?;
                            }
                            requests.wait_all()
                        })?;
                        comm.recv(recv.byte, peer, ANSWER)?;
                        if timed {
                            samples.add(world.wtime() - start);
                        }
                    }
                    Role::ReceivesFrom(peer) => {
                        requests.scope(comm, |requests| {
                            for message in 0..window {
                                requests.irecv(recv.at(message), peer, DATA)?;
                            }
                            requests.wait_all()
                        })?;
                        comm.send(send.byte, peer, ANSWER)?;
                    }
                    Role::Idle => {}
                }
            }
            if options.validation.is_some() && matches!(self.role, Role::ReceivesFrom(_)) {
                wrong += messages.wrong(bytes, iteration);
            }
        }
        Ok((samples, wrong))
    }
}
