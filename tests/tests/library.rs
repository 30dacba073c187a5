//! The library as a file: its name, its symbols, tools in front of it, loading it at run time.

use ferrite_tests::{Job, cc, needs, prefix, sources};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn library() -> PathBuf {
    prefix().path().join("lib/libmpi_abi.so.1")
}

fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(library())
        .output()
        .expect("the program is there");
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The functions named `MPI_` that the header declares, and those that it defines itself.
fn functions() -> (BTreeSet<String>, BTreeSet<String>) {
    let header = std::fs::read_to_string(prefix().path().join("include/mpi.h")).expect("a header");
    let named = |line: &str| {
        let name = line
            .split_once('(')?
            .0
            .split_whitespace()
            .last()?
            .trim_start_matches('*');
        name.starts_with("MPI_").then(|| name.to_owned())
    };
    let declared = header
        .lines()
        .filter(|line| line.ends_with(';') && !line.starts_with("typedef"));
    let defined = header
        .lines()
        .filter(|line| line.starts_with("MPI_ABI_INLINE"));
    (
        declared.filter_map(named).collect(),
        defined.filter_map(named).collect(),
    )
}

#[test]
fn the_name_that_programs_ask_for() {
    if !needs("readelf") {
        return;
    }
    let dynamic = printed("readelf", &["--dynamic", "--wide"]);
    assert!(dynamic.contains("soname: [libmpi_abi.so.1]"), "{dynamic}");
    assert!(
        !dynamic.contains("SYMBOLIC"),
        "tools must be able to take functions over: {dynamic}"
    );
    for needed in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let system = [
            "libc.so",
            "libm.so",
            "libgcc_s.so",
            "ld-linux",
            "libpthread.so",
            "libdl.so",
        ];
        assert!(
            system.iter().any(|name| needed.contains(name)),
            "needs more than the system: {needed}"
        );
    }
}

/// Every function of the header is there under both names, and nothing else is visible.
#[test]
fn symbols() {
    if !needs("nm") {
        return;
    }
    let table = printed("nm", &["--dynamic", "--defined-only", "--format=posix"]);
    let exported: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let (declared, defined) = functions();
    assert!(
        declared.len() + defined.len() >= 664,
        "the header has {} and {}",
        declared.len(),
        defined.len()
    );
    for name in declared {
        assert!(exported.contains(name.as_str()), "{name} is not exported");
        assert!(
            exported.contains(format!("P{name}").as_str()),
            "P{name} is not exported"
        );
    }
    let others: Vec<&&str> = exported
        .iter()
        .filter(|name| !name.starts_with("MPI_") && !name.starts_with("PMPI_"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

/// A call of the program passes through a tool that was loaded before, and no call of the library's
/// own does.
#[test]
fn a_tool_in_front_of_it() {
    for abi in ["-abi=standard", "-abi=mpich"] {
        let build = |name: &str, arguments: &[&str]| {
            cc(
                &sources().join(format!("{name}.c")),
                &[&[abi, "-O1"], arguments].concat(),
            )
        };
        let tool = build("profile", &["-shared", "-fPIC"]);
        let outcome = Job::new(build("profiled", &[]))
            .ranks(2)
            .launcher_args(["-env", "LD_PRELOAD", &tool.to_string_lossy()])
            .succeeds();
        for rank in 0..2 {
            let line = format!("tool: rank {rank} sent 3");
            assert!(
                outcome.stdout.lines().any(|printed| printed == line),
                "{line}: {outcome}"
            );
        }
    }
}

/// A program as a foreign one would be built: with the header, without the library.
fn loader(name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let output = Command::new("cc")
        .arg(sources().join(format!("{name}.c")))
        .arg(format!("-I{}", prefix().path().join("include").display()))
        .arg("-o")
        .arg(&program)
        .arg("-ldl")
        .output()
        .expect("a C compiler");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}

#[test]
fn loaded_at_run_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = loader("loaded", folder.path());
    let outcome = Job::new(&program).ranks(2).args([library()]).succeeds();
    assert_eq!(outcome.stdout, "2 ranks\n", "{outcome}");
}

/// A process that loads two of our libraries, each for itself, has one engine: the second
/// initialisation fails, and names both. Loaded twice, a library is one.
#[test]
fn a_second_engine_in_one_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = loader("two_engines", folder.path());
    let mpich = prefix().path().join("lib/libmpi.so.12");
    let copy = folder.path().join("libmpi_abi.so.1");
    std::fs::copy(library(), &copy).expect("copied");
    for call in ["MPI_Init", "MPI_Session_init"] {
        for (first, second) in [
            (library(), mpich.clone()),
            (mpich.clone(), library()),
            (library(), copy.clone()),
        ] {
            for job in [Job::alone(&program), Job::new(&program).ranks(2)] {
                let arguments = [Path::new(call), &first, &second];
                let outcome = job.args(arguments).run();
                assert!(!outcome.status.success(), "{outcome}");
                let names = [&first, &second].map(|file| file.display().to_string());
                let told = |line: &str| {
                    line.contains("second engine") && names.iter().all(|name| line.contains(name))
                };
                assert!(outcome.stderr.lines().any(told), "{outcome}");
                assert!(outcome.stdout.contains("first: 0"), "{outcome}");
                assert!(!outcome.stdout.contains("second: 0"), "{outcome}");
            }
        }
    }
    let arguments = [Path::new("MPI_Initialized"), &library(), &library()];
    Job::alone(&program).args(arguments).succeeds();
}
