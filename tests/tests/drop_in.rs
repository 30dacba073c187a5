//! Programs of MPICH's binary interface on `libmpi.so.12`: ours, ours as MPICH's own compiler
//! wrapper builds them, and Intel's benchmarks as they come from PyPI.

use ferrite_gen::table::{Group, Table};
use ferrite_tests::{Job, c, cc, needs, passes, peer, prefix, sources};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Self-checking programs. All but `mpich_names` say nothing about a binary interface.
const PROGRAMS: [&str; 30] = [
    "attributes",
    "boards",
    "buffers",
    "collectives",
    "collectives_forms",
    "communicators",
    "datatypes_objects",
    "errors",
    "grequests",
    "groups",
    "hello",
    "info",
    "intercomms",
    "mpich_names",
    "partitioned",
    "pt2pt_cancel",
    "pt2pt_completion",
    "pt2pt_exchange",
    "pt2pt_modes",
    "pt2pt_null",
    "pt2pt_order",
    "pt2pt_persistent",
    "pt2pt_probe",
    "pt2pt_truncate",
    "pt2pt_types",
    "resources",
    "sessions",
    "threads",
    "tools",
    "topologies",
];

/// A program of `tests/c` for MPICH's interface, by our wrapper.
fn ours(name: &str) -> PathBuf {
    let source = sources().join(format!("{name}.c"));
    cc(
        &source,
        &["-abi=mpich", "-O1", "-g", "-Wall", "-Wextra", "-Werror"],
    )
}

/// A job on two ranks; `tools` wants to hear what it runs over.
fn job(name: &str, program: PathBuf, transport: &str) -> Job {
    let arguments: &[&str] = if name == "tools" { &[transport] } else { &[] };
    let job = Job::new(program).ranks(2).args(arguments);
    job.env("FERRITE_TRANSPORT", transport)
}

#[test]
fn programs_of_our_wrapper() {
    for name in PROGRAMS {
        for transport in ["shm", "tcp"] {
            passes(job(name, ours(name), transport));
        }
    }
}

/// The folder of another MPI from PyPI.
fn peer_folder(name: &str) -> Option<PathBuf> {
    let bin = peer(name)?;
    Some(bin.parent()?.parent()?.to_owned())
}

/// A program, built once a run of the tests by MPICH's own wrapper with MPICH's own header.
fn theirs(mpich: &Path, folder: &Path, name: &str) -> PathBuf {
    let program = folder.join(name);
    let status = Command::new(mpich.join("bin/mpicc"))
        .args(["-O1", "-w", "-o"])
        .arg(&program)
        .arg(sources().join(format!("{name}.c")))
        .arg("-lpthread")
        .status()
        .expect("MPICH's mpicc runs");
    assert!(status.success(), "{name}");
    program
}

#[test]
fn programs_of_mpichs_wrapper() {
    let Some(mpich) = peer_folder("mpich") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = prefix().path().join("lib").display().to_string();
    for name in PROGRAMS {
        let program = theirs(&mpich, folder.path(), name);
        passes(job(name, program, "shm").env("LD_LIBRARY_PATH", &library));
    }
}

