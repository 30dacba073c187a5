//! The table that `cargo bench` prints.

use ferrite_bench_limits::Cores;

use crate::trial::{BOTH_WAYS, SIZES, Trial};

/// Trials that differ by more than this factor were disturbed.
const CALM: f64 = 1.5;

/// The whole report.
pub(crate) fn text(machine: &str, cores: Cores, trials: &[Trial]) -> String {
    let figure = |value: &dyn Fn(&Trial) -> f64| Figure::of(trials.iter().map(value));
    let mut report = Report::default();
    report.line(&format!(
        "{machine}; {}: median [lowest .. highest]",
        count(trials.len())
    ));
    report.line("");
    report.row(
        "Two processes, shared memory",
        "Ferrite",
        "limit of the machine",
    );

    report.heading("latency, one way, us", "a cache line, core to core");
    let line = match trials
        .iter()
        .map(|trial| trial.line)
        .collect::<Option<Vec<f64>>>()
    {
        Some(times) => Figure::of(times.into_iter()).text(2),
        None => "-".to_owned(),
    };
    report.figure("0 bytes", figure(&|trial| trial.latency_0), 2, &line);
    report.figure("8 bytes", figure(&|trial| trial.latency_8), 2, &line);

    report.heading("message rate, million/s", "");
    report.figure("1 byte", figure(&|trial| trial.rate), 2, "");

    report.heading("bandwidth, both ways, MB/s", "2 x cross-memory copy (CMA)");
    let cross: Result<Vec<[f64; SIZES.len()]>, String> =
        trials.iter().map(|trial| trial.cross.clone()).collect();
    let cross_figure = |index: usize, factor: f64| match &cross {
        Ok(columns) => Figure::of(columns.iter().map(|column| column[index] * factor)).text(0),
        Err(_) => "-".to_owned(),
    };
    let index = SIZES
        .iter()
        .position(|&bytes| bytes == BOTH_WAYS)
        .expect("one of the sizes");
    report.figure(
        &size(BOTH_WAYS),
        figure(&|trial| trial.both_ways),
        0,
        &cross_figure(index, 2.0),
    );

    report.heading(
        "bandwidth, one way, MB/s",
        "cross-memory copy (CMA) | memcpy",
    );
    for (index, &bytes) in SIZES.iter().enumerate() {
        let copy = Figure::of(trials.iter().map(|trial| trial.copy[index])).text(0);
        let limit = format!("{:<28} | {copy}", cross_figure(index, 1.0));
        report.figure(
            &size(bytes),
            figure(&|trial| trial.bandwidth[index]),
            0,
            &limit,
        );
    }

    report.line("");
    report.line("1 MiB is 1,048,576 bytes; 1 MB/s is 10^6 bytes per second.");
    if let Err(reason) = &cross {
        report.line(&format!(
            "Cross-memory copies are not possible here: {reason}."
        ));
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

    fn figure(&mut self, name: &str, figure: Figure, digits: usize, limit: &str) {
        let disturbed = figure.highest > figure.lowest * CALM;
        self.disturbed |= disturbed;
        let mark = if disturbed { " (*)" } else { "" };
        self.row(
            &format!("  {name}"),
            &format!("{}{mark}", figure.text(digits)),
            limit,
        );
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
    if bytes >= 1 << 20 {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

fn count(trials: usize) -> String {
    if trials == 1 {
        "1 trial".to_owned()
    } else {
        format!("{trials} trials")
    }
}
