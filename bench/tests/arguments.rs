//! What `cargo bench` makes of its arguments.

#![forbid(unsafe_code)]

#[path = "../benches/node/arguments.rs"]
mod arguments;

use arguments::{Arguments, HELP, Plan, parse};

fn read(line: &str) -> Result<Arguments, String> {
    parse(line.split_whitespace().map(str::to_owned))
}

fn plan(trials: usize, prefix: Option<&str>) -> Result<Arguments, String> {
    Ok(Arguments::Run(Plan {
        trials,
        prefix: prefix.map(Into::into),
    }))
}

#[test]
fn cargo_adds_its_own_word() {
    assert_eq!(read("--bench"), plan(3, None));
    assert_eq!(
        read("--trials 5 --prefix /opt/ferrite --bench"),
        plan(5, Some("/opt/ferrite"))
    );
    assert_eq!(read("--quick --bench"), plan(1, None));
    assert_eq!(read("node --bench"), plan(3, None));
}

#[test]
fn runs_that_mean_something_else_measure_nothing() {
    assert_eq!(read(""), Ok(Arguments::Nothing), "cargo test --benches");
    assert_eq!(
        read("collectives --bench"),
        Ok(Arguments::Nothing),
        "a filter for another bench"
    );
}

#[test]
fn help_and_errors() {
    assert_eq!(read("--help --bench"), Ok(Arguments::Help));
    assert!(HELP.contains("--trials N"));
    for line in [
        "--nonsense --bench",
        "--trials 0 --bench",
        "--trials",
        "--prefix",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}
