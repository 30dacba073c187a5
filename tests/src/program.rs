//! C and C++ programs, built with the prefix's wrappers and kept by content.

use crate::prefix::{cache, lock, prefix};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the C programs.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

/// Builds `tests/c/NAME.c` with our `mpicc`.
///
/// # Panics
/// When it does not build.
pub fn c(name: &str) -> PathBuf {
    cc(
        &sources().join(format!("{name}.c")),
        &["-O1", "-g", "-Wall", "-Wextra", "-Werror"],
    )
}

/// Builds a C program with our `mpicc` and these arguments.
///
/// # Panics
/// When it does not build.
pub fn cc(source: &Path, arguments: &[&str]) -> PathBuf {
    built("mpicc", source, arguments)
}

/// Builds a C++ program with our `mpicxx` and these arguments.
///
/// # Panics
/// When it does not build.
pub fn cxx(source: &Path, arguments: &[&str]) -> PathBuf {
    built("mpicxx", source, arguments)
}

/// The program of a source file: an earlier one if the source, the headers it may include, the
/// arguments and the prefix are the same.
fn built(wrapper: &str, source: &Path, arguments: &[&str]) -> PathBuf {
    let wrapper = prefix().program(wrapper);
    let mut key = DefaultHasher::new();
    (&wrapper, source, arguments).hash(&mut key);
    let mut inputs = vec![
        source.to_owned(),
        prefix().path().join("include/mpi.h"),
        prefix().path().join("include/mpich/mpi.h"),
    ];
    inputs.extend(headers_beside(source));
    for input in &inputs {
        std::fs::read(input)
            .unwrap_or_else(|error| panic!("{}: {error}", input.display()))
            .hash(&mut key);
    }
    let name = source
        .file_stem()
        .expect("a source has a name")
        .to_string_lossy()
        .into_owned();
    let program = cache()
        .join("programs")
        .join(format!("{name}-{:016x}", key.finish()));
    let _lock = lock(&format!("program-{name}"));
    if !program.is_file() {
        std::fs::create_dir_all(program.parent().expect("in the cache"))
            .expect("the cache can be written");
        let unfinished = program.with_extension("unfinished");
        let mut command = Command::new(&wrapper);
        command
            .args(arguments)
            .arg(source)
            .arg("-o")
            .arg(&unfinished)
            .arg("-lpthread");
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", wrapper.display()));
        assert!(
            output.status.success(),
            "{command:?}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::rename(&unfinished, &program).expect("the cache can be written");
    }
    program
}

/// The headers in a source's folder, in order.
fn headers_beside(source: &Path) -> Vec<PathBuf> {
    let folder = source.parent().expect("a source stands in a folder");
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut headers: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .collect();
    headers.sort();
    headers
}
