//! `osu_ibcast`, `osu_iallreduce`: how much of a nonblocking operation computation hides. The
//! operation alone is measured first; then the process computes for as long as that took between
//! starting it and waiting for it.

use std::process::ExitCode;

use ferrite_bench_abi::{Op, Requests, Result};
use ferrite_osu::{Element, Overlap, OverlapTable, Program, Samples};

use crate::collective::MICROSECONDS;
use crate::job::{self, Job, Outcome, datatype};
use crate::operation::{Given, Operation};

/// Runs a program.
pub fn main(program: Program) -> ExitCode {
    job::run(program, move |job| measure(program, job))
}

fn measure(program: Program, job: &Job<'_>) -> Result<Outcome> {
    let options = match job.collective_options(program) {
        Ok(options) => options,
        Err(refusal) => return Ok(refusal),
    };
    let table = OverlapTable::new(program, &options);
    let mut operation = Operation::new(program, job, &options);
    job.say(&table.preamble());
    for &element in &options.elements {
        job.say(&table.heading(&datatype(element).name(job.world)?));
        for bytes in options.sizes(element).filter(|bytes| *bytes > 0) {
            let alone = repeat(job, &mut operation, element, bytes, 0.0)?;
            let count = alone.samples.count().max(1) as f64;
            let seconds = alone.samples.seconds() / count;
            let beside = repeat(job, &mut operation, element, bytes, seconds)?;
            let wrong = alone.wrong + beside.wrong;
            let valid = options.validation.is_none() || !job.any_wrong(wrong)?;
            let alone = seconds * MICROSECONDS;
            let mean = |seconds: f64| job.mean(seconds * MICROSECONDS / count);
            job.say(&table.row(&Overlap {
                bytes,
                overall: mean(beside.samples.seconds())?,
                compute: mean(beside.compute)?,
                start: mean(beside.start)?,
                test: mean(beside.test)?,
                wait: mean(beside.wait)?,
                alone: [
                    job.mean(alone)?,
                    job.comm.reduce(alone, Op::Min, 0)?,
                    job.comm.reduce(alone, Op::Max, 0)?,
                ],
                sorted: beside.samples.sorted(|seconds| seconds * MICROSECONDS),
                valid,
            }));
            if !valid {
                return Ok(Outcome::WrongData(bytes));
            }
        }
    }
    Ok(Outcome::Done)
}

/// What one rank measured of one size, in seconds over all iterations.
struct Times {
    samples: Samples,
    start: f64,
    compute: f64,
    test: f64,
    wait: f64,
    /// Iterations with wrong data.
    wrong: i32,
}

/// Starts the operation, computes for `work` seconds, and waits, again and again.
fn repeat(
    job: &Job<'_>,
    operation: &mut Operation,
    element: Element,
    bytes: usize,
    work: f64,
) -> Result<Times> {
    let Job { comm, options, .. } = job;
    let plan = options.plan(bytes);
    let mut times = Times {
        samples: Samples::new(plan.iterations, !options.percentiles.is_empty()),
        start: 0.0,
        compute: 0.0,
        test: 0.0,
        wait: 0.0,
        wrong: 0,
    };
    let mut requests = Requests::new(1);
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
                requests.scope(comm, |window| operation.start(window, bytes, element))?;
            }
            // What they have left is no result of the timed one.
            operation.prepare(given);
            comm.barrier()?;
        }
        let [begun, started, computed, tested, ended] =
            once(job, operation, &mut requests, given, work)?;
        comm.barrier()?;
        if options.validation.is_some() {
            times.wrong += operation.wrong(given);
        }
        if iteration >= plan.warmup {
            times.samples.add(ended - begun);
            times.start += started - begun;
            times.compute += computed - started;
            times.test += tested;
            times.wait += ended - computed;
        }
    }
    Ok(times)
}

/// When it began, was started, was computed and was done; between the last two how long the tests
/// took.
fn once(
    job: &Job<'_>,
    operation: &Operation,
    requests: &mut Requests,
    given: Given,
    work: f64,
) -> Result<[f64; 5]> {
    let world = job.world;
    let begun = world.wtime();
    let (mut started, mut computed, mut tested) = (begun, begun, 0.0);
    requests.scope(&job.comm, |window| {
        operation.start(window, given.bytes, given.element)?;
        started = world.wtime();
        if work > 0.0 {
            // Without tests the whole, otherwise a part before each.
            let parts = job.options.tests.max(1);
            let mut done = false;
            for part in 1..=parts {
                let until = started + tested + work * part as f64 / parts as f64;
                while world.wtime() < until {
                    std::hint::spin_loop();
                }
                if job.options.tests > 0 && !done {
                    let before = world.wtime();
                    done = window.test_all()?;
                    tested += world.wtime() - before;
                }
            }
        }
        computed = world.wtime();
        Ok(())
    })?;
    Ok([begun, started, computed, tested, world.wtime()])
}
