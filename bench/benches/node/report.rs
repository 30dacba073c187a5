//! The table that `cargo bench` prints.

use ferrite_bench_limits::Cores;

use crate::fabric::Fabric;
use crate::limits::{Limits, Raw};
use crate::trial::{
    BOTH_WAYS, COLLECTIVES, Figures, LENGTHS, Measured, NONBLOCKING, SHORT, SIZES, Trouble,
};

/// Trials that differ by more than this factor were disturbed.
const CALM: f64 = 1.5;

/// The whole report: a table for each fabric.
pub(crate) fn text(machine: &str, cores: Cores, fabrics: &[Measured], limits: &[Limits]) -> String {
    let mut report = Report::default();
    report.line(&format!(
        "{machine}; {}: median [lowest .. highest]",
        count(limits.len())
    ));
    for measured in fabrics {
        report.line("");
        report.table(measured, limits);
    }
    report.line("");
    report.line("1 MiB is 1,048,576 bytes; 1 MB/s is 10^6 bytes per second.");
    if let Some(reason) = limits.iter().find_map(|each| each.cross.as_ref().err()) {
        report.line(&format!(
            "Cross-memory copies are not possible here: {reason}."
        ));
    }
    if let Some(reason) = limits.iter().find_map(|each| each.sockets.as_ref().err()) {
        report.line(&format!("Raw sockets could not be measured: {reason}."));
    }
    if cores.second().is_none() {
        report.line(
            "There is one core: both processes share it, and a cache line has nowhere to go.",
        );
    }
    if report.disturbed {
        report.line("(*) The trials differ by more than half: something else ran on this machine.");
    }
    report.text
}

/// A line of figures.
#[derive(Clone, Copy)]
enum Row {
    /// By index into [`SHORT`].
    Latency(usize),
    Rate,
    BothWays,
    /// By index into [`SIZES`].
    Bandwidth(usize),
    Barrier,
    /// By index into [`COLLECTIVES`] and [`LENGTHS`].
    Collective(usize, usize),
    /// By index into [`NONBLOCKING`].
    Overlap(usize),
}

impl Row {
    fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Latency(index) => figures.latency.map(|values| values[index]),
            Self::Rate => figures.rate,
            Self::BothWays => figures.both_ways,
            Self::Bandwidth(index) => figures.bandwidth.map(|values| values[index]),
            Self::Barrier => figures.barrier,
            Self::Collective(index, length) => {
                figures.collectives.map(|values| values[index][length])
            }
            Self::Overlap(index) => figures.overlap.map(|values| values[index]),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Latency(index) => size(SHORT[index]),
            Self::Rate => "1 byte".to_owned(),
            Self::BothWays => size(BOTH_WAYS),
            Self::Bandwidth(index) => size(SIZES[index]),
            Self::Barrier => "barrier".to_owned(),
            Self::Collective(index, length) => {
                format!("{}, {}", COLLECTIVES[index].0, size(LENGTHS[length]))
            }
            Self::Overlap(index) => format!("{}, {}", NONBLOCKING[index].0, size(LENGTHS[1])),
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Latency(_) | Self::Rate | Self::Barrier | Self::Collective(..) => 2,
            Self::BothWays | Self::Bandwidth(_) | Self::Overlap(_) => 0,
        }
    }

    /// What the machine can do, as text.
    fn limit(self, fabric: Fabric, limits: &[Limits]) -> String {
        let all = |value: &dyn Fn(&Limits) -> Option<f64>| {
            let values: Option<Vec<f64>> = limits.iter().map(value).collect();
            values.map_or("-".to_owned(), |values| {
                Figure::of(values.into_iter()).text(self.digits())
            })
        };
        match fabric {
            Fabric::SharedMemory => {
                let cross = |index: usize, factor: f64| {
                    all(&|each| Some(each.cross.as_ref().ok()?[index] * factor))
                };
                match self {
                    Self::Latency(_) => all(&|each| each.line),
                    Self::Rate => String::new(),
                    Self::BothWays => {
                        let index = SIZES.iter().position(|&bytes| bytes == BOTH_WAYS);
                        cross(index.expect("one of the sizes"), 2.0)
                    }
                    Self::Bandwidth(index) => {
                        let copy = all(&|each| Some(each.copy[index]));
                        format!("{:<28} | {copy}", cross(index, 1.0))
                    }
                    _ => String::new(),
                }
            }
            Fabric::Tcp => {
                let raw = |value: &dyn Fn(&Raw) -> f64| {
                    all(&|each| each.sockets.as_ref().ok().map(value))
                };
                match self {
                    Self::Latency(index) if SHORT[index] == 0 => String::new(),
                    Self::Latency(_) => raw(&|raw| raw.latency),
                    Self::Rate => raw(&|raw| raw.rate),
                    Self::BothWays => raw(&|raw| raw.both_ways),
                    Self::Bandwidth(index) => raw(&|raw| raw.bandwidth[index]),
                    _ => String::new(),
                }
            }
        }
    }
}

