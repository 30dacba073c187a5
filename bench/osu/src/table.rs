//! The tables that the programs print.
//!
//! Columns are 10 and then 18 characters wide, 12 for the number of iterations; two digits follow
//! the point.

use std::fmt::Write;

mod overlap;

pub use overlap::{Overlap, OverlapTable};

use crate::options::{Kind, Options, Program};
use crate::samples::percentile;

/// The table of one element type: heading and rows.
pub struct Table<'a> {
    program: Program,
    options: &'a Options,
}

/// The results of one message size.
#[derive(Debug, Default)]
pub struct Row {
    /// Message size in bytes.
    pub bytes: usize,
    /// Mean latency in microseconds, or bandwidth in MB/s.
    pub value: f64,
    /// Messages per second; printed by `osu_mbw_mr` only.
    pub rate: f64,
    /// The iterations in ascending order, in the unit of `value`; empty if none were kept.
    pub sorted: Vec<f64>,
    /// The means of the fastest and of the slowest process, where not the iterations of one are
    /// looked at.
    pub extremes: Option<Extremes>,
    /// Whether the data were right; printed when they were checked.
    pub valid: bool,
}

/// What the processes of a collective operation measured.
#[derive(Clone, Copy, Debug)]
pub struct Extremes {
    /// The shortest mean of a process, in microseconds.
    pub least: f64,
    /// The longest.
    pub most: f64,
    /// Timed iterations.
    pub iterations: usize,
}

impl<'a> Table<'a> {
    /// The table of `program` under `options`.
    pub fn new(program: Program, options: &'a Options) -> Self {
        Self { program, options }
    }

    /// What stands above all tables.
    pub fn preamble(&self, pairs: usize) -> String {
        let title = self.program.title();
        match self.program {
            Program::MessageRate if self.options.vary_window => format!(
                "{title}\n# [ pairs: {pairs} ] [ window size: varied ]\n\n# Uni-directional \
                 Bandwidth (MB/sec)\n"
            ),
            Program::MessageRate => {
                format!(
                    "{title}\n# [ pairs: {pairs} ] [ window size: {} ]\n",
                    self.options.window
                )
            }
            _ => format!("\n{title}\n"),
        }
    }

    /// The lines above the rows, for elements that the library calls `datatype`.
    pub fn heading(&self, datatype: &str) -> String {
        let mut line = match self.program {
            Program::Barrier => "#".to_owned(),
            _ => format!("# Datatype: {datatype}.\n{:<10}", "# Size"),
        };
        let unit = match self.program {
            Program::Barrier => {
                line += " Avg Latency(us)";
                "Latency(us)"
            }
            Program::Bandwidth | Program::BidirectionalBandwidth => {
                column(&mut line, "Bandwidth (MB/s)");
                "BW(MB/s)"
            }
            Program::MessageRate => {
                column(&mut line, "MB/s");
                if self.options.rate {
                    column(&mut line, "Messages/s");
                }
                "BW(MB/s)"
            }
            _ => {
                column(&mut line, "Avg Latency(us)");
                "Latency(us)"
            }
        };
        if self.options.full {
            column(&mut line, &format!("Min {unit}"));
            column(&mut line, &format!("Max {unit}"));
            line += &format!("{:>12}", "Iterations");
        }
        if self.options.validation.is_some() {
            column(&mut line, "Validation");
        }
        let is_latency = self.program == Program::Latency || self.program.kind() != Kind::Messages;
        let tail = if is_latency { "Lat(us)" } else { "BW(MB/s)" };
        percentile_heading(&mut line, self.options, tail);
        line + "\n"
    }

    /// One row.
    pub fn row(&self, row: &Row) -> String {
        let mut line = match self.program {
            Program::Barrier => format!("{:>17.2}", row.value),
            _ => format!("{:<10}{:>18.2}", row.bytes, row.value),
        };
        if self.program == Program::MessageRate && self.options.rate {
            number(&mut line, row.rate);
        }
        if self.options.full {
            let sorted = &row.sorted;
            let Extremes {
                least,
                most,
                iterations,
            } = row.extremes.unwrap_or(Extremes {
                least: sorted.first().copied().unwrap_or(f64::NAN),
                most: sorted.last().copied().unwrap_or(f64::NAN),
                iterations: sorted.len(),
            });
            number(&mut line, least);
            number(&mut line, most);
            line += &format!("{iterations:>12}");
        }
        if self.options.validation.is_some() {
            column(&mut line, if row.valid { "Pass" } else { "Fail" });
        }
        percentiles(&mut line, self.options, &row.sorted);
        line + "\n"
    }
}

