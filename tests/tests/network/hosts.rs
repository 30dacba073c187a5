//! Two and three hosts: shared memory within, TCP between them.

use crate::{soak_on, spread};
use ferrite_tests::{Lab, full, needs, passes, seconds, seed};
use std::path::Path;
use std::time::Duration;

#[test]
fn ranks_are_where_they_were_asked_for() {
    let Some(lab) = Lab::new(3) else { return };
    let outcome = lab
        .job("hostname")
        .launcher_args(["-l", "-hosts", "h1,h2,h3", "-ppn", "2", "-n", "6"])
        .succeeds();
    let mut lines: Vec<&str> = outcome.stdout.lines().collect();
    lines.sort_unstable();
    let hosts: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(hosts, ["h1", "h1", "h2", "h2", "h3", "h3"], "{outcome}");
}

#[test]
fn all_pairs_on_two_hosts() {
    let Some(lab) = Lab::new(2) else { return };
    for ranks_per_host in [1, 2, 4] {
        passes(soak_on(
            &lab,
            "h1,h2",
            ranks_per_host,
            seconds().div_ceil(5),
        ));
    }
    // No shared memory within the hosts either.
    passes(soak_on(&lab, "h1,h2", 2, 2).env("FERRITE_TRANSPORT", "tcp"));
}

#[test]
fn all_pairs_on_three_hosts() {
    let Some(lab) = Lab::new(3) else { return };
    passes(soak_on(&lab, "h1,h2,h3", 2, seconds().div_ceil(5)));
    // Without ranks on the host of mpiexec.
    passes(soak_on(&lab, "h2,h3", 1, 1));
}

#[test]
fn every_program_on_two_hosts() {
    let Some(lab) = Lab::new(2) else { return };
    let programs: &[&str] = if full() {
        &[
            "pt2pt_modes",
            "pt2pt_order",
            "pt2pt_probe",
            "pt2pt_completion",
            "pt2pt_persistent",
            "pt2pt_exchange",
            "pt2pt_cancel",
            "pt2pt_null",
            "pt2pt_truncate",
            "pt2pt_types",
            "threads",
            "communicators",
            "intercomms",
            "groups",
            "collectives",
            "errors",
        ]
    } else {
        &["pt2pt_modes", "pt2pt_cancel", "threads", "collectives"]
    };
    for program in programs {
        passes(spread(&lab, "h1,h2", 2, program));
    }
}

/// 2 ms each way, and one packet in a hundred is lost: slower, and every byte right.
#[test]
fn a_long_and_lossy_cable() {
    if !needs("cc") || (!Path::new("/dev/net/tun").exists() && !needs("/dev/net/tun")) {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    lab.wan("h2", Duration::from_millis(2), 10);
    passes(soak_on(&lab, "h1,h2", 2, seconds()).timeout(Duration::from_secs(180)));
}

/// No IPv4 address but that of the loopback interface.
#[test]
fn nothing_but_ipv6() {
    let Some(lab) = Lab::new(2) else { return };
    for host in ["h1", "h2"] {
        lab.exec(host, &["ip", "-4", "addr", "flush", "dev", "eth0"]);
    }
    passes(soak_on(&lab, "h1,h2", 2, 2));
    passes(soak_on(&lab, "fd00:77::1,fd00:77::2", 2, 1));
}

/// Names are not needed where addresses are given.
#[test]
fn nothing_but_addresses() {
    let Some(lab) = Lab::new(2) else { return };
    for host in ["h1", "h2"] {
        lab.exec(host, &["umount", "/etc/hosts"]);
    }
    passes(soak_on(&lab, "10.77.0.1,10.77.0.2", 2, 1));
}

/// Every host has a second interface with the same address, as container engines make them, which
/// leads nowhere but to the host itself; and one with an address of its own that reaches nobody.
#[test]
fn interfaces_that_lead_nowhere() {
    let Some(lab) = Lab::new(2) else { return };
    for (host, own) in [("h1", "192.0.2.1/24"), ("h2", "198.51.100.1/24")] {
        let make = format!(
            "ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link \
             set docker0 up && \
             ip link add lonely type bridge && ip addr add {own} dev lonely && ip link set lonely \
             up"
        );
        lab.exec(host, &["sh", "-c", &make]);
    }
    passes(soak_on(&lab, "h1,h2", 2, 2));
    // With a port range both hosts listen at the same address and port of docker0: whoever calls
    // there meets itself.
    passes(soak_on(&lab, "h1,h2", 2, 2).env("FERRITE_PORT_RANGE", "40000-40031"));
}

/// Where a rank is, is what the launcher says, whatever its messages travel by.
#[test]
fn ranks_may_give_different_arguments_on_two_hosts() {
    let Some(lab) = Lab::new(2) else { return };
    let seed = seed();
    for transport in ["", "tcp"] {
        println!("mixtures: transport '{transport}', FERRITE_TEST_SEED={seed}");
        let job = spread(&lab, "h1,h2", 2, "mixtures");
        let job = job.args([&seed.to_string(), "100", "2"]);
        passes(job.env("FERRITE_TRANSPORT", transport));
    }
}
