//! What `ferrite-info` prints.

use std::process::{Command, Output};

fn info(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrite-info"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FERRITE_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(arguments)
        .envs(variables.iter().copied())
        .output();
    output.expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn json(variables: &[(&str, &str)]) -> serde_json::Value {
    serde_json::from_slice(&info(&["--json"], variables).stdout).expect("JSON")
}

/// The value and the origin of a setting.
fn setting(facts: &serde_json::Value, name: &str) -> (String, String) {
    let settings = facts["settings"].as_array().expect("a list");
    let found = settings.iter().find(|setting| setting["name"] == name);
    let field = |field| {
        found.expect("registered")[field]
            .as_str()
            .expect("text")
            .to_owned()
    };
    (field("value"), field("origin"))
}

#[test]
fn text_names_version_build_transports_and_settings() {
    let output = info(&[], &[("FERRITE_EAGER_LIMIT", "8192")]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    for part in [
        concat!("Ferrite MPI ", env!("CARGO_PKG_VERSION"), ", MPI 5.0"),
        "compiler rustc ",
        "target   ",
        "shm      available",
        "memory file (memfd_create)       yes",
        "self     available",
        "FERRITE_CMA ",
        "FERRITE_CHANNEL",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    let line = text
        .lines()
        .find(|line| line.contains("FERRITE_EAGER_LIMIT"));
    let words: Vec<&str> = line.expect("told").split_whitespace().collect();
    assert_eq!(words, ["FERRITE_EAGER_LIMIT", "8k", "environment"]);
}

#[test]
fn json_tells_the_same() {
    let facts = json(&[("FERRITE_TRANSPORT", "self"), ("FERRITE_SPIN", "3")]);
    let expected = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(
        setting(&facts, "FERRITE_TRANSPORT"),
        expected("self", "environment")
    );
    assert_eq!(
        setting(&facts, "FERRITE_SPIN"),
        expected("3us", "environment")
    );
    assert_eq!(setting(&facts, "FERRITE_CMA"), expected("auto", "default"));
    let allowed = |name: &str| {
        let transports = facts["transports"].as_array().expect("a list");
        let found = transports
            .iter()
            .find(|transport| transport["name"] == name);
        found.expect("built")["allowed"].as_bool()
    };
    assert_eq!((allowed("self"), allowed("shm")), (Some(true), Some(false)));
    assert_eq!(facts["error"], serde_json::Value::Null);
}

#[test]
fn a_bad_value_is_named_and_the_defaults_are_told() {
    let output = info(&[], &[("FERRITE_CMA", "perhaps")]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(
        error.contains("FERRITE_CMA=perhaps") && error.contains("auto or never"),
        "{error}"
    );
    assert!(stdout(&output).contains("These are the defaults"));
}

#[test]
fn an_unknown_setting_is_a_warning() {
    let output = info(&[], &[("FERRITE_SPINN", "1")]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("did you mean FERRITE_SPIN?"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn help_and_version() {
    assert!(stdout(&info(&["--help"], &[])).contains("--json"));
    let version = stdout(&info(&["--version"], &[]));
    assert_eq!(
        version.trim(),
        concat!("ferrite-info ", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(info(&["--nonsense"], &[]).status.code(), Some(2));
}
