//! `osu_barrier`, `osu_bcast`, `osu_reduce`, `osu_allreduce`, `osu_allgather`, `osu_alltoall`: how
//! long a process is in the operation, on average over iterations and processes.

use std::process::ExitCode;

use ferrite_bench_abi::{Op, Result};
use ferrite_osu::{Element, Extremes, Program, Row, Samples, Table};

use crate::job::{self, Job, Outcome, datatype};
use crate::operation::{Given, Operation};

pub(crate) const MICROSECONDS: f64 = 1e6;

/// Runs a program.
pub fn main(program: Program) -> ExitCode {
    job::run(program, move |job| measure(program, job))
}

fn measure(program: Program, job: &Job<'_>) -> Result<Outcome> {
    let options = match job.collective_options(program) {
        Ok(options) => options,
        Err(refusal) => return Ok(refusal),
    };
    let table = Table::new(program, &options);
    let mut operation = Operation::new(program, job, &options);
    job.say(&table.preamble(1));
    for &element in &options.elements {
        job.say(&table.heading(&datatype(element).name(job.world)?));
        let sizes: Vec<usize> = match program {
            Program::Barrier => vec![0],
            _ => options.sizes(element).filter(|bytes| *bytes > 0).collect(),
        };
        for bytes in sizes {
            let (samples, wrong) = repeat(job, &mut operation, element, bytes)?;
            let valid = options.validation.is_none() || !job.any_wrong(wrong)?;
            let mean = samples.seconds() * MICROSECONDS / samples.count().max(1) as f64;
            job.say(&table.row(&Row {
                bytes,
                value: job.mean(mean)?,
                extremes: Some(Extremes {
                    least: job.comm.reduce(mean, Op::Min, 0)?,
                    most: job.comm.reduce(mean, Op::Max, 0)?,
                    iterations: samples.count(),
                }),
                sorted: samples.sorted(|seconds| seconds * MICROSECONDS),
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

/// The operations of one size as this rank saw them, and how many had wrong data here.
fn repeat(
    job: &Job<'_>,
    operation: &mut Operation,
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
    let mut samples = Samples::new(plan.iterations, !options.percentiles.is_empty());
    let mut wrong = 0;
    comm.barrier()?;
    for iteration in 0..plan.warmup + plan.iterations {
        let given = Given {
            bytes,
            element,
            iteration,
        };
        if let Some(untimed) = options.validation {
            operation.prepare(given);
            for _ in 0..untimed {
                comm.barrier()?;
                operation.run(comm, bytes, element)?;
            }
            // What they have left is no result of the timed one.
            operation.prepare(given);
            comm.barrier()?;
        }
        let start = world.wtime();
        operation.run(comm, bytes, element)?;
        let seconds = world.wtime() - start;
        comm.barrier()?;
        if options.validation.is_some() {
            wrong += operation.wrong(given);
        }
        if iteration >= plan.warmup {
            samples.add(seconds);
        }
    }
    Ok((samples, wrong))
}
