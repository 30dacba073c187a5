//! The programs that `bench/compare/compare.py` builds with each library's `mpicc`, on ours.

use ferrite_tests::{Job, Outcome, cc};
use std::path::{Path, PathBuf};

/// Each in a file of its own; their data go from one rank to another.
const TRANSFERS: [&str; 5] = ["latency", "bw", "bibw", "multi_lat", "mbw_mr"];
/// Of the program `collective`, those with data.
const OPERATIONS: [&str; 13] = [
    "bcast",
    "reduce",
    "allreduce",
    "reduce_scatter",
    "reduce_scatter_block",
    "gather",
    "gatherv",
    "scatter",
    "scatterv",
    "allgather",
    "allgatherv",
    "alltoall",
    "alltoallv",
];

fn program(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/compare/c");
    cc(
        &folder.join(format!("{name}.c")),
        &["-O2", "-Wall", "-Wextra", "-Werror"],
    )
}

/// A job over shared memory or over TCP.
fn job(name: &str, ranks: u32, transport: &str, line: &str) -> Job {
    Job::new(program(name))
        .ranks(ranks)
        .env("FERRITE_TRANSPORT", transport)
        .args(line.split_whitespace())
}

/// The sizes of the rows, all of which say that the contents were right.
fn sizes_of(outcome: &Outcome) -> Vec<usize> {
    let rows = outcome
        .stdout
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.last(), Some(&"Pass"), "{outcome}");
        let figures = &words[1..words.len() - 1];
        let all = figures
            .iter()
            .all(|word| word.parse::<f64>().is_ok_and(f64::is_finite));
        assert!(all && (1..=2).contains(&figures.len()), "{outcome}");
        words[0].parse().unwrap_or_else(|_| panic!("{outcome}"))
    })
    .collect()
}

/// Contents on 2 and on 4 ranks, and on 3, of which one has no partner and shares of a vector are
/// not even.
fn validated(transport: &str) {
    // 64 KiB and more go other ways than short messages.
    let mut sizes: Vec<usize> = (0..=18).map(|power| 1 << power).collect();
    for ranks in [2, 3, 4] {
        for operation in OPERATIONS {
            let line = format!("{operation} -m 1:262144 -i 2 -x 1 -c");
            let outcome = job("collective", ranks, transport, &line).succeeds();
            assert_eq!(sizes_of(&outcome), sizes, "{outcome}");
        }
        let barrier = job("collective", ranks, transport, "barrier -i 20 -x 2").succeeds();
        let rows: Vec<&str> = barrier.stdout.lines().skip(3).collect();
        assert!(
            matches!(rows[..], [row] if row.trim().parse::<f64>().is_ok_and(|time| time > 0.0)),
            "{barrier}"
        );
    }
    sizes.insert(0, 0);
    for ranks in [2, 3, 4] {
        for name in TRANSFERS {
            if ranks > 2 && !["multi_lat", "mbw_mr"].contains(&name) {
                continue;
            }
            let window = if name.contains('b') { "-W 9" } else { "" };
            let line = format!("-m 0:262144 -i 2 -x 1 -c {window}");
            let outcome = job(name, ranks, transport, &line).succeeds();
            assert_eq!(sizes_of(&outcome), sizes, "{outcome}");
        }
    }
}

#[test]
fn contents_are_right_in_shared_memory() {
    validated("shm");
}

#[test]
fn contents_are_right_over_tcp() {
    validated("tcp");
}

/// A byte that changes on its way is seen: under the profiling interface, the receive of one
/// message is spoilt.
#[test]
fn wrong_contents_are_seen() {
    let spoiler = cc(
        &ferrite_tests::sources().join("spoiler.c"),
        &["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"],
    );
    let spoilt = |name: &str, line: &str| {
        let outcome = job(name, 2, "shm", line)
            .launcher_args(["-x", &format!("LD_PRELOAD={}", spoiler.display())])
            .run();
        assert_eq!(outcome.status.code(), Some(1), "{outcome}");
        assert!(outcome.stdout.contains("Fail\n"), "{outcome}");
        assert!(
            outcome.stderr.contains("of 64 bytes were wrong"),
            "{outcome}"
        );
    };
    for name in TRANSFERS {
        spoilt(name, "-m 16:128 -i 4 -x 1 -c");
    }
    for operation in OPERATIONS {
        spoilt("collective", &format!("{operation} -m 16:128 -i 4 -x 1 -c"));
    }
}

