//! The programs on other vendors' `libmpi_abi.so.1`.
//!
//! `FERRITE_PEERS` names a folder with a Python environment for each peer, as
//! `bench/compare/compare.py --cache` makes them: `mpich`, `impi`. Without it the tests are
//! skipped, unless `FERRITE_TEST_REQUIRE=all`.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const LATENCY: &str = env!("CARGO_BIN_EXE_osu_latency");
const BANDWIDTH: &str = env!("CARGO_BIN_EXE_osu_bw");
const BOTH_WAYS: &str = env!("CARGO_BIN_EXE_osu_bibw");
const RATE: &str = env!("CARGO_BIN_EXE_osu_mbw_mr");
const COLLECTIVES: [&str; 7] = [
    env!("CARGO_BIN_EXE_osu_bcast"),
    env!("CARGO_BIN_EXE_osu_reduce"),
    env!("CARGO_BIN_EXE_osu_allreduce"),
    env!("CARGO_BIN_EXE_osu_allgather"),
    env!("CARGO_BIN_EXE_osu_alltoall"),
    env!("CARGO_BIN_EXE_osu_ibcast"),
    env!("CARGO_BIN_EXE_osu_iallreduce"),
];
const BARRIER: &str = env!("CARGO_BIN_EXE_osu_barrier");
const INIT: &str = env!("CARGO_BIN_EXE_osu_init");
const HELLO: &str = env!("CARGO_BIN_EXE_osu_hello");

/// Another MPI library, installed by pip.
struct Peer(PathBuf);

/// What a job left.
struct Outcome {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl Peer {
    fn find(name: &str) -> Option<Self> {
        let folder = std::env::var_os("FERRITE_PEERS").map(|peers| Path::new(&peers).join(name));
        if let Some(folder) = folder.filter(|folder| folder.join("lib/libmpi_abi.so.1").exists()) {
            return Some(Self(folder));
        }
        let required = std::env::var("FERRITE_TEST_REQUIRE").is_ok_and(|value| value == "all");
        assert!(
            !required,
            "FERRITE_PEERS leads to no {name}, and FERRITE_TEST_REQUIRE=all"
        );
        // Straight to the stream: the test framework would swallow what println! writes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: needs PyPI's {name} (FERRITE_PEERS)"
        );
        None
    }

