//! One trial: each program in a job of its own, and the machine's limits.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ferrite_bench_limits::{Cores, Neighbour, cache_line, copy};
use ferrite_osu::read::{Cell, rows};

/// Sizes in bytes whose bandwidth is measured, one way.
pub(crate) const SIZES: [usize; 4] = [8 << 10, 64 << 10, 1 << 20, 4 << 20];
/// Size in bytes whose bandwidth is measured both ways.
pub(crate) const BOTH_WAYS: usize = 1 << 20;

const MEGABYTE: f64 = 1e6;
/// A job that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// The figures of one trial. Times are microseconds, bandwidths MB/s.
pub(crate) struct Trial {
    pub(crate) latency_0: f64,
    pub(crate) latency_8: f64,
    /// Millions of 1-byte messages per second.
    pub(crate) rate: f64,
    /// For each of [`SIZES`].
    pub(crate) bandwidth: [f64; SIZES.len()],
    pub(crate) both_ways: f64,
    /// Where there are two cores.
    pub(crate) line: Option<f64>,
    /// For each of [`SIZES`].
    pub(crate) copy: [f64; SIZES.len()],
    /// For each of [`SIZES`], or why there is none.
    pub(crate) cross: Result<[f64; SIZES.len()], String>,
}

/// Measures everything once.
pub(crate) fn run(prefix: &Path, cores: Cores) -> Result<Trial, String> {
    let line = cache_line(cores).map(|time| time.as_secs_f64() * 1e6);
    let latency = job(prefix, "osu_latency", "0:8")?;
    let rate = job(prefix, "osu_mbw_mr", "1:1")?;
    let bandwidth = job(
        prefix,
        "osu_bw",
        &format!("{}:{}", SIZES[0], SIZES[SIZES.len() - 1]),
    )?;
    let both_ways = job(prefix, "osu_bibw", &format!("{BOTH_WAYS}:{BOTH_WAYS}"))?;
    let rate = rate
        .first()
        .and_then(|cell| cell.second)
        .ok_or("osu_mbw_mr printed no message rate")?;
    let mut columns = [0.0; SIZES.len()];
    for (column, bytes) in columns.iter_mut().zip(SIZES) {
        *column = value("osu_bw", &bandwidth, bytes)?;
    }
    Ok(Trial {
        latency_0: value("osu_latency", &latency, 0)?,
        latency_8: value("osu_latency", &latency, 8)?,
        rate: rate / 1e6,
        bandwidth: columns,
        both_ways: value("osu_bibw", &both_ways, BOTH_WAYS)?,
        line,
        copy: SIZES.map(|bytes| copy(bytes) / MEGABYTE),
        cross: cross(cores).map_err(|error| error.to_string()),
    })
}

fn cross(cores: Cores) -> std::io::Result<[f64; SIZES.len()]> {
    let mut neighbour = Neighbour::start(cores, SIZES[SIZES.len() - 1])?;
    let mut columns = [0.0; SIZES.len()];
    for (column, bytes) in columns.iter_mut().zip(SIZES) {
        *column = neighbour.read(bytes)? / MEGABYTE;
    }
    Ok(columns)
}

fn value(program: &str, cells: &[Cell], bytes: usize) -> Result<f64, String> {
    cells
        .iter()
        .find(|cell| cell.bytes == bytes)
        .map(|cell| cell.value)
        .ok_or_else(|| format!("{program} printed no row for {bytes} bytes"))
}

/// Runs a program of the prefix on two processes and reads its table.
fn job(prefix: &Path, program: &str, sizes: &str) -> Result<Vec<Cell>, String> {
    let bin = prefix.join("bin");
    let mut mpiexec = Command::new(bin.join("mpiexec"))
        .args(["-n", "2"])
        .arg(bin.join(program))
        .args(["-m", sizes])
        // Cargo names its own folders there; the prefix's library is meant, wherever else one may lie.
        .env_remove("LD_LIBRARY_PATH")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", bin.join("mpiexec").display()))?;
    let mut stdout = mpiexec.stdout.take().expect("stdout is piped");
    let (finished, reader) = mpsc::channel();
    thread::spawn(move || {
        let mut output = String::new();
        let read = stdout.read_to_string(&mut output);
        // Nobody listens after the deadline.
        let _ = finished.send(read.map(|_| output));
    });
    let output = match reader.recv_timeout(DEADLINE) {
        Ok(output) => output.map_err(|error| format!("{program}: {error}"))?,
        Err(_) => {
            // It may have ended in between.
            let _ = mpiexec.kill();
            let _ = mpiexec.wait();
            return Err(format!(
                "{program} -m {sizes} took more than {} s",
                DEADLINE.as_secs()
            ));
        }
    };
    let status = mpiexec
        .wait()
        .map_err(|error| format!("{program}: {error}"))?;
    if status.success() {
        Ok(rows(&output))
    } else {
        Err(format!("mpiexec -n 2 {program} -m {sizes}: {status}"))
    }
}
