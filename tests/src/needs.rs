//! What a test needs from the machine and what the environment asks of the tests.
//!
//! | variable | meaning |
//! |---|---|
//! | `FERRITE_PEERS=DIR` | a folder with other MPI libraries, each in a Python environment of its own, as `bench/compare/compare.py --cache` makes them |
//! | `FERRITE_TEST_REQUIRE=all` | a test that would be skipped fails |
//! | `FERRITE_TEST_DEPTH=full` | all sizes, seeds and programs; by default `quick`: every subject within minutes |
//! | `FERRITE_TEST_PREFIX=DIR` | the prefix to test, instead of one built from this tree |
//! | `FERRITE_TEST_SECONDS=N` | how long each stress test runs, by default 3 in a quick run, 60 in a full one |
//! | `FERRITE_TEST_SEED=N` | the seed of the random tests, otherwise a new one |

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether the machine has what a test needs: `root`, `namespaces` (that root may make) or a
/// program. Says so when it has not.
///
/// # Panics
/// When it has not and `FERRITE_TEST_REQUIRE=all`.
pub fn needs(what: &str) -> bool {
    let present = match what {
        "root" => rustix::process::geteuid().is_root(),
        "namespaces" => namespaces(),
        program => in_path(program),
    };
    if !present {
        skip(what);
    }
    present
}

/// Another vendor's `mpiexec`, of the peer of this name (`mpich`, `impi`). Says so when it is not
/// there.
///
/// # Panics
/// When it is not and `FERRITE_TEST_REQUIRE=all`.
pub fn peer(name: &str) -> Option<PathBuf> {
    let peers = std::env::var_os("FERRITE_PEERS").map(PathBuf::from);
    let found = peers.map(|peers| peers.join(name).join("bin/mpiexec.hydra"));
    let found = found.filter(|mpiexec| mpiexec.is_file());
    if found.is_none() {
        skip(&format!("PyPI's {name} (FERRITE_PEERS)"));
    }
    found
}

fn skip(what: &str) {
    assert!(
        !required(),
        "this machine has no {what}, and FERRITE_TEST_REQUIRE=all"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Straight to the stream: the test framework would swallow what println! writes.
    let _ = writeln!(std::io::stderr(), "skipped: needs {what} ({test})");
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // What an administrator runs is not in everybody's PATH.
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .any(|folder| folder.join(program).is_file())
}

/// A container's root may be forbidden to make them.
fn namespaces() -> bool {
    Command::new("unshare")
        .args(["--net", "--uts", "--ipc", "--mount", "--pid", "--fork"])
        .args(["mount", "-t", "tmpfs", "none", "/dev/shm"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn required() -> bool {
    std::env::var("FERRITE_TEST_REQUIRE").is_ok_and(|value| value == "all")
}

/// How long a stress test runs.
pub fn seconds() -> u64 {
    number("FERRITE_TEST_SECONDS").unwrap_or(ferrite_fabric_testing::depth::pick(3, 60))
}

/// The seed of a random test. The test prints it, and `FERRITE_TEST_SEED` brings it back.
pub fn seed() -> u64 {
    number("FERRITE_TEST_SEED").unwrap_or_else(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("the clock is past 1970");
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    })
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value} is not a number")),
    )
}
