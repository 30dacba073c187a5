//! The files that are generated from the table of the MPI interface and checked in.

use crate::{Result, workspace_root};

/// Writes the generated files, or only compares them.
///
/// # Errors
/// When the table has a mistake, a file cannot be written or, with `check`, a file is not what
/// would be written.
pub fn generate(check: bool) -> Result<()> {
    let changed = ferrite_gen::generate(&workspace_root(), check)?;
    let paths: Vec<String> = changed
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if check && !paths.is_empty() {
        return Err(format!(
            "not up to date, run `cargo xtask generate`: {}",
            paths.join(", ")
        ));
    }
    for path in paths {
        println!("wrote {path}");
    }
    Ok(())
}
