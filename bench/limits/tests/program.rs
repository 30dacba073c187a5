//! `ferrite-limits` as scripts use it.

#![forbid(unsafe_code)]

use std::process::{Command, Output};

fn run(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ferrite-limits"))
        .args(line.split_whitespace())
        .output()
        .expect("the program was built")
}

#[test]
fn every_measurement_prints_a_row_for_each_size() {
    let all = ["latency", "bandwidth", "blocking-latency", "both-ways"];
    for what in &all[..ferrite_fabric_testing::depth::pick(2, 4)] {
        // One message that a call moves, one that takes several; the second size ends no row of
        // calls evenly.
        let output = run(&format!("tcp {what} 8 200001"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {errors}");
        let text = String::from_utf8(output.stdout).expect("digits");
        let rows: Vec<Vec<f64>> = text
            .lines()
            .map(|line| {
                line.split_whitespace()
                    .map(|word| word.parse().expect("a number"))
                    .collect()
            })
            .collect();
        assert_eq!(rows.len(), 2, "{what}: {text}");
        for (row, bytes) in rows.iter().zip([8.0, 200_001.0]) {
            assert!(
                row.len() == 2 && row[0] == bytes && row[1] > 0.0,
                "{what}: {text}"
            );
        }
    }
}

#[test]
fn a_cache_line_takes_some_time_or_there_is_one_core() {
    let output = run("line");
    let text = String::from_utf8_lossy(&output.stdout);
    match output.status.code() {
        Some(0) => assert!(
            text.trim().parse::<f64>().is_ok_and(|time| time > 0.0),
            "{text}"
        ),
        _ => assert_eq!(
            String::from_utf8_lossy(&output.stderr).trim_end(),
            "ferrite-limits: line: this process may use one core only"
        ),
    }
}

#[test]
fn wrong_use_is_told() {
    for (line, message) in [
        ("", "what is to be measured?"),
        ("line 8", "line: no arguments are taken"),
        ("tcp", "what is to be measured?"),
        ("smoke latency 8", "smoke: no such fabric"),
        ("tcp height 8", "height: no such measurement"),
        ("tcp latency", "latency: a number of bytes must follow"),
        ("tcp latency 8 0", "0: not a number of bytes from 1 to 2^30"),
        ("tcp latency 8k", "8k: not a number of bytes from 1 to 2^30"),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            errors.trim_end(),
            format!("ferrite-limits: {message} (try ferrite-limits --help)")
        );
        assert!(output.stdout.is_empty(), "{line}");
    }
    assert!(run("--help").status.success());
}
