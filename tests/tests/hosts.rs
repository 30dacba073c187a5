//! What machines are like: no DNS, root, containers that forbid things, another launcher's
//! variables.

use ferrite_tests::{Job, c, needs, passes};

fn exchange() -> Job {
    // Long enough for every protocol.
    Job::new(c("hello")).ranks(4).args(["3000000"])
}

/// Nothing is resolved: neither the own host name, which does not exist, nor anything else.
#[test]
fn no_dns() {
    if !needs("root") || !needs("unshare") {
        return;
    }
    // A network without interfaces, a host name that nobody knows, and no file that could tell.
    let inside = "hostname nowhere.invalid; mount --bind /dev/null /etc/hosts; \
                  mount --bind /dev/null /etc/resolv.conf; exec \"$0\" \"$@\"";
    let mpiexec = ferrite_tests::prefix().program("mpiexec");
    let job = Job::alone("unshare")
        .args(["--net", "--uts", "--mount", "sh", "-c", inside])
        .args([mpiexec.as_os_str()])
        .args(["-n", "4"])
        .args([c("hello").as_os_str()])
        .args(["3000000"]);
    passes(job);
}

/// Root is not refused, and hears nothing about it.
#[test]
fn as_root() {
    if !needs("root") {
        return;
    }
    passes(exchange());
}

/// Direct copies between processes are forbidden by a setting.
#[test]
fn no_direct_copies_by_setting() {
    passes(exchange().env("FERRITE_CMA", "never"));
}

/// They are forbidden by the system, as containers do it: the system calls fail. Nobody complains.
#[test]
fn no_direct_copies_by_the_system() {
    passes(Job::new(c("no_attach")).ranks(4).args(["3000000"]));
}

/// One rank only: the others may copy, it may not.
#[test]
fn no_direct_copies_for_one_rank() {
    passes(Job::new(c("no_attach")).ranks(4).args(["3000000", "1"]));
}

/// A small /dev/shm is no limit, and nothing is left in it.
#[test]
fn no_room_in_dev_shm() {
    if !needs("root") || !needs("unshare") {
        return;
    }
    let inside = "mount -t tmpfs -o size=4k none /dev/shm && \"$0\" \"$@\" && ls -A /dev/shm >&2";
    let mpiexec = ferrite_tests::prefix().program("mpiexec");
    let job = Job::alone("unshare")
        .args(["--mount", "sh", "-c", inside])
        .args([mpiexec.as_os_str()])
        .args(["-n", "4"])
        .args([c("hello").as_os_str()])
        .args(["3000000"]);
    passes(job);
}

/// Another launcher says that this is one task of several, and left no way to find the others: fail
/// and name the variable.
#[test]
fn tasks_of_a_launcher_that_cannot_be_reached() {
    for (variables, named) in [
        (
            &[
                ("SLURM_NTASKS", "4"),
                ("SLURM_PROCID", "1"),
                ("SLURM_STEP_ID", "0"),
            ][..],
            "SLURM_",
        ),
        (
            &[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "1")][..],
            "OMPI_COMM_WORLD_SIZE",
        ),
        (
            &[("PMIX_RANK", "1"), ("PMIX_NAMESPACE", "job")][..],
            "PMIX_",
        ),
    ] {
        let outcome = Job::alone(c("hello")).envs(variables).run();
        assert!(!outcome.status.success(), "{outcome}");
        assert!(outcome.stderr.contains(named), "{outcome}");
    }
}