#[test]
fn tables_have_the_form_that_scripts_read() {
    let rows = |name: &str, line: &str| {
        let outcome = job(name, 2, "shm", line).succeeds();
        assert_eq!(outcome.stderr, "");
        outcome.stdout
    };
    let latency = rows("latency", "-m 8 -i 2 -x 0");
    assert!(
        latency.starts_with("\n# Latency\n# Size       Avg Latency(us)\n1     "),
        "{latency}"
    );
    assert_eq!(latency.lines().count(), 3 + 4, "{latency}");
    let empty = rows("latency", "-m 0 -i 2 -x 0");
    assert_eq!(empty.lines().skip(3).count(), 1, "{empty}");
    let widths: Vec<usize> = latency.lines().skip(3).map(str::len).collect();
    assert_eq!(widths, [28; 4], "{latency}");
    let rate = rows("mbw_mr", "-m 2:2 -i 2 -x 0 -W 3 -c");
    let heading = "# Size                  MB/s        Messages/s        Validation";
    assert!(rate.contains(heading), "{rate}");
    let barrier = rows("collective", "barrier -i 2 -x 0");
    assert!(
        barrier.contains("\n#            Avg Latency(us)\n"),
        "{barrier}"
    );
    for (name, line) in [("bw", "-h"), ("collective", "allreduce -h")] {
        let help = rows(name, line);
        assert!(help.contains("-m MIN:MAX"), "{help}");
        assert_eq!(help.contains("-W N"), name == "bw", "{help}");
    }
}

#[test]
fn wrong_use_is_answered_by_one_sentence() {
    for (name, ranks, line, sentence) in [
        (
            "latency",
            2,
            "-m 8:4",
            "-m 8:4: the smallest message (8) exceeds the largest (4)",
        ),
        ("latency", 2, "-m", "-m: a value must follow (try -h)"),
        (
            "latency",
            2,
            "-m 8k",
            "-m 8k: a whole number from 0 to 1000000000 is expected",
        ),
        ("latency", 2, "-W 8", "-W: there is no such option (try -h)"),
        (
            "latency",
            3,
            "",
            "exactly two ranks are needed, and the job has 3",
        ),
        (
            "bw",
            2,
            "-i 0",
            "-i 0: a whole number from 1 to 1000000000 is expected",
        ),
        (
            "bw",
            2,
            "-x -1",
            "-x -1: a whole number from 0 to 1000000000 is expected",
        ),
        (
            "bw",
            2,
            "-W 99999999999",
            "-W 99999999999: a whole number from 1 to 1000000000 is expected",
        ),
        ("bibw", 2, "8", "8: only options are taken (try -h)"),
        (
            "multi_lat",
            1,
            "",
            "at least two ranks are needed, and the job has 1",
        ),
        (
            "mbw_mr",
            1,
            "",
            "at least two ranks are needed, and the job has 1",
        ),
        (
            "collective",
            2,
            "bcast -m 0:8",
            "-m 0:8: a whole number from 1 to 1000000000 is expected",
        ),
        (
            "collective",
            2,
            "barrier -c",
            "-c: there is no such option (try -h)",
        ),
        (
            "collective",
            1,
            "barrier",
            "at least two ranks are needed, and the job has 1",
        ),
        (
            "collective",
            3,
            "alltoall -m 999999999:999999999",
            "-m: blocks of 999999999 bytes of 3 ranks are more than an int can count",
        ),
    ] {
        let outcome = job(name, ranks, "shm", line).run();
        assert_eq!(outcome.status.code(), Some(1), "{outcome}");
        assert_eq!(outcome.stdout, "", "{outcome}");
        let told = outcome
            .stderr
            .lines()
            .filter(|text| text.ends_with(sentence))
            .count();
        assert_eq!(told, 1, "{outcome}");
    }
    for line in ["", "-c", "brodcast -c"] {
        let outcome = job("collective", 2, "shm", line).run();
        assert_eq!(outcome.status.code(), Some(1), "{outcome}");
        assert!(
            outcome
                .stderr
                .contains(": the first word names an operation, one of: barrier bcast reduce "),
            "{outcome}"
        );
    }
}
