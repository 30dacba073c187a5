//! What a person may choose: transports, interfaces, ports. And what nobody has to choose: sockets
//! that listen no wider than needed, and descriptors that no other program inherits.

use crate::over_tcp;
use ferrite_tests::{Job, Outcome, Running, c, listening, memory_files, needs, passes};
use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Four ranks that have talked to each other and now wait.
fn waiting(job: Job) -> (Running, Vec<Pid>) {
    let mut job = job.ranks(4).args(["wait"]).start();
    let ranks = (0..4)
        .map(|rank| {
            let line = job.wait_for_line(&format!("ready {rank} "));
            let pid = line.rsplit(' ').next().and_then(|pid| pid.parse().ok());
            pid.and_then(Pid::from_raw).expect("a process id")
        })
        .collect();
    (job, ranks)
}

fn stop(job: Running) {
    job.signal(Signal::TERM);
    job.finish();
}

/// Where four ranks listen that were started with these settings.
fn addresses(settings: &[(&str, &str)]) -> BTreeSet<SocketAddr> {
    let (job, ranks) = waiting(over_tcp(c("ends")).envs(settings));
    let each: Vec<BTreeSet<SocketAddr>> = ranks.iter().map(|rank| listening(*rank)).collect();
    stop(job);
    assert!(
        each.iter().all(|addresses| !addresses.is_empty()),
        "{each:?}"
    );
    let all: BTreeSet<SocketAddr> = each.iter().flatten().copied().collect();
    for address in &all {
        assert!(
            !address.ip().is_unspecified(),
            "listens everywhere: {all:?}"
        );
    }
    all
}

fn fails(settings: &[(&str, &str)]) -> Outcome {
    let outcome = Job::new(c("hello")).ranks(4).envs(settings).run();
    assert!(!outcome.status.success(), "{outcome}");
    outcome
}

#[test]
fn an_unknown_transport() {
    for list in [
        "carrier-pigeon",
        "shm,carrier-pigeon",
        "tcp,,carrier-pigeon",
    ] {
        let outcome = fails(&[("FERRITE_TRANSPORT", list)]);
        for word in ["FERRITE_TRANSPORT", "carrier-pigeon", "shm", "tcp"] {
            assert!(outcome.stderr.contains(word), "{word}: {outcome}");
        }
    }
}

#[test]
fn a_list_that_leaves_no_way_between_ranks() {
    let outcome = fails(&[("FERRITE_TRANSPORT", "self")]);
    assert!(
        outcome.stderr.contains("FERRITE_TRANSPORT") && outcome.stderr.contains("tcp"),
        "{outcome}"
    );
}

#[test]
fn lists_of_transports() {
    for list in [
        "",
        "shm",
        "tcp",
        "shm,tcp",
        "tcp,shm",
        "shm,tcp,self",
        "tcp,self",
    ] {
        passes(
            Job::new(c("hello"))
                .ranks(4)
                .args(["3000000"])
                .env("FERRITE_TRANSPORT", list),
        );
    }
}

/// `tcp` alone turns off segments too; with `shm` there is one to be found.
#[test]
fn tcp_alone_maps_no_segment() {
    for (list, segments) in [("tcp", false), ("shm", true), ("", true)] {
        let (job, ranks) = waiting(Job::new(c("ends")).env("FERRITE_TRANSPORT", list));
        let mapped: Vec<bool> = ranks
            .iter()
            .map(|rank| !memory_files(*rank).is_empty())
            .collect();
        stop(job);
        assert_eq!(mapped, [segments; 4], "{list}");
    }
}

/// It turns off direct copies between processes as well.
#[test]
fn tcp_alone_copies_nothing_directly() {
    if !needs("strace") {
        return;
    }
    for (list, direct) in [("tcp", false), ("shm", true)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("calls");
        let outcome = Job::new("strace")
            .ranks(2)
            .args([
                "-f",
                "-A",
                "-e",
                "trace=process_vm_readv,process_vm_writev",
                "-e",
                "signal=none",
                "-o",
            ])
            .args([&file, &c("hello")])
            .args(["3000000"])
            .env("FERRITE_TRANSPORT", list)
            .succeeds();
        let calls = std::fs::read_to_string(&file).expect("strace has written");
        assert_eq!(
            calls.contains("process_vm_"),
            direct,
            "{list}: {calls}\n{outcome}"
        );
    }
}

