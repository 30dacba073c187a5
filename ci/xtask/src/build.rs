//! Running cargo from within, and what it built.
//!
//! A nested cargo inherits the environment, `CARGO_TARGET_DIR` included, so it shares the outer
//! build's target folder. That cannot deadlock: cargo gives up its build lock before it runs a
//! test, a bench or `cargo run`'s program. Never call this from a build script, which runs while
//! the lock is held.

use crate::Result;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For use and for measuring.
    Release,
    /// With debug assertions, among them the order of locks.
    Dev,
}

/// The root of the source tree.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("xtask stands two folders below the root")
        .to_owned()
}

/// Where cargo builds.
///
/// # Errors
/// When cargo cannot be asked.
pub fn target_directory() -> Result<PathBuf> {
    let output = cargo(&["metadata", "--format-version=1", "--no-deps"])
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target_directory".to_owned())
}

/// Where the tests and the benches lay out the prefix that they run.
///
/// # Errors
/// When cargo cannot be asked for its target folder.
pub fn default_prefix() -> Result<PathBuf> {
    Ok(target_directory()?.join("prefix"))
}

/// Files that a build made.
#[derive(Debug, Default)]
pub(crate) struct Artifacts {
    /// Programs, by name.
    pub(crate) programs: Vec<(String, PathBuf)>,
    /// Shared libraries for C, by the name of their target.
    pub(crate) libraries: Vec<(String, PathBuf)>,
}

/// Builds the libraries and programs of packages. Cargo's own messages go to the standard error
/// stream.
///
/// # Errors
/// When the build fails.
pub(crate) fn build(packages: &[&str], profile: Profile) -> Result<Artifacts> {
    let mut command = cargo(&[
        "build",
        "--lib",
        "--bins",
        "--message-format=json-render-diagnostics",
    ]);
    for package in packages {
        command.args(["--package", package]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err("the build failed, see above".to_owned());
    }
    let mut artifacts = Artifacts::default();
    for line in output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let message: serde_json::Value =
            serde_json::from_slice(line).map_err(|error| format!("cargo's messages: {error}"))?;
        if message["reason"] == "compiler-artifact" {
            artifacts.take(&message);
        }
    }
    Ok(artifacts)
}

impl Artifacts {
    fn take(&mut self, message: &serde_json::Value) {
        let target = &message["target"];
        let Some(name) = target["name"].as_str() else {
            return;
        };
        if let Some(program) = message["executable"].as_str() {
            self.programs.push((name.to_owned(), program.into()));
        }
        let is_cdylib = target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"));
        if is_cdylib && let Some(files) = message["filenames"].as_array() {
            self.libraries.extend(
                files
                    .iter()
                    .filter_map(|file| file.as_str())
                    .map(|file| (name.to_owned(), file.into())),
            );
        }
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(arguments)
        .current_dir(workspace_root())
        .stdin(Stdio::null());
    command
}
