//! Whether a prefix works: a program is built with its `mpicc` and run by its `mpiexec`.

use crate::Result;
use std::path::Path;
use std::process::Command;

/// Two ranks exchange their numbers.
const PROGRAM: &str = r#"
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    int rank, size, other = -1;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Sendrecv(&rank, 1, MPI_INT, (rank + 1) % size, 0, &other, 1, MPI_INT,
                 (rank + size - 1) % size, 0, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    printf("%d of %d heard from %d\n", rank, size, other);
    MPI_Finalize();
    return 0;
}
"#;

/// Builds a program with a prefix's `mpicc` and runs it with its `mpiexec`, without
/// `LD_LIBRARY_PATH`.
///
/// # Errors
/// A sentence that says which step failed, with what that step printed.
pub fn check(prefix: &Path) -> Result<()> {
    let folder = prefix.join(format!(".check.{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let outcome = build_and_run(prefix, &folder);
    std::fs::remove_dir_all(&folder)
        .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
    outcome
}

fn build_and_run(prefix: &Path, folder: &Path) -> Result<()> {
    let (source, program) = (folder.join("check.c"), folder.join("check"));
    std::fs::write(&source, PROGRAM)
        .map_err(|error| format!("cannot write {}: {error}", source.display()))?;
    let bin = prefix.join("bin");
    run(Command::new(bin.join("mpicc"))
        .arg(&source)
        .arg("-o")
        .arg(&program))?;
    let printed = run(Command::new(bin.join("mpiexec"))
        .args(["-n", "2"])
        .arg(&program)
        .env_remove("LD_LIBRARY_PATH"))?;
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    if lines == ["0 of 2 heard from 1", "1 of 2 heard from 0"] {
        Ok(())
    } else {
        Err(format!(
            "two ranks under {} printed:\n{printed}",
            bin.join("mpiexec").display()
        ))
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
