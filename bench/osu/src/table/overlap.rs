//! The tables of nonblocking collective operations.

use super::{column, number, percentile_heading, percentiles};
use crate::options::{Options, Program};

/// The table of one element type: heading and rows.
pub struct OverlapTable<'a> {
    program: Program,
    options: &'a Options,
}

/// The results of one message size: means over iterations and processes, in microseconds.
#[derive(Debug, Default)]
pub struct Overlap {
    /// Message size in bytes.
    pub bytes: usize,
    /// From the start of the operation to the end of the wait for it, with the computation in
    /// between.
    pub overall: f64,
    /// The computation, with the calls of `MPI_Test` in it.
    pub compute: f64,
    /// The call that starts the operation.
    pub start: f64,
    /// The calls of `MPI_Test`.
    pub test: f64,
    /// The wait.
    pub wait: f64,
    /// The operation alone: mean, fastest and slowest process.
    pub alone: [f64; 3],
    /// The iterations in ascending order; empty if none were kept.
    pub sorted: Vec<f64>,
    /// Whether the data were right; printed when they were checked.
    pub valid: bool,
}

impl Overlap {
    /// How much of the operation was hidden behind the computation, in percent.
    fn percent(&self) -> f64 {
        let exposed = self.overall - (self.compute - self.test);
        (100.0 - exposed / self.alone[0] * 100.0).max(0.0)
    }
}

impl<'a> OverlapTable<'a> {
    /// The table of `program` under `options`.
    pub fn new(program: Program, options: &'a Options) -> Self {
        Self { program, options }
    }

    /// What stands above all tables.
    pub fn preamble(&self) -> String {
        let title = self.program.title();
        format!("\n{title}\n# Overall = Coll. Init + Compute + MPI_Test + MPI_Wait\n\n")
    }

    /// The lines above the rows, for elements that the library calls `datatype`.
    pub fn heading(&self, datatype: &str) -> String {
        let mut line = format!("# Datatype: {datatype}.\n{:<10}", "# Size");
        let names: &[&str] = match self.options.full {
            false => &["Overall(us)", "Compute(us)", "Pure Comm.(us)"],
            true => &[
                "Overall(us)",
                "Compute(us)",
                "Coll. Init(us)",
                "MPI_Test(us)",
                "MPI_Wait(us)",
                "Pure Comm.(us)",
                "Min Comm.(us)",
                "Max Comm.(us)",
            ],
        };
        names.iter().for_each(|name| column(&mut line, name));
        column(&mut line, "Overlap(%)");
        if self.options.validation.is_some() {
            column(&mut line, "Validation");
        }
        percentile_heading(&mut line, self.options, "Lat(us)");
        line + "\n"
    }

    /// One row.
    pub fn row(&self, row: &Overlap) -> String {
        let mut line = format!("{:<10}", row.bytes);
        number(&mut line, row.overall);
        number(&mut line, row.compute - row.test);
        if self.options.full {
            number(&mut line, row.start);
            number(&mut line, row.test);
            number(&mut line, row.wait);
            row.alone.iter().for_each(|time| number(&mut line, *time));
        } else {
            number(&mut line, row.alone[0]);
        }
        number(&mut line, row.percent());
        if self.options.validation.is_some() {
            column(&mut line, if row.valid { "Pass" } else { "Fail" });
        }
        percentiles(&mut line, self.options, &row.sorted);
        line + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_like_osu() {
        let mut options = Options::new(Program::Iallreduce);
        let row = Overlap {
            bytes: 4,
            overall: 18.0,
            compute: 9.0,
            test: 1.0,
            alone: [20.0, 19.0, 21.0],
            valid: true,
            ..Overlap::default()
        };
        let table = OverlapTable::new(Program::Iallreduce, &options);
        assert_eq!(
            table.preamble(),
            "\n# OSU MPI Non-blocking Allreduce Latency Test v7.4\n# Overall = Coll. Init + \
             Compute + MPI_Test + MPI_Wait\n\n"
        );
        assert_eq!(
            table.heading("MPI_CHAR"),
            "# Datatype: MPI_CHAR.\n# Size           Overall(us)       Compute(us)    Pure \
             Comm.(us)        Overlap(%)\n"
        );
        assert_eq!(
            table.row(&row),
            "4                      18.00              8.00             20.00             50.00\n"
        );
        options.full = true;
        options.validation = Some(1);
        let table = OverlapTable::new(Program::Iallreduce, &options);
        assert!(table.heading("MPI_CHAR").ends_with(
            "Overall(us)       Compute(us)    Coll. Init(us)      MPI_Test(us)      \
             MPI_Wait(us)    Pure Comm.(us)     \
             Min Comm.(us)     Max Comm.(us)        Overlap(%)        Validation\n"
        ));
        assert!(table.row(&row).ends_with(
            "20.00             19.00             21.00             50.00              Pass\n"
        ));
    }
}
