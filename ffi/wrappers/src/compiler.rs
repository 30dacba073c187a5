//! Which compiler runs, and running it.

use crate::Language;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler and its own leading arguments: from the command line, the environment, or `PATH`,
/// in this order.
///
/// # Errors
/// A sentence when nothing names a compiler and none is found.
pub(crate) fn choose(language: &Language, named: Option<&str>) -> Result<Vec<OsString>, String> {
    if let Some(named) = named {
        return Ok(words(named));
    }
    for variable in language.variables {
        match std::env::var(variable) {
            Ok(value) if !value.trim().is_empty() => return Ok(words(&value)),
            _ => {}
        }
    }
    language
        .compilers
        .iter()
        .find(|name| in_path(name).is_some())
        .map(|name| vec![name.into()])
        .ok_or_else(|| {
            format!(
                "no compiler: none of {} is in PATH; install one or name one with {}COMPILER or {}",
                language.compilers.join(", "),
                language.option,
                language.variables[0]
            )
        })
}

/// Becomes the compiler, or runs it and ends with its exit status where a process cannot become
/// another. Returns only when it cannot be started: a sentence that says why.
pub(crate) fn run(line: &[OsString]) -> String {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    let error = become_program(&mut command);
    let compiler = line[0].to_string_lossy();
    if error.kind() == std::io::ErrorKind::NotFound {
        format!("the compiler `{compiler}` does not exist; -show prints the line that was tried")
    } else {
        format!("cannot start the compiler `{compiler}`: {error}")
    }
}

/// Returns only when the program could not be started.
#[cfg(unix)]
fn become_program(command: &mut Command) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    command.exec()
}

/// Returns only when the program could not be started.
#[cfg(not(unix))]
fn become_program(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

/// The words of a compiler setting such as `ccache gcc -m64`. A setting that names an existing file
/// is one word: its path may hold spaces.
fn words(setting: &str) -> Vec<OsString> {
    let setting = setting.trim();
    if Path::new(setting).is_file() {
        return vec![setting.into()];
    }
    setting.split_whitespace().map(OsString::from).collect()
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
