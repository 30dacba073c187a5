//! Our programs under other vendors' launchers: hydra's and Intel's `mpiexec`, which speak PMI-1.

use ferrite_tests::{Job, c, passes, peer};
use std::ffi::OsStr;
use std::path::Path;

/// The launchers that are here.
fn launchers() -> Vec<std::path::PathBuf> {
    ["mpich", "impi"].into_iter().filter_map(peer).collect()
}

/// A job of one of them.
fn under(launcher: &Path, program: impl Into<std::path::PathBuf>) -> Job {
    let root = launcher.parent().and_then(Path::parent);
    let root = root.expect("bin stands in a folder").to_string_lossy();
    Job::new(program)
        .launcher(launcher)
        .env("I_MPI_ROOT", &root)
}

/// The groups of ranks that share memory, as the library tells them.
fn groups(stderr: &str) -> Vec<&str> {
    let rows = stderr.lines().map(str::trim);
    rows.filter_map(|row| row.strip_prefix("among ")?.strip_suffix("shm"))
        .map(str::trim)
        .collect()
}

#[test]
fn on_one_host_they_share_memory() {
    for launcher in launchers() {
        for ranks in [1, 2, 4, 8] {
            let job = || under(&launcher, c("hello")).ranks(ranks).args(["3000000"]);
            passes(job());
            let told = job().env("FERRITE_SHOW_TRANSPORTS", "1").succeeds();
            match ranks {
                1 => assert_eq!(groups(&told.stderr), Vec::<&str>::new(), "{told}"),
                _ => assert_eq!(groups(&told.stderr), [format!("0-{}", ranks - 1)], "{told}"),
            }
            for rank in 0..ranks {
                let line = format!("hello from {rank} of {ranks}");
                assert_eq!(told.stdout.matches(&line).count(), 1, "{told}");
            }
        }
    }
}

#[test]
fn messages_of_every_protocol() {
    for launcher in launchers() {
        for settings in [&[][..], &[("FERRITE_CMA", "never")]] {
            passes(
                under(&launcher, c("pt2pt_exchange"))
                    .ranks(4)
                    .envs(settings),
            );
        }
    }
}

/// Sessions that come and go: the launcher is told of the end once, when the process exits.
#[test]
fn sessions_come_and_go() {
    for launcher in launchers() {
        for world in [&[][..], &["world"]] {
            passes(under(&launcher, c("sessions")).ranks(3).args(world));
        }
    }
}

/// A launcher that is reached at an address, not through an inherited socket.
#[test]
fn through_a_port() {
    if let Some(launcher) = peer("mpich") {
        let job = under(&launcher, c("hello")).launcher_args(["-pmi-port"]);
        passes(job.ranks(3).args(["3000000"]));
    }
}

#[test]
fn several_programs_are_one_job() {
    for launcher in launchers() {
        let (hello, length) = (c("hello"), OsStr::new("100000"));
        let more = ["-n", "1", "env"].map(OsStr::new);
        let job = under(&launcher, hello.clone())
            .ranks(2)
            .args([length, OsStr::new(":")])
            .args(more)
            .args([hello.as_os_str(), length]);
        let outcome = job.succeeds();
        assert!(outcome.stdout.contains("hello from 2 of 3"), "{outcome}");
    }
}

#[test]
fn an_abort_ends_the_job_with_its_code() {
    for launcher in launchers() {
        let job = under(&launcher, c("ends")).ranks(3).args(["abort", "1"]);
        let outcome = job.run();
        assert_eq!(outcome.status.code(), Some(7), "{outcome}");
        assert!(outcome.stderr.contains("MPI_Abort(7)"), "{outcome}");
    }
}

/// A second program in the place of one that has finalized, and one without the launcher's socket.
#[test]
fn who_cannot_join_says_so_and_is_no_job_of_one() {
    for launcher in launchers() {
        let hello = c("hello");
        let twice = "\"$0\" && exec \"$0\"";
        let job = under(&launcher, "/bin/sh")
            .ranks(2)
            .args(["-c", twice])
            .args([&hello]);
        let outcome = job.run();
        assert!(!outcome.status.success(), "{outcome}");
        assert!(
            outcome.stderr.contains("needs a start of its own"),
            "{outcome}"
        );
        assert!(!outcome.stdout.contains("of 1"), "{outcome}");
        let job = under(&launcher, "/usr/bin/env")
            .ranks(2)
            .args(["-u", "PMI_FD"])
            .args([&hello]);
        let outcome = job.run();
        assert!(!outcome.status.success(), "{outcome}");
        assert!(
            outcome
                .stderr
                .contains("PMI_FD, the socket to it, is missing"),
            "{outcome}"
        );
    }
}
