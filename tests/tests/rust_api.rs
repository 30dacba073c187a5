//! Programs of the safe Rust API: the examples under launchers, and a crate outside this workspace
//! with that one dependency.

use ferrite_tests::{Job, Outcome, only_full, peer, pick, prefix};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use xtask::{target_directory, workspace_root};

const EXAMPLES: [&str; 5] = ["ring", "heat", "monte_carlo_pi", "sort", "pipeline"];

fn cargo(arguments: &[&str], folder: &Path) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(folder);
    // These tests are a job's ranks nowhere, and the packages of this one are not those of the
    // crate outside.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("FERRITE_") {
            command.env_remove(&*name);
        }
    }
    command.output().expect("cargo can be started")
}

fn succeeds(arguments: &[&str], folder: &Path) {
    let output = cargo(arguments, folder);
    assert!(
        output.status.success(),
        "cargo {arguments:?}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program of the debug build.
fn built(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let root = workspace_root();
        succeeds(&["build", "-p", "mpi_core", "--examples"], &root);
        succeeds(&["build", "-p", "ferrite-launch", "--bins"], &root);
        target_directory()
            .expect("cargo knows its target folder")
            .join("debug")
    });
    folder.join(name)
}

fn example(name: &str) -> Job {
    Job::new(built("examples").join(name)).launcher(built("mpiexec"))
}

fn passed(outcome: &Outcome) {
    assert!(outcome.stdout.ends_with("passed\n"), "{outcome}");
}

#[test]
fn examples_give_the_serial_answer() {
    for name in EXAMPLES {
        passed(&Job::alone(built("examples").join(name)).succeeds());
        for ranks in [1, 2, 3, 5] {
            passed(&example(name).ranks(ranks).succeeds());
        }
        let tcp = example(name).ranks(3).env("FERRITE_TRANSPORT", "tcp");
        passed(&tcp.succeeds());
    }
}

/// The engine of a Rust program and that of a C library that something loads into it are two: the
/// second says so, and names both.
#[test]
fn a_program_that_loads_the_c_library() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = prefix().path().join("lib/libmpi_abi.so.1");
    let (source, loader) = (folder.path().join("a.c"), folder.path().join("a.so"));
    let text = format!(
        "#include <dlfcn.h>\n__attribute__((constructor)) static void load(void) {{\n\
         void *library = dlopen(\"{}\", RTLD_NOW);\n((int (*)(int *, char \
         ***))dlsym(library, \"MPI_Init\"))(0, 0); }}\n",
        library.display()
    );
    std::fs::write(&source, text).expect("written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&loader);
    let status = compiler.arg(&source).arg("-ldl").status();
    assert!(status.expect("a C compiler").success());
    let loader = loader.display().to_string();
    let program = built("examples").join("ring");
    for job in [
        Job::alone(&program).env("LD_PRELOAD", &loader),
        example("ring").launcher_args(["-n", "2", "-env", "LD_PRELOAD", &loader]),
    ] {
        let outcome = job.run();
        assert!(!outcome.status.success(), "{outcome}");
        let library = library.display().to_string();
        let names = [library.as_str(), "ring", "second engine"];
        let told = |line: &str| names.iter().all(|name| line.contains(name));
        assert!(outcome.stderr.lines().any(told), "{outcome}");
    }
}

#[test]
fn examples_run_under_other_launchers() {
    for launcher in ["mpich", "impi"].into_iter().filter_map(peer) {
        let root = launcher.parent().and_then(Path::parent);
        let root = root.expect("bin stands in a folder").to_string_lossy();
        for name in EXAMPLES {
            let job = Job::new(built("examples").join(name)).launcher(&launcher);
            passed(&job.ranks(4).env("I_MPI_ROOT", &root).succeeds());
        }
    }
}

