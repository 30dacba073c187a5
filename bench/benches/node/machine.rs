//! The machine's name for the report.

use std::fs;

/// Processor, cores and kernel, in one line.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let plural = if cores == 1 { "" } else { "s" };
    format!(
        "{model}, {cores} core{plural}, {} {}",
        std::env::consts::OS,
        kernel.trim()
    )
}
