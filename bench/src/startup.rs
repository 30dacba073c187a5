//! `osu_hello` and `osu_init`: a job that only starts.

use std::process::ExitCode;
use std::time::Instant;

use ferrite_bench_abi::Op;

use crate::job::{say, within_mpi};

/// Runs `osu_hello`: rank 0 prints the number of processes.
pub fn hello() -> ExitCode {
    let refusal = unexpected_argument();
    within_mpi("osu_hello", |world| {
        let comm = world.comm();
        let rank = comm.rank()?;
        if let Some(word) = refusal {
            return Ok(refuse("osu_hello", rank, &word));
        }
        let processes = comm.size()?;
        say(
            rank,
            &format!(
                "# OSU MPI Hello World Test v7.4\nThis is a test with {processes} processes\n"
            ),
        );
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs `osu_init`: rank 0 prints how long `MPI_Init` took on the processes.
pub fn init() -> ExitCode {
    let refusal = unexpected_argument();
    let start = Instant::now();
    within_mpi("osu_init", |world| {
        let milliseconds = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
        let comm = world.comm();
        let rank = comm.rank()?;
        if let Some(word) = refusal {
            return Ok(refuse("osu_init", rank, &word));
        }
        let processes = comm.size()?;
        let min = comm.reduce(milliseconds, Op::Min, 0)?;
        let max = comm.reduce(milliseconds, Op::Max, 0)?;
        let mean = comm.reduce(milliseconds, Op::Sum, 0)? / i64::from(processes);
        say(
            rank,
            &format!(
                "# OSU MPI Init Test v7.4\nnprocs: {processes}, min: {min} ms, max: {max} ms, avg: \
                 {mean} ms\n"
            ),
        );
        Ok(ExitCode::SUCCESS)
    })
}

fn unexpected_argument() -> Option<String> {
    std::env::args_os()
        .nth(1)
        .map(|word| word.to_string_lossy().into_owned())
}

fn refuse(name: &str, rank: i32, word: &str) -> ExitCode {
    if rank == 0 {
        eprintln!("{name}: {word}: this program takes no argument");
    }
    ExitCode::FAILURE
}