#[test]
fn shared_memory_alone_listens_nowhere() {
    let (job, ranks) = waiting(Job::new(c("ends")));
    let all: Vec<SocketAddr> = ranks.iter().flat_map(|rank| listening(*rank)).collect();
    stop(job);
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn ports_are_within_the_range() {
    let range = 41000..=41015;
    let all = addresses(&[("FERRITE_PORT_RANGE", "41000-41015")]);
    assert!(
        all.iter().all(|address| range.contains(&address.port())),
        "{all:?}"
    );
}

#[test]
fn a_range_that_is_too_small() {
    let outcome = fails(&[
        ("FERRITE_TRANSPORT", "tcp"),
        ("FERRITE_PORT_RANGE", "41020-41021"),
    ]);
    assert!(outcome.stderr.contains("FERRITE_PORT_RANGE"), "{outcome}");
    assert!(outcome.stderr.contains("41020"), "{outcome}");
}

#[test]
fn a_range_that_is_none() {
    for range in ["1-", "9-8", "0-10", "70000-70001", "ports"] {
        let outcome = fails(&[("FERRITE_PORT_RANGE", range)]);
        assert!(outcome.stderr.contains("FERRITE_PORT_RANGE"), "{outcome}");
    }
}

#[test]
fn interfaces_by_name_and_by_address() {
    for (variable, value) in [
        ("FERRITE_NETWORK", "lo"),
        ("FERRITE_NETWORK", "127.0.0.0/8"),
        ("FERRITE_NETWORK", "not-here,lo"),
        ("MPICH_NETMASK", "127.0.0.0/255.0.0.0"),
        ("MPICH_NETMASK", "127.0.0.0/8"),
    ] {
        let all = addresses(&[(variable, value)]);
        assert!(
            all.iter().all(|address| address.ip().is_loopback()),
            "{variable}={value}: {all:?}"
        );
        if value.contains('/') {
            assert!(
                all.iter().all(SocketAddr::is_ipv4),
                "{variable}={value}: {all:?}"
            );
        }
    }
}

#[test]
fn an_interface_that_is_not_there() {
    let outcome = fails(&[("FERRITE_TRANSPORT", "tcp"), ("FERRITE_NETWORK", "eth77")]);
    for word in ["FERRITE_NETWORK", "eth77", "lo (127.0.0.1)"] {
        assert!(outcome.stderr.contains(word), "{word}: {outcome}");
    }
    let outcome = fails(&[
        ("FERRITE_TRANSPORT", "tcp"),
        ("FERRITE_NETWORK", "10.0.0.0/99"),
    ]);
    assert!(outcome.stderr.contains("10.0.0.0/99"), "{outcome}");
}

/// Another program that a rank starts has standard input, output and errors, and nothing of the
/// library.
#[test]
fn other_programs_inherit_no_descriptor() {
    // What this test itself has inherited is closed first.
    let close = "for fd in /proc/self/fd/*; do n=${fd##*/}; [ $n -le 2 ] || eval \"exec $n>&-\"; \
        done; exec \"$@\"";
    for list in ["", "tcp"] {
        let job = Job::new(c("descriptors")).through(["bash", "-c", close, "bash"]);
        passes(job.ranks(4).env("FERRITE_TRANSPORT", list));
    }
}

/// The way of every pair of ranks, on request.
#[test]
fn a_table_of_transports() {
    for (list, way) in [("", "shm"), ("tcp", "tcp")] {
        let outcome = Job::new(c("hello"))
            .ranks(4)
            .env("FERRITE_TRANSPORT", list)
            .env("FERRITE_SHOW_TRANSPORTS", "1")
            .succeeds();
        assert!(outcome.stderr.contains(way), "{outcome}");
    }
}