/// Headings with their unit, and the rows below them.
const GROUPS: [(&str, &[Row]); 6] = [
    ("latency, one way, us", &[Row::Latency(0), Row::Latency(1)]),
    ("message rate, million/s", &[Row::Rate]),
    ("bandwidth, both ways, MB/s", &[Row::BothWays]),
    (
        "bandwidth, one way, MB/s",
        &[
            Row::Bandwidth(0),
            Row::Bandwidth(1),
            Row::Bandwidth(2),
            Row::Bandwidth(3),
        ],
    ),
    (
        "collective operation, us",
        &[
            Row::Barrier,
            Row::Collective(0, 0),
            Row::Collective(0, 1),
            Row::Collective(1, 0),
            Row::Collective(1, 1),
            Row::Collective(2, 0),
            Row::Collective(2, 1),
            Row::Collective(3, 0),
            Row::Collective(3, 1),
            Row::Collective(4, 0),
            Row::Collective(4, 1),
        ],
    ),
    (
        "hidden behind computation, %",
        &[Row::Overlap(0), Row::Overlap(1)],
    ),
];

/// What the limit beside each of [`GROUPS`] is.
fn limits_of(fabric: Fabric) -> [&'static str; GROUPS.len()] {
    match fabric {
        Fabric::SharedMemory => [
            "a cache line, core to core",
            "",
            "2 x cross-memory copy (CMA)",
            "cross-memory copy (CMA) | memcpy",
            "",
            "",
        ],
        Fabric::Tcp => [
            "raw sockets, spinning",
            "raw sockets, one call each",
            "raw sockets",
            "raw sockets",
            "",
            "",
        ],
    }
}

#[derive(Default)]
struct Report {
    text: String,
    disturbed: bool,
}

impl Report {
    fn line(&mut self, line: &str) {
        self.text += line.trim_end();
        self.text.push('\n');
    }

    fn row(&mut self, name: &str, ours: &str, limit: &str) {
        self.line(&format!("{name:<30}{ours:<32}{limit}"));
    }

    fn heading(&mut self, name: &str, limit: &str) {
        self.line("");
        self.row(name, "", limit);
    }

    fn table(&mut self, measured: &Measured, limits: &[Limits]) {
        let fabric = measured.fabric;
        let name = format!("Two processes, {}", fabric.name());
        self.row(&name, "Ferrite", "limit of the machine");
        for ((heading, rows), limit) in GROUPS.iter().zip(limits_of(fabric)) {
            self.heading(heading, limit);
            for &row in *rows {
                let ours: Option<Vec<f64>> =
                    measured.trials.iter().map(|trial| row.of(trial)).collect();
                let ours = match (ours, &measured.trouble) {
                    // Of so small a part trials may well differ.
                    (Some(values), _) if matches!(row, Row::Overlap(_)) => {
                        Figure::of(values.into_iter()).text(row.digits())
                    }
                    (Some(values), _) => self.calm(Figure::of(values.into_iter()), row.digits()),
                    (None, Some(Trouble::Absent(_))) => "not here, see below".to_owned(),
                    (None, _) => "failed, see below".to_owned(),
                };
                let limit = row.limit(fabric, limits);
                self.row(&format!("  {}", row.name()), &ours, &limit);
            }
        }
        match &measured.trouble {
            Some(Trouble::Absent(reason)) => {
                self.line("");
                self.line(&format!("No {} here: {reason}.", fabric.name()));
            }
            Some(Trouble::Failed(reason)) => {
                self.line("");
                self.line(&format!("A job failed, {}: {reason}", fabric.name()));
            }
            None => {}
        }
    }

    /// A figure as text, with a mark if it was disturbed.
    fn calm(&mut self, figure: Figure, digits: usize) -> String {
        let disturbed = figure.highest > figure.lowest * CALM;
        self.disturbed |= disturbed;
        let mark = if disturbed { " (*)" } else { "" };
        format!("{}{mark}", figure.text(digits))
    }
}

/// The middle of the trials, and their range.
struct Figure {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Figure {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Self {
            median,
            lowest: values[0],
            highest: values[values.len() - 1],
        }
    }

    fn text(&self, digits: usize) -> String {
        let Self {
            median,
            lowest,
            highest,
        } = self;
        format!("{median:.digits$} [{lowest:.digits$} .. {highest:.digits$}]")
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn count(trials: usize) -> String {
    if trials == 1 {
        "1 trial".to_owned()
    } else {
        format!("{trials} trials")
    }
}
