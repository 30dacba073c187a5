//! The prefix that is tested.

use ferrite_fabric_testing::depth::pick;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use xtask::Profile;

/// An installed Ferrite.
#[derive(Clone, Debug)]
pub struct Prefix(PathBuf);

impl Prefix {
    /// A prefix at a place.
    pub fn at(path: impl Into<PathBuf>) -> Prefix {
        Prefix(path.into())
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }
}

/// The prefix of this tree: optimised, as a user installs it, or, in a quick run, of what cargo has
/// built for the tests already. Built once; later callers, in this process or others, find it up to
/// date.
///
/// # Panics
/// When the build fails.
pub fn prefix() -> &'static Prefix {
    static PREFIX: OnceLock<Prefix> = OnceLock::new();
    PREFIX.get_or_init(|| {
        if let Some(path) = std::env::var_os("FERRITE_TEST_PREFIX") {
            return Prefix(path.into());
        }
        let folder = xtask::target_directory().expect("cargo knows its target folder");
        let (name, profile) = pick(("prefix-debug", Profile::Dev), ("prefix", Profile::Release));
        let _lock = lock(name);
        match xtask::install(&folder.join(name), profile) {
            Ok(installed) => Prefix(installed.prefix),
            Err(sentence) => panic!("the prefix under test could not be built: {sentence}"),
        }
    })
}

/// A folder for what the tests build, in cargo's target folder.
pub(crate) fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let folder = xtask::target_directory()
            .expect("cargo knows its target folder")
            .join("ferrite-tests");
        std::fs::create_dir_all(&folder).expect("the target folder can be written");
        folder
    })
}

/// Keeps other processes and threads out until it is dropped.
pub(crate) fn lock(name: &str) -> File {
    let file =
        File::create(cache().join(format!("{name}.lock"))).expect("the cache can be written");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .expect("a file of the cache can be locked");
    file
}
