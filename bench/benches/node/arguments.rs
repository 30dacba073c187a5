//! Arguments after `cargo bench --`.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Latency, message rate and bandwidth in shared memory and over TCP (loopback), beside what the
machine itself can do.

Usage: cargo bench [-- OPTIONS]

Options:
  --trials N     fresh jobs for each figure, of which the median is shown (default 3)
  --quick        one trial
  --prefix DIR   measure an installed prefix instead of building one under target/
  --help         print this help
";

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Arguments {
    Help,
    /// This run is not meant for us: `cargo test --benches`, or a filter that names another bench.
    Nothing,
    Run(Plan),
}

/// How to measure.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) trials: usize,
    pub(crate) prefix: Option<PathBuf>,
}

/// Reads the arguments. Cargo adds `--bench` to ours; a word without dashes is a filter of benches'
/// names.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut words = words;
    let mut plan = Plan {
        trials: 3,
        prefix: None,
    };
    let (mut by_cargo_bench, mut matching) = (false, true);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--bench" => by_cargo_bench = true,
            "--help" | "-h" => return Ok(Arguments::Help),
            "--quick" => plan.trials = 1,
            "--trials" => {
                let value = words.next().and_then(|value| value.parse().ok());
                plan.trials = value
                    .filter(|&trials| trials > 0)
                    .ok_or("--trials: a number of at least 1 must follow")?;
            }
            "--prefix" => {
                let folder = words.next().ok_or("--prefix: a folder must follow")?;
                plan.prefix = Some(folder.into());
            }
            option if option.starts_with('-') => {
                return Err(format!(
                    "{option}: no such option (try cargo bench -- --help)"
                ));
            }
            filter => matching &= "node".contains(filter),
        }
    }
    Ok(if by_cargo_bench && matching {
        Arguments::Run(plan)
    } else {
        Arguments::Nothing
    })
}
