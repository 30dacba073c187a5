//! What `cargo bench` makes of a prefix: its tables, and what it says where a fabric is missing or
//! fails.
//!
//! The prefix is one of shell scripts, so that nothing is built or measured.

#![forbid(unsafe_code)]

#[path = "../benches/node/fabric.rs"]
mod fabric;
#[path = "../benches/node/job.rs"]
mod job;
#[path = "../benches/node/limits.rs"]
mod limits;
#[path = "../benches/node/report.rs"]
mod report;
#[path = "../benches/node/trial.rs"]
mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fabric::{FABRICS, Fabric};
use ferrite_bench_limits::Cores;
use limits::{Limits, Raw};
use tempfile::TempDir;
use trial::{Figures, Measured, Trouble};

/// An `mpiexec` that prints the tables itself: latency 0.5 in shared memory, 5 over TCP.
const MPIEXEC: &str = r##"
program=${3##*/}
latency=0.50
[ "${FERRITE_TRANSPORT:-}" != tcp ] || latency=5.00
case $program in
    osu_latency) echo "# OSU"; echo "0 $latency"; echo "8 $latency" ;;
    osu_mbw_mr) echo "1 2.00 2000000.00" ;;
    osu_bw) for size in 8192 16384 65536 1048576 4194304; do echo "$size 1000.00"; done ;;
    osu_bibw) echo "1048576 3000.00" ;;
    osu_barrier) echo "  0.40" ;;
    osu_ibcast | osu_iallreduce) echo "65536 20.00 9.00 10.00 40.00" ;;
    *) echo "${5%%:*} 7.00" ;;
esac
"##;

const INFO: &str = r"
echo 'Ferrite MPI 0.1.0, MPI 5.0

Transports
  shm      available
    cross-memory attach              yes
  tcp      available
    interfaces                       yes: lo (127.0.0.1)
  self     available

Settings: environment variable, value, where the value comes from
  tcp      nonsense'
";

fn prefix(mpiexec: &str, info: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("bin")).expect("a folder");
    for (name, text) in [("mpiexec", mpiexec), ("ferrite-info", info)] {
        let program = folder.path().join("bin").join(name);
        fs::write(&program, format!("#!/bin/sh\n{text}")).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    folder
}

fn measured(prefix: &Path, trials: usize) -> [Measured; FABRICS.len()] {
    FABRICS.map(|fabric| {
        let mut measured = Measured::new(fabric, prefix);
        (0..trials).for_each(|_| measured.run(prefix));
        measured
    })
}

fn limits(scale: f64) -> Limits {
    Limits {
        line: Some(0.2 * scale),
        copy: [17_000.0 * scale; 4],
        cross: Ok([10_000.0 * scale; 4]),
        sockets: Ok(Raw {
            latency: 4.5 * scale,
            rate: 0.3 * scale,
            bandwidth: [5400.0 * scale; 4],
            both_ways: 6000.0 * scale,
        }),
    }
}

fn text(fabrics: &[Measured], limits: &[Limits]) -> String {
    report::text("A machine, 2 cores", Cores::find(), fabrics, limits)
}

/// The lines of the table of a fabric.
fn table(report: &str, fabric: Fabric) -> Vec<&str> {
    let heading = format!("Two processes, {}", fabric.name());
    report
        .lines()
        .skip_while(|line| !line.starts_with(&heading))
        .enumerate()
        .take_while(|(number, line)| *number == 0 || !line.starts_with("Two processes"))
        .map(|(_, line)| line)
        .collect()
}

#[test]
fn each_fabric_has_the_same_rows_with_limits_of_its_own() {
    let prefix = prefix(MPIEXEC, INFO);
    let fabrics = measured(prefix.path(), 3);
    let report = text(&fabrics, &[limits(1.0), limits(1.1), limits(1.2)]);
    let (shared, tcp) = (
        table(&report, Fabric::SharedMemory),
        table(&report, Fabric::Tcp),
    );
    for line in [
        "  8 bytes                     0.50 [0.50 .. 0.50]             0.22 [0.20 .. 0.24]",
        "  1 byte                      2.00 [2.00 .. 2.00]",
        "  1 MiB                       3000 [3000 .. 3000]             22000 [20000 .. 24000]",
        "  barrier                     0.40 [0.40 .. 0.40]",
        "  allreduce, 8 bytes          7.00 [7.00 .. 7.00]",
        "  alltoall, 64 KiB            7.00 [7.00 .. 7.00]",
        "  iallreduce, 64 KiB          40 [40 .. 40]",
        "  4 MiB                       1000 [1000 .. 1000]             11000 [10000 .. \
         12000]       | 18700 [17000 .. 20400]",
    ] {
        assert!(shared.contains(&line), "{line}\n{report}");
    }
    for line in [
        "Two processes, TCP (loopback) Ferrite                         limit of the machine",
        "latency, one way, us                                          raw sockets, spinning",
        "  0 bytes                     5.00 [5.00 .. 5.00]",
        "  8 bytes                     5.00 [5.00 .. 5.00]             4.95 [4.50 .. 5.40]",
        "  1 byte                      2.00 [2.00 .. 2.00]             0.33 [0.30 .. 0.36]",
        "  1 MiB                       3000 [3000 .. 3000]             6600 [6000 .. 7200]",
        "  8 KiB                       1000 [1000 .. 1000]             5940 [5400 .. 6480]",
    ] {
        assert!(tcp.contains(&line), "{line}\n{report}");
    }
    let rows = |table: &[&str]| table.iter().filter(|line| line.starts_with("  ")).count();
    assert_eq!((rows(&shared), rows(&tcp)), (21, 21), "{report}");
}

