//! Programs that would be unsound, or make no sense, do not compile: one in each file of `unsound`,
//! with what the compiler says beside it. Sentences change from one compiler to the next, so that
//! only one is asked; the documentation has examples that fail with any.
//!
//! `TRYBUILD=overwrite cargo test -p mpi_core --test unsound` writes down what a new compiler says;
//! then [`COMPILER`] is it.

use std::io::Write;
use std::process::Command;

/// The compiler whose sentences are written down.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn unsound_programs_do_not_compile() {
    if !ferrite_fabric_testing::depth::only_full() {
        return;
    }
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    if !version.starts_with(COMPILER) {
        let required = std::env::var_os("FERRITE_TEST_REQUIRE").is_some_and(|what| what == "all");
        assert!(
            !required,
            "the sentences are those of {COMPILER}, this is {version}"
        );
        // Straight to the stream: the test framework would swallow what eprintln! writes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: needs {COMPILER}, this is {version}"
        );
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/unsound/*.rs");
}
