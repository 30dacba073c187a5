//! `osu_bw`: windows of messages from rank 0 to rank 1, each answered by one byte.

use std::process::ExitCode;

use ferrite_bench_abi::{Requests, Result};
use ferrite_osu::{Element, Program, Row, Samples, Table};

use crate::job::{self, Job, Outcome, datatype};
use crate::messages::Messages;

const DATA: i32 = 100;
const ANSWER: i32 = 101;
pub(crate) const MEGABYTE: f64 = 1e6;

/// Runs the program.
pub fn main() -> ExitCode {
    job::run(Program::Bandwidth, measure)
}

fn measure(job: &Job<'_>) -> Result<Outcome> {
    measure_windows(job, Program::Bandwidth, 1, windows)
}

/// The windows of one size, timed on rank 0, and the number of wrong messages here.
pub(crate) type Windows = fn(&Job<'_>, &mut Messages, Element, usize) -> Result<(Samples, i32)>;

/// The tables of a program of two processes in which `windows` moves `directions` windows in each
/// iteration.
pub(crate) fn measure_windows(
    job: &Job<'_>,
    program: Program,
    directions: usize,
    windows: Windows,
) -> Result<Outcome> {
    if let Some(refusal) = job.needs_two() {
        return Ok(refusal);
    }
    let options = &job.options;
    let table = Table::new(program, options);
    let mut messages = Messages::new(options, options.window);
    job.say(&table.preamble(1));
    for &element in &options.elements {
        job.say(&table.heading(&datatype(element).name(job.world)?));
        for bytes in options.sizes(element) {
            let (samples, wrong) = windows(job, &mut messages, element, bytes)?;
            let valid = options.validation.is_none() || !job.any_wrong(wrong)?;
            let megabytes = (bytes * options.window * directions) as f64 / MEGABYTE;
            job.say(&table.row(&Row {
                bytes,
                value: megabytes * samples.count() as f64 / samples.seconds(),
                sorted: samples.sorted(|seconds| megabytes / seconds),
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

fn windows(
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
    let mut requests = Requests::new(options.window);
    let mut wrong = 0;
    messages.reset(bytes);
    comm.barrier()?;
    for iteration in 0..plan.warmup + plan.iterations {
        if options.validation.is_some() {
            messages.prepare(bytes, iteration);
            comm.barrier()?;
        }
        let (send, recv) = messages.payloads(bytes, datatype(element));
        for exchange in 0..=untimed {
            if job.rank == 0 {
                let timed = iteration >= plan.warmup && exchange == untimed;
                let start = if timed { world.wtime() } else { 0.0 };
                requests.scope(comm, |window| {
                    for message in 0..options.window {
                        window.isend(send.at(message), 1, DATA)?;
                    }
                    window.wait_all()
                })?;
                comm.recv(recv.byte, 1, ANSWER)?;
                if timed {
                    samples.add(world.wtime() - start);
                }
            } else {
                requests.scope(comm, |window| {
                    for message in 0..options.window {
                        window.irecv(recv.at(message), 0, DATA)?;
                    }
                    window.wait_all()
                })?;
                comm.send(send.byte, 0, ANSWER)?;
            }
        }
        if options.validation.is_some() && job.rank == 1 {
            wrong += messages.wrong(bytes, iteration);
        }
    }
    Ok((samples, wrong))
}
