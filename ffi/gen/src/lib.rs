//! Generates the C ABIs from the table of the MPI interface: entry points, `mpi.h`, and the
//! coverage page.
//!
//! The table is data (`ffi/table`, described in its README); the generated files are checked in,
//! and a test compares.

mod coverage;
mod entry;
mod header;
pub mod kind;
mod numbers;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};

use header::Interface;
use table::Table;

/// Where the table stands under the repository's root.
pub const TABLE: &str = "ffi/table";
/// Where the header is written.
pub const HEADER: &str = "ffi/abi/include/mpi.h";
/// Where the header for MPICH's binary interface is written.
pub const MPICH_HEADER: &str = "ffi/mpich/include/mpi.h";
/// Where the entry points are written.
pub const ENTRY_POINTS: &str = "ffi/abi/src/generated";
/// Where the coverage page is written.
pub const COVERAGE: &str = "ffi/COVERAGE.md";

/// Writes the generated files under the repository at `root`, and returns the paths of those that
/// were not up to date. With `check`, writes nothing.
pub fn generate(root: &Path, check: bool) -> Result<Vec<PathBuf>, String> {
    let table = Table::read(&root.join(TABLE))?;
    let mut changed = Vec::new();
    for (path, text) in files(&table)? {
        let path = root.join(path);
        if fs::read_to_string(&path).is_ok_and(|now| now == text) {
            continue;
        }
        if !check {
            let folder = path.parent().unwrap_or(root);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(&path, text))
                .map_err(|e| format!("{}: {e}", path.display()))?;
        }
        changed.push(path);
    }
    Ok(changed)
}

/// The generated files: path under the root, and text.
fn files(table: &Table) -> Result<Vec<(PathBuf, String)>, String> {
    let entry_points = Path::new(ENTRY_POINTS);
    let mut files = vec![
        (
            PathBuf::from(HEADER),
            header::header(table, Interface::Standard),
        ),
        (
            PathBuf::from(MPICH_HEADER),
            header::header(table, Interface::Mpich),
        ),
        (PathBuf::from(COVERAGE), coverage::page(table)),
        (entry_points.join("mod.rs"), entry::module(table)),
        (entry_points.join("names.rs"), entry::names(table)),
        (entry_points.join("numbers.rs"), numbers::mpich(table)?),
    ];
    for chapter in table.chapters.iter().chain(&table.mpich) {
        let path = entry_points.join(format!("{}.rs", chapter.module));
        files.push((path, entry::chapter(chapter)?));
    }
    Ok(files)
}

/// The root of the repository that this crate was built in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