const MANIFEST: &str = r#"
[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
mpi_core = { path = "PATH" }
"#;

const MAIN: &str = include_str!("../rust/main.rs");
const DISAGREE: &str = include_str!("../rust/disagree.rs");
const WAITING: &str = include_str!("../rust/waiting.rs");

/// A crate outside the workspace, and where cargo puts what it builds of it.
fn outside() -> &'static (PathBuf, PathBuf) {
    static OUTSIDE: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    OUTSIDE.get_or_init(|| {
        let root = workspace_root();
        let folder = target_directory().expect("cargo knows its target folder");
        let folder = folder.join("ferrite-tests").join("outside");
        std::fs::create_dir_all(folder.join("src")).expect("the target folder can be written");
        let api = root.join("mpi-core").join("api");
        let manifest = MANIFEST.replace("PATH", &api.to_string_lossy());
        std::fs::write(folder.join("Cargo.toml"), manifest).expect("written");
        let files = [("main", MAIN), ("disagree", DISAGREE), ("waiting", WAITING)];
        for (name, text) in files {
            let file = folder.join("src").join(name).with_extension("rs");
            std::fs::write(file, text).expect("written");
        }
        // The versions that this workspace is tested with, so that nothing need be fetched.
        std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
        let target = folder.join("target");
        succeeds(&build(&target, &["build"]), &folder);
        (folder, target)
    })
}