/// Every constant of our header has the value that it has in MPICH's.
#[test]
fn constants_are_mpichs() {
    let Some(mpich) = peer_folder("mpich") else {
        return;
    };
    let table =
        Table::read(&ferrite_gen::repository().join(ferrite_gen::TABLE)).expect("the table");
    let mut text = String::from("#include <stddef.h>\n#include <mpi.h>\n");
    let is_number =
        |value: &str| value != "-" && !value.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut count = 0;
    for constants in &table.constants {
        for constant in constants
            .members
            .iter()
            .filter(|constant| is_number(&constant.mpich))
        {
            let value = match &constants.group {
                // Pointers and casts are no constant expressions for the preprocessor, but for the
                // compiler.
                Group::Handle(_) | Group::Cast(_) => format!("(long long)MPI_{}", constant.name),
                _ => format!("MPI_{}", constant.name),
            };
            let wanted = match constants.group {
                Group::Handle(_) => format!("(long long)(int){}", constant.mpich),
                _ => constant.mpich.clone(),
            };
            text += &format!(
                "int check_{}[{value} == {wanted} ? 1 : -1];\n",
                constant.name
            );
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("constants.c");
    std::fs::write(&source, text).expect("the folder can be written");
    for (wrapper, abi) in [
        (mpich.join("bin/mpicc"), None),
        (prefix().program("mpicc"), Some("-abi=mpich")),
    ] {
        let mut command = Command::new(&wrapper);
        let output = command
            .args(abi)
            .args(["-w", "-fsyntax-only"])
            .arg(&source)
            .output();
        let output = output.expect("the wrapper runs");
        assert!(
            output.status.success(),
            "{}: {}",
            wrapper.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Ranks of one job may have different binary interfaces.
#[test]
fn both_interfaces_in_one_job() {
    for name in ["hello", "pt2pt_exchange", "collectives"] {
        let more = ["-n", "2", ":", "-n", "2"].map(String::from);
        let [count, two, colon, n, too] = more;
        let first = c(name).display().to_string();
        let launcher = [count, two, first, colon, n, too];
        passes(Job::new(ours(name)).launcher_args(launcher));
    }
}

/// Where programs of a peer find our library first, and then what else they need.
fn library_path(peer: &Path) -> String {
    let ours = prefix().path().join("lib");
    format!("{}:{}", ours.display(), peer.join("lib").display())
}

/// Intel's programs, with few repetitions.
const BENCHMARKS: [(&str, &[&str]); 4] = [
    (
        "IMB-MPI1",
        &["-iter", "10", "-time", "0.2", "-msglog", "0:14"],
    ),
    (
        "IMB-P2P",
        &["-iter", "10", "-time", "0.2", "-msglog", "0:14"],
    ),
    (
        "IMB-NBC",
        &["-iter", "10", "-time", "0.2", "-msglog", "0:12"],
    ),
    (
        "IMB-MT",
        &["-thread_level", "multiple", "-repeat", "10", "-warmup", "1"],
    ),
];

/// Runs one of them to its end.
fn benchmark(impi: &Path, (name, arguments): (&str, &[&str]), how: impl FnOnce(Job) -> Job) {
    let job = Job::new(impi.join("bin").join(name)).args(arguments);
    let job = job
        .env("LD_LIBRARY_PATH", &library_path(impi))
        .env("OMP_NUM_THREADS", "2");
    let outcome = how(job).timeout(Duration::from_secs(300)).succeeds();
    let last = "# All processes entering MPI_Finalize";
    assert!(
        name == "IMB-MT" || outcome.stdout.contains(last),
        "{outcome}"
    );
}

#[test]
fn intels_benchmarks() {
    let Some(impi) = peer_folder("impi") else {
        return;
    };
    for which in BENCHMARKS {
        for ranks in [2, 4] {
            for transport in ["shm", "tcp"] {
                benchmark(&impi, which, |job| {
                    job.ranks(ranks).env("FERRITE_TRANSPORT", transport)
                });
            }
        }
    }
}

/// Intel's and MPICH's launchers start them on our library.
#[test]
fn intels_benchmarks_under_other_launchers() {
    let Some(impi) = peer_folder("impi") else {
        return;
    };
    for name in ["mpich", "impi"] {
        let Some(folder) = peer_folder(name) else {
            return;
        };
        for which in BENCHMARKS {
            benchmark(&impi, which, |job| {
                job.launcher(folder.join("bin/mpiexec.hydra"))
                    .ranks(2)
                    .env("I_MPI_ROOT", &folder.display().to_string())
            });
        }
    }
}

/// The names that a library exports.
fn exported(library: &Path) -> BTreeSet<String> {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(library)
        .output()
        .expect("nm runs");
    assert!(output.status.success(), "{}", library.display());
    let text = String::from_utf8(output.stdout).expect("plain text");
    let names = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// What MPICH's library exports, ours does, but for what is listed with a reason; and the list has
/// nothing that is not so.
#[test]
fn names_are_mpichs() {
    let Some(mpich) = peer_folder("mpich") else {
        return;
    };
    if !needs("nm") {
        return;
    }
    let ours = exported(&prefix().path().join("lib/libmpi.so.12"));
    let theirs = exported(&mpich.join("lib/libmpi.so.12"));
    let list = ferrite_gen::repository().join("ffi/mpich/not-exported.txt");
    let list = std::fs::read_to_string(list).expect("the list");
    let list = list.lines().filter(|line| !line.starts_with('#'));
    let mut beginnings: Vec<(&str, usize)> = list
        .map(|line| (line.split_once(": ").expect("a reason").0, 0))
        .collect();
    let mut missing = Vec::new();
    for name in theirs.difference(&ours) {
        match beginnings
            .iter_mut()
            .find(|(begins, _)| name.starts_with(begins))
        {
            Some((_, count)) => *count += 1,
            None => missing.push(name),
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    beginnings.retain(|(_, count)| *count == 0);
    assert!(
        beginnings.is_empty(),
        "nothing begins so any more: {beginnings:?}"
    );
}