fn percentile_heading(line: &mut String, options: &Options, unit: &str) {
    for percent in &options.percentiles {
        column(line, &format!("P{percent} Tail {unit}"));
    }
}

fn percentiles(line: &mut String, options: &Options, sorted: &[f64]) {
    for &percent in &options.percentiles {
        number(line, percentile(sorted, percent));
    }
}

/// The tables of `osu_mbw_mr -V`: a column for each window.
pub struct VariedTable;

impl VariedTable {
    /// The lines above the rows of bandwidths.
    pub fn heading(datatype: &str) -> String {
        format!("# Datatype: {datatype}.\n{}", Self::windows())
    }

    /// The lines above the rows of message rates.
    pub fn rate_heading() -> String {
        format!("\n# Message Rate Profile\n{}", Self::windows())
    }

    /// One row: a value for each window.
    pub fn row(bytes: usize, values: &[f64]) -> String {
        let mut line = format!("{bytes:<7}");
        for value in values {
            write!(line, "  {value:>10.2}").expect("a String takes all");
        }
        line + "\n"
    }

    fn windows() -> String {
        let mut line = String::from("#      ");
        for window in Options::WINDOWS {
            write!(line, "  {window:>10}").expect("a String takes all");
        }
        line + "\n"
    }
}

fn column(line: &mut String, text: &str) {
    write!(line, "{text:>18}").expect("a String takes all");
}

fn number(line: &mut String, value: f64) {
    write!(line, "{value:>18.2}").expect("a String takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Row {
        Row {
            bytes: 8,
            value: 0.704,
            rate: 1.0e6,
            sorted: vec![0.5, 0.7, 0.9],
            valid: true,
            extremes: None,
        }
    }

    #[test]
    fn latency_looks_like_osu() {
        let options = Options::new(Program::Latency);
        let table = Table::new(Program::Latency, &options);
        assert_eq!(table.preamble(1), "\n# OSU MPI Latency Test v7.4\n");
        assert_eq!(
            table.heading("MPI_CHAR"),
            "# Datatype: MPI_CHAR.\n# Size       Avg Latency(us)\n"
        );
        assert_eq!(table.row(&example()), "8                       0.70\n");
    }

    #[test]
    fn columns_follow_the_options() {
        let mut options = Options::new(Program::MessageRate);
        options.validation = Some(5);
        options.full = true;
        options.percentiles = vec![50];
        let table = Table::new(Program::MessageRate, &options);
        assert_eq!(
            table.heading("MPI_INT"),
            "# Datatype: MPI_INT.\n# Size                  MB/s        Messages/s      Min \
             BW(MB/s)      \
             Max BW(MB/s)  Iterations        Validation P50 Tail BW(MB/s)\n"
        );
        assert_eq!(
            table.row(&Row {
                valid: false,
                ..example()
            }),
            "8                       0.70        1000000.00              0.50              \
             0.90           3              \
             Fail              0.50\n"
        );
    }

    #[test]
    fn collectives_look_like_osu() {
        let mut options = Options::new(Program::Allreduce);
        options.full = true;
        let table = Table::new(Program::Allreduce, &options);
        assert_eq!(
            table.heading("MPI_CHAR"),
            "# Datatype: MPI_CHAR.\n# Size       Avg Latency(us)   Min Latency(us)   Max \
             Latency(us)  Iterations\n"
        );
        let row = Row {
            extremes: Some(Extremes {
                least: 0.6,
                most: 0.8,
                iterations: 1000,
            }),
            ..example()
        };
        assert_eq!(
            table.row(&row),
            "8                       0.70              0.60              0.80        1000\n"
        );
        let barrier = Table::new(Program::Barrier, &options);
        assert_eq!(
            barrier.heading(""),
            "# Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations\n"
        );
        assert_eq!(
            barrier.row(&row),
            "             0.70              0.60              0.80        1000\n"
        );
    }

    #[test]
    fn varied_windows() {
        let mut options = Options::new(Program::MessageRate);
        options.vary_window = true;
        let preamble = Table::new(Program::MessageRate, &options).preamble(2);
        assert!(preamble.ends_with(
            "# [ pairs: 2 ] [ window size: varied ]\n\n# Uni-directional Bandwidth (MB/sec)\n"
        ));
        assert!(VariedTable::heading("MPI_CHAR").ends_with(
            "#                 1           \
            2           4           8          16          32          64         128\n"
        ));
        assert_eq!(
            VariedTable::row(1, &[0.371, 12.0]),
            "1              0.37       12.00\n"
        );
    }
}
