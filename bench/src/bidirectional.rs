//! `osu_bibw`: windows of messages in both directions at once.

use std::process::ExitCode;

use ferrite_bench_abi::{Requests, Result};
use ferrite_osu::{Element, Program, Samples};

use crate::bandwidth::measure_windows;
use crate::job::{self, Job, Outcome, datatype};
use crate::messages::Messages;

/// Tags of the messages that rank 0 and rank 1 send.
const FROM: [i32; 2] = [100, 10];

/// Runs the program.
pub fn main() -> ExitCode {
    job::run(Program::BidirectionalBandwidth, measure)
}

fn measure(job: &Job<'_>) -> Result<Outcome> {
    measure_windows(job, Program::BidirectionalBandwidth, 2, windows)
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
    let peer = 1 - job.rank;
    let (outgoing, incoming) = (FROM[job.rank as usize], FROM[peer as usize]);
    let mut samples = Samples::new(plan.iterations, options.keeps_samples());
    let mut sends = Requests::new(options.window);
    let mut recvs = Requests::new(options.window);
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
            let timed = job.rank == 0 && iteration >= plan.warmup && exchange == untimed;
            let start = if timed { world.wtime() } else { 0.0 };
            recvs.scope(comm, |recvs| {
                for message in 0..options.window {
                    recvs.irecv(recv.at(message), peer, incoming)?;
                }
                sends.scope(comm, |sends| {
                    for message in 0..options.window {
                        sends.isend(send.at(message), peer, outgoing)?;
                    }
                    // As OSU's program: rank 0 waits for what it sends first, rank 1 for what it
                    // receives.
                    if job.rank == 0 {
                        sends.wait_all()?;
                        recvs.wait_all()
                    } else {
                        recvs.wait_all()?;
                        sends.wait_all()
                    }
                })
            })?;
            if timed {
                samples.add(world.wtime() - start);
            }
        }
        if options.validation.is_some() {
            wrong += messages.wrong(bytes, iteration);
        }
    }
    Ok((samples, wrong))
}