#[test]
fn a_fabric_that_fails_says_why_and_is_not_tried_again() {
    let count = tempfile::NamedTempFile::new().expect("a file");
    let fails = format!(
        "{}{MPIEXEC}",
        r#"
if [ "${FERRITE_TRANSPORT:-}" = tcp ] && [ "${3##*/}" = osu_mbw_mr ]; then
    echo failed >>COUNT
    echo "ferrite: rank 1 did not answer" >&2
    exit 7
fi"#
        .replace("COUNT", &count.path().display().to_string())
    );
    let prefix = prefix(&fails, INFO);
    let fabrics = measured(prefix.path(), 3);
    let report = text(&fabrics, &[limits(1.0), limits(1.0), limits(1.0)]);
    let tcp = table(&report, Fabric::Tcp);
    let failed = tcp.iter().filter(|line| line.contains("failed, see below"));
    assert_eq!(failed.count(), 21, "not all trials have these\n{report}");
    assert!(
        tcp.contains(
            &"  8 bytes                     failed, see below               4.50 [4.50 .. 4.50]"
        ),
        "{report}"
    );
    let reason = "A job failed, TCP (loopback): osu_mbw_mr -m 1:1: exit status: 7\nferrite: rank 1 \
        did not answer\n";
    assert!(report.contains(reason), "{report}");
    assert!(matches!(fabrics[1].trouble, Some(Trouble::Failed(_))));
    let tries = fs::read_to_string(count.path()).expect("the file");
    assert_eq!(tries, "failed\n");
    let shared = table(&report, Fabric::SharedMemory);
    assert!(
        !shared.iter().any(|line| line.contains("failed")),
        "{report}"
    );
}

#[test]
fn the_rows_before_the_failure_are_shown() {
    let fails = format!("[ \"${{3##*/}}\" != osu_bibw ] || exit 1\n{MPIEXEC}");
    let prefix = prefix(&fails, INFO);
    let report = text(&measured(prefix.path(), 1), &[limits(1.0)]);
    for fabric in FABRICS {
        let table = table(&report, fabric);
        let failed = table
            .iter()
            .filter(|line| line.contains("failed, see below"));
        assert_eq!(failed.count(), 14, "{report}");
        assert!(
            table
                .iter()
                .any(|line| line.starts_with("  8 KiB                       1000 ["))
        );
    }
}

#[test]
fn a_table_without_the_row_is_a_failure() {
    let prefix = prefix("echo '0 0.5'", INFO);
    let report = text(&measured(prefix.path(), 1), &[limits(1.0)]);
    assert!(
        report.contains("shared memory: osu_latency printed no row for 8 bytes\n"),
        "{report}"
    );
}

#[test]
fn a_fabric_that_the_build_or_the_machine_lacks_is_not_measured() {
    let lacks = INFO.replace("  tcp      available\n", "");
    let missing = INFO.replace(
        "tcp      available",
        "tcp      not available on this machine",
    );
    for (info, reason) in [
        (
            lacks,
            "No TCP (loopback) here: this build has no tcp (says ",
        ),
        (
            missing,
            "No TCP (loopback) here: not available on this machine.",
        ),
    ] {
        let prefix = prefix(MPIEXEC, &info);
        let fabrics = measured(prefix.path(), 2);
        assert_eq!(fabrics[1].trials, [Figures::default(), Figures::default()]);
        assert!(matches!(fabrics[1].trouble, Some(Trouble::Absent(_))));
        let report = text(&fabrics, &[limits(1.0), limits(1.0)]);
        assert!(report.contains(reason), "{report}");
        let tcp = table(&report, Fabric::Tcp);
        let rows = tcp
            .iter()
            .filter(|line| line.contains("not here, see below"));
        assert_eq!(rows.count(), 21, "{report}");
    }
}

/// This program is a test, which serves no other: what needs a second process cannot be measured.
#[test]
fn limits_that_cannot_be_measured_are_told() {
    let prefix = prefix(MPIEXEC, INFO);
    let report = text(
        &measured(prefix.path(), 1),
        &[limits::measure(Cores::find())],
    );
    let tcp = table(&report, Fabric::Tcp);
    assert!(
        tcp.contains(&"  8 bytes                     5.00 [5.00 .. 5.00]             -"),
        "{report}"
    );
    assert!(
        report.contains("Raw sockets could not be measured: "),
        "{report}"
    );
    assert!(
        report.contains("Cross-memory copies are not possible here: "),
        "{report}"
    );
}
