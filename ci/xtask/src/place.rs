//! Putting files into a prefix that may be in use.
//!
//! A file is written beside its place and renamed over it: a running program keeps the file it has
//! open, a starting one finds the old file or the new one, never half of one. A file that would not
//! change is left alone.

use crate::Result;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Counts what was placed.
#[derive(Debug, Default)]
pub(crate) struct Placer {
    /// Files and links seen.
    pub(crate) files: usize,
    /// Those that were new or different.
    pub(crate) changed: usize,
}

impl Placer {
    /// Copies a file with its permissions.
    pub(crate) fn copy(&mut self, from: &Path, to: &Path) -> Result<()> {
        let content = fs::read(from).map_err(|error| failed("read", from, &error))?;
        let permissions = fs::metadata(from)
            .map_err(|error| failed("read", from, &error))?
            .permissions();
        self.put(&content, to, Some(permissions))
    }

    /// Writes a text.
    pub(crate) fn write(&mut self, text: &str, to: &Path) -> Result<()> {
        self.put(text.as_bytes(), to, None)
    }

    /// Makes a symbolic link to a file, by its path from the link's folder.
    pub(crate) fn link(&mut self, name: &str, to: &Path) -> Result<()> {
        self.files += 1;
        if fs::read_link(to).is_ok_and(|target| target == Path::new(name)) {
            return Ok(());
        }
        self.changed += 1;
        let beside = beside(to)?;
        symbolic_link(name, &beside).map_err(|error| failed("link", &beside, &error))?;
        fs::rename(&beside, to).map_err(|error| failed("rename to", to, &error))
    }

    fn put(
        &mut self,
        content: &[u8],
        to: &Path,
        permissions: Option<fs::Permissions>,
    ) -> Result<()> {
        self.files += 1;
        let is_file = fs::symlink_metadata(to).is_ok_and(|place| place.is_file());
        if is_file && fs::read(to).is_ok_and(|present| present == content) {
            return Ok(());
        }
        self.changed += 1;
        let beside = beside(to)?;
        fs::write(&beside, content).map_err(|error| failed("write", &beside, &error))?;
        if let Some(permissions) = permissions {
            fs::set_permissions(&beside, permissions)
                .map_err(|error| failed("write", &beside, &error))?;
        }
        fs::rename(&beside, to).map_err(|error| failed("rename to", to, &error))
    }
}

/// The name under which a file is prepared; its folder is made, and what an earlier attempt left is
/// removed.
fn beside(to: &Path) -> Result<PathBuf> {
    let folder = to
        .parent()
        .ok_or_else(|| format!("{} has no folder", to.display()))?;
    fs::create_dir_all(folder).map_err(|error| failed("make", folder, &error))?;
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &beside, &error)),
        _ => Ok(beside),
    }
}

#[cfg(unix)]
fn symbolic_link(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symbolic_link(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_is_left_alone_and_a_changed_one_is_a_new_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("a/b");
        let mut placer = Placer::default();
        placer.write("one", &place).expect("written");
        placer.write("one", &place).expect("left alone");
        assert_eq!((placer.files, placer.changed), (2, 1));

        let open = fs::File::open(&place).expect("open");
        placer.write("three", &place).expect("replaced");
        assert_eq!(
            std::io::read_to_string(open).expect("readable"),
            "one",
            "an open file keeps its content"
        );
        assert_eq!(fs::read_to_string(&place).expect("readable"), "three");
        assert_eq!(
            fs::read_dir(place.parent().expect("a/"))
                .expect("listed")
                .count(),
            1,
            "nothing is left beside"
        );
    }

    #[test]
    fn a_link_replaces_a_file_and_a_file_replaces_a_link() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        let mut placer = Placer::default();
        placer.write("content", &real).expect("written");
        placer.write("was a file", &link).expect("written");
        placer.link("real", &link).expect("linked");
        assert_eq!(fs::read_to_string(&link).expect("readable"), "content");
        placer.write("content", &link).expect("replaced");
        assert!(fs::symlink_metadata(&link).expect("present").is_file());
    }
}
