//! `osu_latency`: half the time of a round trip between two processes.

use std::process::ExitCode;

use ferrite_bench_abi::Result;
use ferrite_osu::{Element, Program, Row, Samples, Table};

use crate::job::{self, Job, Outcome, datatype};
use crate::messages::Messages;

const TAG: i32 = 1;
const MICROSECONDS: f64 = 1e6;

/// Runs the program.
pub fn main() -> ExitCode {
    job::run(Program::Latency, measure)
}

fn measure(job: &Job<'_>) -> Result<Outcome> {
    if let Some(refusal) = job.needs_two() {
        return Ok(refusal);
    }
    let options = &job.options;
    let table = Table::new(Program::Latency, options);
    let mut messages = Messages::new(options, 1);
    job.say(&table.preamble(1));
    for &element in &options.elements {
        job.say(&table.heading(&datatype(element).name(job.world)?));
        for bytes in options.sizes(element) {
            let (samples, wrong) = round_trips(job, &mut messages, element, bytes)?;
            let valid = options.validation.is_none() || !job.any_wrong(wrong)?;
            let one_way = |seconds: f64| seconds * MICROSECONDS / 2.0;
            job.say(&table.row(&Row {
                bytes,
                value: one_way(samples.seconds()) / samples.count().max(1) as f64,
                sorted: samples.sorted(one_way),
                valid,
                ..Row::default()
            }));
            if !valid {
                return Ok(Outcome::WrongData(bytes));
            }
        }
    }
    Ok(Outcome::Done)
}

/// The round trips of one size as rank 0 saw them, and the number of wrong messages here.
fn round_trips(
    job: &Job<'_>,
    messages: &mut Messages,
    element: Element,
    bytes: usize,
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
    let mut wrong = 0;
    messages.reset(bytes);
    comm.barrier()?;
    for iteration in 0..plan.warmup + plan.iterations {
        if options.validation.is_some() {
            messages.prepare(bytes, iteration);
            comm.barrier()?;
        }
        let (send, recv) = messages.payloads(bytes, datatype(element));
        let (send, recv) = (send.at(0), recv.at(0));
        for exchange in 0..=untimed {
            if job.rank == 0 {
                let timed = iteration >= plan.warmup && exchange == untimed;
                let start = if timed { world.wtime() } else { 0.0 };
                comm.send(send, 1, TAG)?;
                comm.recv(recv, 1, TAG)?;
                if timed {
                    samples.add(world.wtime() - start);
                }
            } else {
                comm.recv(recv, 0, TAG)?;
                comm.send(send, 0, TAG)?;
            }
        }
        if options.validation.is_some() {
            wrong += messages.wrong(bytes, iteration);
        }
    }
    Ok((samples, wrong))
}
