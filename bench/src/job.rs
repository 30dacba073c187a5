//! The frame around a measurement.

use std::io::Write;
use std::process::ExitCode;

use ferrite_bench_abi::{Comm, Datatype, Op, Result, World};
use ferrite_osu::{Element, Options, Program, Request, parse};

/// An initialised program with valid options.
pub(crate) struct Job<'world> {
    pub(crate) world: &'world World,
    pub(crate) comm: Comm<'world>,
    pub(crate) rank: i32,
    pub(crate) processes: i32,
    pub(crate) options: Options,
}

/// How a measurement ended, the same on all ranks.
pub(crate) enum Outcome {
    /// Everything asked for was measured.
    Done,
    /// The data of messages of this many bytes were wrong.
    WrongData(usize),
    /// It cannot run like this.
    Refused(String),
}

/// Runs `measure` between MPI's initialisation and its end. Rank 0 speaks for all; all exit alike.
pub(crate) fn run(program: Program, measure: impl FnOnce(&Job<'_>) -> Result<Outcome>) -> ExitCode {
    // As lossy text: a word that is not UTF-8 is an unknown option and shown as such.
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let request = parse(program, &words);
    within_mpi(program.name(), |world| {
        let comm = world.comm();
        let rank = comm.rank()?;
        let processes = comm.size()?;
        let outcome = match request {
            Ok(Request::Run(options)) => measure(&Job {
                world,
                comm,
                rank,
                processes,
                options,
            })?,
            Ok(Request::Help) => {
                say(rank, &program.help());
                Outcome::Done
            }
            Ok(Request::Version) => {
                say(rank, &format!("{}\n", program.title()));
                Outcome::Done
            }
            Err(message) => Outcome::Refused(message),
        };
        match outcome {
            Outcome::Done => return Ok(ExitCode::SUCCESS),
            Outcome::Refused(message) if rank == 0 => eprintln!("{}: {message}", program.name()),
            Outcome::WrongData(bytes) if rank == 0 => {
                println!(
                    "DATA VALIDATION ERROR: {} exited with status 1 on message size {bytes}.",
                    program.name()
                );
            }
            Outcome::Refused(_) | Outcome::WrongData(_) => {}
        }
        Ok(ExitCode::FAILURE)
    })
}

/// Runs `body` with MPI initialised. An error of MPI ends the job.
pub(crate) fn within_mpi(name: &str, body: impl FnOnce(&World) -> Result<ExitCode>) -> ExitCode {
    let world = match World::init() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = body(&world).unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        world.abort(1)
    });
    if let Err(error) = world.finalize() {
        eprintln!("{name}: {error}");
        return ExitCode::FAILURE;
    }
    result
}

/// Prints `text` on rank 0, at once.
pub(crate) fn say(rank: i32, text: &str) {
    if rank == 0 {
        print!("{text}");
        // A closed pipe ends the program at the next print; nothing is lost that anyone reads.
        let _ = std::io::stdout().flush();
    }
}

impl Job<'_> {
    /// Prints `text` on rank 0, at once.
    pub(crate) fn say(&self, text: &str) {
        say(self.rank, text);
    }

    /// Whether any process found wrong data, for all of them.
    pub(crate) fn any_wrong(&self, wrong: i32) -> Result<bool> {
        let sum = self.comm.reduce(wrong, Op::Sum, 0)?;
        Ok(self.comm.bcast(sum, 0)? != 0)
    }

    /// The mean of all processes' values, at rank 0.
    pub(crate) fn mean(&self, value: f64) -> Result<f64> {
        let sum = self.comm.reduce(value, Op::Sum, 0)?;
        Ok(sum / f64::from(self.processes))
    }

    /// The options of a collective operation, with messages that leave room for a block of each
    /// process. Refuses to run on one process.
    pub(crate) fn collective_options(
        &self,
        program: Program,
    ) -> std::result::Result<Options, Outcome> {
        if self.processes < 2 {
            return Err(self.needs_more());
        }
        let mut options = self.options.clone();
        let most = options.memory / self.processes as usize;
        if program.has_blocks() && options.largest > most {
            if self.rank == 0 {
                eprintln!(
                    "{}: messages of up to {most} bytes, so that {} of them fit {} bytes (-M)",
                    program.name(),
                    self.processes,
                    options.memory
                );
            }
            options.largest = most;
        }
        Ok(options)
    }

    /// Refuses to run on one process.
    pub(crate) fn needs_more(&self) -> Outcome {
        Outcome::Refused(format!(
            "this test needs at least two processes, and the job has {}",
            self.processes
        ))
    }

    /// Refuses to run on a number of processes other than two.
    pub(crate) fn needs_two(&self) -> Option<Outcome> {
        (self.processes != 2).then(|| {
            Outcome::Refused(format!(
                "this test needs exactly two processes, and the job has {}",
                self.processes
            ))
        })
    }
}

/// MPI's datatype of an element.
pub(crate) fn datatype(element: Element) -> Datatype {
    match element {
        Element::Char => Datatype::Char,
        Element::Int => Datatype::Int,
        Element::Float => Datatype::Float,
    }
}
