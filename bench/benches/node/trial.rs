//! What is measured of Ferrite: each program in a job of its own, over each fabric.

use std::path::Path;

use ferrite_osu::read::{Cell, last, only, rows};

use crate::fabric::Fabric;
use crate::job;

/// Sizes in bytes whose bandwidth is measured, one way.
pub(crate) const SIZES: [usize; 4] = [8 << 10, 64 << 10, 1 << 20, 4 << 20];
/// Size in bytes whose bandwidth is measured both ways.
pub(crate) const BOTH_WAYS: usize = 1 << 20;
/// Sizes in bytes whose latency is measured.
pub(crate) const SHORT: [usize; 2] = [0, 8];

/// Collective operations with data, and the program of each.
pub(crate) const COLLECTIVES: [(&str, &str); 5] = [
    ("bcast", "osu_bcast"),
    ("reduce", "osu_reduce"),
    ("allreduce", "osu_allreduce"),
    ("allgather", "osu_allgather"),
    ("alltoall", "osu_alltoall"),
];
/// Sizes in bytes with which they are measured.
pub(crate) const LENGTHS: [usize; 2] = [8, 64 << 10];
/// Nonblocking ones, measured beside computation with the longer of [`LENGTHS`].
pub(crate) const NONBLOCKING: [(&str, &str); 2] =
    [("ibcast", "osu_ibcast"), ("iallreduce", "osu_iallreduce")];

/// The figures of one trial over one fabric, those that came about. Times are microseconds,
/// bandwidths MB/s.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// For each of [`SHORT`].
    pub(crate) latency: Option<[f64; SHORT.len()]>,
    /// Millions of 1-byte messages per second.
    pub(crate) rate: Option<f64>,
    /// For each of [`SIZES`].
    pub(crate) bandwidth: Option<[f64; SIZES.len()]>,
    pub(crate) both_ways: Option<f64>,
    pub(crate) barrier: Option<f64>,
    /// For each of [`COLLECTIVES`] and [`LENGTHS`].
    pub(crate) collectives: Option<[[f64; LENGTHS.len()]; COLLECTIVES.len()]>,
    /// For each of [`NONBLOCKING`], in percent.
    pub(crate) overlap: Option<[f64; NONBLOCKING.len()]>,
}

/// Why there are no figures, or not all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// The build or the machine does not have the fabric.
    Absent(String),
    /// A job failed.
    Failed(String),
}

/// All trials over a fabric.
pub(crate) struct Measured {
    pub(crate) fabric: Fabric,
    pub(crate) trials: Vec<Figures>,
    pub(crate) trouble: Option<Trouble>,
}

impl Measured {
    /// Asks whether there is anything to measure.
    pub(crate) fn new(fabric: Fabric, prefix: &Path) -> Self {
        Self {
            fabric,
            trials: Vec::new(),
            trouble: fabric.available(prefix).err().map(Trouble::Absent),
        }
    }

    /// One more trial. After a failure nothing more is tried over this fabric: it may be one that
    /// took its whole time.
    pub(crate) fn run(&mut self, prefix: &Path) {
        let mut figures = Figures::default();
        if self.trouble.is_none()
            && let Err(reason) = fill(&mut figures, prefix, self.fabric)
        {
            self.trouble = Some(Trouble::Failed(reason));
        }
        self.trials.push(figures);
    }
}

fn fill(figures: &mut Figures, prefix: &Path, fabric: Fabric) -> Result<(), String> {
    let print = |program: &str, least: usize, most: usize| {
        job::run(prefix, fabric, program, &["-m", &format!("{least}:{most}")])
    };
    let run = |program: &str, least: usize, most: usize| {
        Ok::<_, String>(rows(&print(program, least, most)?))
    };
    figures.latency = Some(values(
        "osu_latency",
        &run("osu_latency", SHORT[0], SHORT[1])?,
        SHORT,
    )?);
    let rate = run("osu_mbw_mr", 1, 1)?;
    let rate = rate
        .first()
        .and_then(|cell| cell.second)
        .ok_or("osu_mbw_mr printed no message rate")?;
    figures.rate = Some(rate / 1e6);
    let table = run("osu_bw", SIZES[0], SIZES[SIZES.len() - 1])?;
    figures.bandwidth = Some(values("osu_bw", &table, SIZES)?);
    let table = run("osu_bibw", BOTH_WAYS, BOTH_WAYS)?;
    figures.both_ways = Some(values("osu_bibw", &table, [BOTH_WAYS])?[0]);
    let barrier = only(&job::run(prefix, fabric, "osu_barrier", &[])?);
    figures.barrier = Some(barrier.ok_or("osu_barrier printed no number")?);
    let mut collectives = [[0.0; LENGTHS.len()]; COLLECTIVES.len()];
    for (figures, (_, program)) in collectives.iter_mut().zip(COLLECTIVES) {
        for (figure, bytes) in figures.iter_mut().zip(LENGTHS) {
            *figure = values(program, &run(program, bytes, bytes)?, [bytes])?[0];
        }
    }
    figures.collectives = Some(collectives);
    let mut overlap = [0.0; NONBLOCKING.len()];
    for (figure, (_, program)) in overlap.iter_mut().zip(NONBLOCKING) {
        let bytes = LENGTHS[1];
        let percent = last(&print(program, bytes, bytes)?);
        *figure = percent.ok_or_else(|| format!("{program} printed no row"))?;
    }
    figures.overlap = Some(overlap);
    Ok(())
}

/// The values of a table's rows of these sizes.
fn values<const N: usize>(
    program: &str,
    table: &[Cell],
    sizes: [usize; N],
) -> Result<[f64; N], String> {
    let mut values = [0.0; N];
    for (value, bytes) in values.iter_mut().zip(sizes) {
        *value = table
            .iter()
            .find(|cell| cell.bytes == bytes)
            .map(|cell| cell.value)
            .ok_or_else(|| format!("{program} printed no row for {bytes} bytes"))?;
    }
    Ok(values)
}
