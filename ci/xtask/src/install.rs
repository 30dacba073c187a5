//! The layout of a prefix.

use crate::build::{Artifacts, build, workspace_root};
use crate::place::Placer;
use crate::{Profile, Result, pkgconfig};
use std::path::{Path, PathBuf};

/// Packages whose programs and libraries stand in a prefix.
const PACKAGES: [&str; 6] = [
    "ferrite-abi",
    "ferrite-mpich",
    "ferrite-wrappers",
    "ferrite-info",
    "ferrite-launch",
    "ferrite-bench",
];

/// Programs that a prefix cannot do without; those of the benchmark suite (`osu_*`) join them.
const PROGRAMS: [&str; 5] = ["mpiexec", "mpirun", "mpicc", "mpicxx", "ferrite-info"];

/// Documents, from the root of the source tree to `share/doc/ferrite`.
const DOCUMENTS: [&str; 10] = [
    "README.md",
    "CHANGELOG.md",
    "STATUS.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "ffi/COVERAGE.md",
    "docs/guides/first-cluster.md",
    "docs/guides/settings-and-tuning.md",
    "docs/guides/containers.md",
    "docs/guides/troubleshooting.md",
];

/// A prefix that was laid out.
#[derive(Debug)]
pub struct Installed {
    /// Where it stands, as an absolute path.
    pub prefix: PathBuf,
    /// How many files it has.
    pub files: usize,
    /// How many of them were new or different.
    pub changed: usize,
}

/// Builds everything and lays it out: `bin`, `include`, `lib` and `share`. Nothing in it names the
/// place, so it may be moved.
///
/// # Errors
/// A sentence when the build fails or a file cannot be placed.
pub fn install(prefix: &Path, profile: Profile) -> Result<Installed> {
    let artifacts = build(&PACKAGES, profile)?;
    std::fs::create_dir_all(prefix)
        .map_err(|error| format!("cannot make {}: {error}", prefix.display()))?;
    let prefix = prefix
        .canonicalize()
        .map_err(|error| format!("cannot find {}: {error}", prefix.display()))?;
    let mut placer = Placer::default();
    libraries(&artifacts, &prefix.join("lib"), &mut placer)?;
    for (from, to) in [
        ("ffi/abi/include/mpi.h", "include/mpi.h"),
        ("ffi/mpich/include/mpi.h", "include/mpich/mpi.h"),
    ] {
        placer.copy(&workspace_root().join(from), &prefix.join(to))?;
    }
    for (name, content) in pkgconfig::files() {
        placer.write(&content, &prefix.join("lib/pkgconfig").join(name))?;
    }
    for document in DOCUMENTS {
        let from = workspace_root().join(document);
        let name = from.file_name().expect("a document has a name");
        placer.copy(&from, &prefix.join("share/doc/ferrite").join(name))?;
    }
    placer.copy(
        &workspace_root().join("ffi/valgrind.supp"),
        &prefix.join("share/ferrite/valgrind.supp"),
    )?;
    // Programs last: whoever finds them finds the rest.
    programs(&artifacts, &prefix.join("bin"), &mut placer)?;
    Ok(Installed {
        prefix,
        files: placer.files,
        changed: placer.changed,
    })
}

/// What the linker looks for, beside the library's own name, where `include/mpi.h` was compiled:
/// the names by which people and their makefiles ask for any MPI, for MPICH, and for C++. Without
/// them `-lmpi` would find another MPI's library, if there is one.
const LINKER_NAMES: [&str; 4] = ["libmpi.so", "libmpich.so", "libmpicxx.so", "libmpi_cxx.so"];

/// They are no libraries that could be loaded: mpi4py's wheel tries `libmpi.so` before
/// `libmpi.so.12`, and has no module for the standard ABI.
const LINKER_SCRIPT: &str = "/* GNU ld script: programs that are linked by this name ask for \
    libmpi_abi.so.1. */\nINPUT(libmpi_abi.so)\n";

/// Other names of the C++ wrapper: MPICH and Open MPI have them.
const CXX_NAMES: [&str; 2] = ["mpic++", "mpiCC"];

/// `libmpi_abi.so.1` is what programs ask for at run time. Those of MPICH and Intel MPI ask for
/// `libmpi.so.12`, older and C++ ones for other names. What the linker looks for to get that
/// library stands apart, as its header does.
fn libraries(artifacts: &Artifacts, lib: &Path, placer: &mut Placer) -> Result<()> {
    placer.copy(library(artifacts, "mpi_abi")?, &lib.join("libmpi_abi.so.1"))?;
    placer.link("libmpi_abi.so.1", &lib.join("libmpi_abi.so"))?;
    for name in LINKER_NAMES {
        placer.write(LINKER_SCRIPT, &lib.join(name))?;
    }
    placer.copy(library(artifacts, "mpi")?, &lib.join("libmpi.so.12"))?;
    for name in ["libmpich.so.12", "libmpicxx.so.12", "libmpichcxx.so.12"] {
        placer.link("libmpi.so.12", &lib.join(name))?;
    }
    placer.link("../libmpi.so.12", &lib.join("mpich/libmpi.so"))
}

/// The shared library of a target.
fn library<'a>(artifacts: &'a Artifacts, name: &str) -> Result<&'a Path> {
    let is_shared = |file: &Path| file.extension().is_some_and(|extension| extension == "so");
    let mut all = artifacts.libraries.iter();
    let found = all.find(|(target, file)| target == name && is_shared(file));
    found
        .map(|(_, file)| file.as_path())
        .ok_or_else(|| format!("the build made no lib{name}.so"))
}

fn programs(artifacts: &Artifacts, bin: &Path, placer: &mut Placer) -> Result<()> {
    for wanted in PROGRAMS {
        if !artifacts.programs.iter().any(|(name, _)| name == wanted) {
            return Err(format!("the build made no {wanted}"));
        }
    }
    for (name, program) in &artifacts.programs {
        if PROGRAMS.contains(&name.as_str()) || name.starts_with("osu_") {
            placer.copy(program, &bin.join(name))?;
        }
    }
    for name in CXX_NAMES {
        placer.link("mpicxx", &bin.join(name))?;
    }
    Ok(())
}