fn build<'a>(target: &'a Path, words: &[&'a str]) -> Vec<&'a str> {
    let target = target.to_str().expect("a path is text");
    [words, &["--offline", "--target-dir", target]].concat()
}

fn program() -> PathBuf {
    outside().1.join("debug").join("outside")
}

#[test]
fn a_crate_outside_the_workspace() {
    if !only_full() {
        return;
    }
    passed(&Job::alone(program()).succeeds());
    passed(
        &Job::new(program())
            .launcher(built("mpiexec"))
            .ranks(3)
            .succeeds(),
    );
    passed(&Job::alone(program()).args(["funneled"]).succeeds());
    passed(&Job::alone(program()).args(["finalized"]).succeeds());
}

/// A rank that panics does not leave the others waiting.
#[test]
fn a_panic_ends_the_job() {
    if !only_full() {
        return;
    }
    let job = Job::new(program()).launcher(built("mpiexec"));
    let outcome = job.ranks(3).args(["panic"]).run();
    assert!(!outcome.status.success(), "{outcome}");
    assert!(outcome.stderr.contains("on purpose"), "{outcome}");
    assert!(outcome.stderr.contains("this rank panicked"), "{outcome}");
}

#[test]
fn finalising_within_a_scope_is_told() {
    if !only_full() {
        return;
    }
    let outcome = Job::alone(program()).args(["within-scope"]).run();
    assert!(!outcome.status.success(), "{outcome}");
    assert!(outcome.stderr.contains("end the scope first"), "{outcome}");
}

/// What a rank has lent to a collective that the others never start cannot be freed, and need not
/// be waited for.
#[test]
fn a_panic_in_a_scope_ends_the_job() {
    if !only_full() {
        return;
    }
    for transport in ["", "tcp"] {
        let job = Job::new(program()).launcher(built("mpiexec"));
        let job = job.ranks(3).args(["panic-in-scope"]);
        let outcome = job.env("FERRITE_TRANSPORT", transport).run();
        assert!(!outcome.status.success(), "{outcome}");
        for expected in ["a scope ends by a panic", "the panic: on purpose", "rank 1"] {
            assert!(outcome.stderr.contains(expected), "{outcome}");
        }
    }
}

/// Threads that wait when MPI is finalised.
#[test]
fn threads_do_not_wait_in_vain() {
    if !only_full() {
        return;
    }
    for transport in ["", "tcp"] {
        let job = Job::new(program()).launcher(built("mpiexec"));
        let job = job.ranks(2).args(["threads-wait"]);
        let outcome = job.env("FERRITE_TRANSPORT", transport).succeeds();
        passed(&outcome);
    }
    passed(&Job::alone(program()).args(["threads-wait"]).succeeds());
}

/// Messages that nobody receives, and nobody waits for.
#[test]
fn finalisation_tells_what_was_never_received() {
    if !only_full() {
        return;
    }
    for transport in ["", "tcp"] {
        let job = Job::new(program()).launcher(built("mpiexec"));
        let job = job.ranks(2).args(["never-received"]);
        let outcome = job.env("FERRITE_TRANSPORT", transport).succeeds();
        passed(&outcome);
    }
    let outcome = Job::alone(program()).args(["never-received"]).succeeds();
    passed(&outcome);
    // While it waits for others, and when they have come.
    let job = Job::new(program()).launcher(built("mpiexec"));
    let outcome = job.ranks(2).args(["late"]).succeeds();
    passed(&outcome);
    for expected in [
        "for the other ranks to finalise",
        "at finalisation",
        "1048576 bytes to rank 1",
    ] {
        assert!(outcome.stderr.contains(expected), "{outcome}");
    }
}

/// Seeds of jobs that once did not end.
const ONCE_WRONG: [u64; 2] = [573_393, 961_803];

/// Members of a job whose collective calls disagree, drawn from a seed. Each job ends, well or with
/// a sentence.
#[test]
fn jobs_whose_members_disagree_end() {
    let first = ferrite_tests::seed() % 1_000_000;
    let jobs = pick(4, 160);
    println!("FERRITE_TEST_SEED={first}: {jobs} jobs");
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let mut seeds = ONCE_WRONG.into_iter().chain(first..first + jobs);
            let Some(seed) = seeds.nth(number) else {
                return;
            };
            let job = Job::new(program()).launcher(built("mpiexec"));
            let job = job.ranks(2 + (seed % 4) as u32);
            let job = job.args(["disagree", &seed.to_string()]);
            let job = job
                .env("FERRITE_STALL", "1s")
                .timeout(Duration::from_secs(45));
            // One that hangs panics with where it stood.
            let why = match catch_unwind(|| job.run()) {
                Ok(outcome) if outcome.status.success() => continue,
                Ok(outcome) if outcome.stderr.contains("MPI_ERR") => continue,
                Ok(outcome) => outcome.to_string(),
                Err(_) => String::from("hangs"),
            };
            wrong.lock().expect("no panic").insert(seed, why);
        }
    };
    std::thread::scope(|threads| {
        // Most of them wait most of the time.
        for _ in 0..4 {
            threads.spawn(work);
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} of {jobs} jobs: {wrong:#?}");
}

/// The test executable of the crate outside.
fn tests() -> PathBuf {
    let (folder, target) = outside();
    let output = cargo(
        &build(target, &["test", "--no-run", "--message-format=json"]),
        folder,
    );
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_test = message["profile"]["test"] == true && message["target"]["name"] == "outside";
        is_test.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    executable.unwrap_or_else(|| panic!("{messages}{}", String::from_utf8_lossy(&output.stderr)))
}

/// However a test ends, its ranks do too.
#[test]
fn ranks_do_not_outlive_their_test() {
    if !only_full() {
        return;
    }
    let begun = tempfile::tempdir().expect("a folder");
    let job = Job::alone(tests())
        .args(["--ignored", "--exact", "tests::both_hang"])
        .env("BEGUN", &begun.path().to_string_lossy());
    let running = job.start();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !["0", "1"]
        .iter()
        .all(|rank| begun.path().join(rank).exists())
    {
        assert!(Instant::now() < deadline, "the ranks do not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::KILL);
    let outcome = running.within(Duration::from_secs(20)).finish();
    assert!(!outcome.status.success(), "{outcome}");
}

/// What the test attribute says of tests that pass, fail, and hang.
#[test]
fn tests_on_several_ranks() {
    if !only_full() {
        return;
    }
    let (folder, target) = outside();
    succeeds(&build(target, &["test", "--quiet"]), folder);
    let run = |name: &str| {
        let mut words = build(target, &["test"]);
        words.extend(["--", "--ignored", "--exact", name]);
        let output = cargo(&words, folder);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success(), "{text}");
        text
    };
    let text = run("tests::one_fails");
    for expected in [
        "rank 1 failed first",
        "rank 1 is wrong",
        "--- rank 0",
        "rank 2 says this",
    ] {
        assert!(text.contains(expected), "'{expected}' is not in\n{text}");
    }
    let text = run("tests::one_returns_an_error");
    assert!(text.contains("MPI_ERR_RANK"), "{text}");
    let text = run("tests::one_hangs");
    assert!(
        text.contains("not all ranks have ended within 1s"),
        "{text}"
    );
}
