//! Ranks in the surroundings that containers and their engines make: little shared memory or none,
//! no right to look at other processes, namespaces that the ranks of a job do not share.

use crate::{over_tcp, soak};
use ferrite_tests::{Job, c, needs, passes, prefix};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// A job in mounts of its own, after these commands.
fn after(commands: &str, program: PathBuf, settings: &[(&str, &str)]) -> Job {
    let inside = format!("{commands} && exec \"$0\" \"$@\"");
    Job::new(program)
        .through(["unshare", "--mount", "sh", "-c", &inside])
        .envs(settings)
}

fn root_and(program: &str) -> bool {
    needs("root") && needs("namespaces") && needs(program)
}

/// Shared memory and TCP.
const BOTH: [&[(&str, &str)]; 2] = [&[], &[("FERRITE_TRANSPORT", "tcp")]];

#[test]
fn a_small_dev_shm() {
    if !root_and("unshare") {
        return;
    }
    for settings in BOTH {
        let small = "mount -t tmpfs -o size=64m none /dev/shm";
        let job = after(small, c("net_soak"), settings).ranks(8);
        passes(job.args(["1", "1"]));
    }
}

#[test]
fn no_dev_shm() {
    if !root_and("unshare") {
        return;
    }
    let without = "new=$(mktemp -d) && mount -t tmpfs none $new && \
                   for name in null zero full random urandom tty; do : >$new/$name; mount --bind \
                   /dev/$name $new/$name; done && \
                   mount --move $new /dev && rmdir $new && test ! -e /dev/shm";
    for settings in BOTH {
        let job = after(without, c("net_soak"), settings).ranks(4);
        passes(job.args(["1", "1"]));
    }
}

/// As root of a container has it: no right to attach to other processes, nor most other rights.
#[test]
fn without_the_right_to_attach() {
    if !root_and("setpriv") {
        return;
    }
    for capabilities in ["-sys_ptrace", "-all"] {
        for settings in BOTH {
            let without = [
                "setpriv",
                "--bounding-set",
                capabilities,
                "--inh-caps",
                capabilities,
            ];
            let job = Job::new(c("net_soak")).through(without).envs(settings);
            passes(job.ranks(4).args(["1", "1"]));
        }
    }
}

/// Not root at all, in a folder that belongs to root.
#[test]
fn as_nobody() {
    if !root_and("setpriv") {
        return;
    }
    let nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let program = c("net_soak");
    // The build folder may be closed to others.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("it is ours");
    let copied = std::process::Command::new("cp")
        .arg("-rL")
        .args([prefix().path().join("bin"), prefix().path().join("lib")])
        .arg(&program)
        .arg(folder.path())
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
    let program = folder.path().join(program.file_name().expect("a name"));
    for settings in BOTH {
        let job = Job::alone(folder.path().join("bin/mpiexec"))
            .through(nobody)
            .env(
                "LD_LIBRARY_PATH",
                &folder.path().join("lib").display().to_string(),
            )
            .args(["-n", "4"])
            .args([&program])
            .args(["1", "1"])
            .envs(settings);
        passes(job.folder("/"));
    }
}

/// Every second rank in namespaces of its own.
#[test]
fn ranks_that_share_no_namespace() {
    if !root_and("unshare") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (number, kinds) in [
        "--mount --ipc --uts",
        "--net",
        "--user --map-root-user",
        "--pid --fork --kill-child --mount-proc",
        "--mount --ipc --uts --net --user --map-root-user --pid --fork --kill-child",
    ]
    .into_iter()
    .enumerate()
    {
        let wrapper = folder.path().join(number.to_string());
        let script = format!(
            "#!/bin/sh\ncase $MPI_LOCALRANKID in 1 | 3) exec unshare {kinds} \"$@\" ;; *) \
             exec \"$@\" ;; esac\n"
        );
        std::fs::write(&wrapper, script).expect("written");
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("ours");
        eprintln!("{kinds}");
        passes(
            Job::new(&wrapper)
                .ranks(4)
                .args([c("net_soak")])
                .args(["1", "1"]),
        );
    }
}

/// Where neither memory nor a network is shared, the end says so.
#[test]
fn ranks_that_share_nothing() {
    if !root_and("unshare") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wrapper = folder.path().join("apart");
    let script = "#!/bin/sh\ncase $MPI_LOCALRANKID in 1) exec unshare --net \"$@\" ;; *) \
        exec \"$@\" ;; esac\n";
    std::fs::write(&wrapper, script).expect("written");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let job = over_tcp(wrapper).ranks(2).args([c("hello")]).args(["1000"]);
    let outcome = job.timeout(Duration::from_secs(90)).run();
    assert!(!outcome.status.success(), "{outcome}");
    assert!(
        outcome.stderr.contains("rank 0") || outcome.stderr.contains("rank 1"),
        "{outcome}"
    );
}

/// A network without any interface that is up, the loopback one included.
#[test]
fn no_interface_at_all() {
    if !root_and("unshare") {
        return;
    }
    let apart = ["unshare", "--net"];
    passes(soak(Job::new, 1).through(apart).ranks(4));
    let outcome = soak(over_tcp, 1).through(apart).ranks(4).run();
    assert!(!outcome.status.success(), "{outcome}");
    assert!(outcome.stderr.contains("interface"), "{outcome}");
}
