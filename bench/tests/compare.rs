//! The tests of `compare/compare.py`, which are written in Python.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Write};
use std::process::Command;

#[test]
fn the_comparison_reads_and_judges_right() {
    let run = Command::new("python3")
        .args(["-B", "-m", "unittest", "-q", "test_compare"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/compare"))
        .output();
    match run {
        Ok(run) => assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let required = std::env::var("FERRITE_TEST_REQUIRE").is_ok_and(|value| value == "all");
            assert!(
                !required,
                "this machine has no python3, and FERRITE_TEST_REQUIRE=all"
            );
            // Straight to the stream: the test framework would swallow what println! writes.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: needs python3 (the tests of compare.py)"
            );
        }
        Err(error) => panic!("python3: {error}"),
    }
}
