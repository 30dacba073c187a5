//! The installation that a wrapper stands in.

use std::path::PathBuf;

/// The folder that holds `bin`, `include` and `lib`.
#[derive(Debug)]
pub struct Prefix(pub PathBuf);

impl Prefix {
    /// The prefix of the running program, symbolic links resolved.
    ///
    /// # Errors
    /// A sentence when the program does not stand in a prefix.
    pub(crate) fn of_this_program() -> Result<Prefix, String> {
        let program = std::env::current_exe()
            .and_then(|path| path.canonicalize())
            .map_err(|error| format!("cannot find the file of this program: {error}"))?;
        let prefix = program
            .parent()
            .and_then(|bin| bin.parent())
            .map(PathBuf::from)
            .unwrap_or_default();
        let header = prefix.join("include").join("mpi.h");
        if header.is_file() {
            Ok(Prefix(prefix))
        } else {
            Err(format!(
                "{} does not exist: {} does not stand in the `bin` of a Ferrite prefix; run `cargo \
                 xtask install --prefix DIR` and \
                 use DIR/bin",
                header.display(),
                program.display()
            ))
        }
    }
}