    /// Runs `program` on `processes` processes. `line` holds its arguments.
    fn run(&self, processes: usize, program: &str, line: &str) -> Outcome {
        let mut job = Command::new(self.0.join("bin/mpiexec"))
            .args(["-n", &processes.to_string(), program])
            .args(line.split_whitespace())
            .env("LD_LIBRARY_PATH", self.0.join("lib"))
            .env("I_MPI_ROOT", &self.0)
            // More processes than cores: MPICH yields with this only.
            .env("MPIR_CVAR_CH4_PROGRESS_THROTTLE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the peer has an mpiexec");
        let output = collect(job.stdout.take().expect("stdout is piped"));
        let errors = collect(job.stderr.take().expect("stderr is piped"));
        let deadline = Duration::from_secs(120);
        let (Ok(output), Ok(errors)) =
            (output.recv_timeout(deadline), errors.recv_timeout(deadline))
        else {
            job.kill().expect("mpiexec can be ended");
            panic!("{program} {line} hangs");
        };
        let code = job.wait().expect("mpiexec can be waited for").code();
        Outcome {
            code,
            output,
            errors,
        }
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a pipe can be read");
        // After the deadline nobody listens.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

impl Outcome {
    /// The lines that are not rows.
    fn headings(&self) -> Vec<&str> {
        self.output
            .lines()
            .filter(|line| line.is_empty() || line.starts_with('#'))
            .collect()
    }

    /// The message sizes of the rows, all of which passed validation.
    fn passed(&self) -> Vec<usize> {
        let rows = self
            .output
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        rows.map(|row| {
            assert!(row.ends_with("Pass"), "{row}");
            row.split_whitespace()
                .next()
                .and_then(|size| size.parse().ok())
                .expect("a size")
        })
        .collect()
    }

    fn succeeds(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}{}", self.output, self.errors);
        self
    }
}

/// Latency with validation, the other programs in brief.
fn all_programs(peer: &Peer) {
    let latency = peer.run(2, LATENCY, "-m 0:65536 -i 20 -x 2 -c");
    latency.succeeds();
    assert_eq!(
        latency.headings(),
        [
            "",
            "# OSU MPI Latency Test v7.4",
            "# Datatype: MPI_CHAR.",
            "# Size       Avg Latency(us)        Validation",
        ]
    );
    let powers = (0..=16).map(|power| 1 << power);
    assert_eq!(
        latency.passed(),
        [0].into_iter().chain(powers).collect::<Vec<usize>>()
    );

    let wide = "-m 4:262144 -i 2 -x 1 -c -u 1 -W 8 -b multiple -T all";
    let sizes: Vec<usize> = (2..=18).map(|power| 1 << power).collect();
    for program in [BANDWIDTH, BOTH_WAYS, RATE] {
        let outcome = peer.run(2, program, wide);
        assert_eq!(outcome.succeeds().passed(), sizes.repeat(3), "{program}");
    }
    let sizes: Vec<usize> = (2..=12).map(|power| 1 << power).collect();
    for program in COLLECTIVES {
        let outcome = peer.run(2, program, "-m 4:4096 -i 3 -x 1 -c -u 1 -T all");
        assert_eq!(outcome.succeeds().passed(), sizes.repeat(3), "{program}");
    }
    let barrier = peer.run(2, BARRIER, "-i 20 -x 2");
    assert_eq!(
        barrier.succeeds().headings(),
        [
            "",
            "# OSU MPI Barrier Latency Test v7.4",
            "# Avg Latency(us)"
        ]
    );
    let init = peer.run(2, INIT, "");
    assert!(
        init.succeeds().output.contains("\nnprocs: 2, min: "),
        "{}",
        init.output
    );
    let hello = peer.run(2, HELLO, "");
    let text = "# OSU MPI Hello World Test v7.4\nThis is a test with 2 processes\n";
    assert_eq!(hello.succeeds().output, text);
}

#[test]
fn mpich() {
    if let Some(peer) = Peer::find("mpich") {
        all_programs(&peer);
    }
}

#[test]
fn intel_mpi() {
    if let Some(peer) = Peer::find("impi") {
        all_programs(&peer);
    }
}

#[test]
fn pairs_of_an_odd_job() {
    let Some(peer) = Peer::find("mpich") else {
        return;
    };
    let outcome = peer.run(3, RATE, "-m 8:8 -i 2 -x 1 -c -R 0 -f");
    assert_eq!(
        outcome.succeeds().headings(),
        [
            "# OSU MPI Multiple Bandwidth / Message Rate Test v7.4",
            "# [ pairs: 1 ] [ window size: 64 ]",
            "# Datatype: MPI_CHAR.",
            "# Size                  MB/s      Min BW(MB/s)      Max BW(MB/s)  Iterations        \
             Validation",
        ]
    );
    assert_eq!(outcome.passed(), [8]);
    let varied = peer.run(4, RATE, "-p 1 -V -m 1:2 -i 2 -x 1");
    let rows: Vec<&str> = varied
        .succeeds()
        .output
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(
        rows.len(),
        6,
        "two tables of two rows, an empty line before each: {}",
        varied.output
    );
}

#[test]
fn wrong_use_ends_with_one_message() {
    let Some(peer) = Peer::find("mpich") else {
        return;
    };
    for (processes, program, line, message) in [
        (
            2,
            LATENCY,
            "-m 8:4",
            "osu_latency: -m 8:4: the smallest message (8) exceeds the largest (4)",
        ),
        (
            2,
            BANDWIDTH,
            "--window-size",
            "osu_bw: --window-size: an argument must follow",
        ),
        (
            3,
            LATENCY,
            "",
            "osu_latency: this test needs exactly two processes, and the job has 3",
        ),
        (
            1,
            RATE,
            "",
            "osu_mbw_mr: this test needs at least two processes, and the job has 1",
        ),
        (
            2,
            RATE,
            "-p 2",
            "osu_mbw_mr: -p 2: a job of 2 processes has no more than 1",
        ),
        (
            2,
            HELLO,
            "-m",
            "osu_hello: -m: this program takes no argument",
        ),
    ] {
        let outcome = peer.run(processes, program, line);
        assert_eq!(outcome.code, Some(1), "{line}");
        assert_eq!(outcome.errors.trim_end(), message);
        assert_eq!(outcome.output, "", "{line}");
    }
    let help = peer.run(2, BOTH_WAYS, "--help");
    assert_eq!(
        help.succeeds()
            .output
            .matches("Usage: osu_bibw [options]")
            .count(),
        1
    );
    let version = peer.run(2, BOTH_WAYS, "-v");
    assert_eq!(
        version.succeeds().output,
        "# OSU MPI Bi-Directional Bandwidth Test v7.4\n"
    );
}
