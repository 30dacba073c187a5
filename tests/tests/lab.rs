//! The lab itself: hosts reach each other, faults are faults, and nothing stays behind.

use ferrite_tests::{Lab, needs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Whether a host gets through to another one's sshd within two seconds.
fn reaches(lab: &Lab, from: &str, address: &str) -> bool {
    let knock =
        format!("timeout 2 bash -c ': </dev/tcp/{address}/22' 2>/dev/null && echo yes || echo no");
    lab.exec(from, &["sh", "-c", &knock]) == "yes\n"
}

#[test]
fn hosts_are_apart_and_reach_each_other() {
    let Some(lab) = Lab::new(3) else { return };
    let ssh = lab.ssh().display().to_string();
    for host in ["h1", "h2", "h3", "h3-six", "10.77.0.2", "fd00:77::3"] {
        let there = lab.exec("h1", &[&ssh, host, "hostname"]);
        assert!(
            matches!(there.trim(), "h1" | "h2" | "h3"),
            "{host}: {there}"
        );
    }
    lab.exec("h2", &["touch", "/dev/shm/of-h2"]);
    assert_eq!(lab.exec("h3", &["ls", "/dev/shm"]), "");
    let here = std::process::Command::new("hostname")
        .output()
        .expect("a name");
    assert_ne!(String::from_utf8_lossy(&here.stdout).trim(), "h3");
}

#[test]
fn cables_and_hosts_break_and_mend() {
    let Some(lab) = Lab::new(2) else { return };
    for address in ["10.77.0.2", "fd00:77::2"] {
        assert!(reaches(&lab, "h1", address), "{address}");
        lab.link("h2", false);
        assert!(!reaches(&lab, "h1", address), "{address}");
        lab.link("h2", true);
        assert!(reaches(&lab, "h1", address), "{address}");
        lab.blackhole("h2", true);
        assert!(!reaches(&lab, "h1", address), "{address}");
        lab.blackhole("h2", false);
        assert!(reaches(&lab, "h1", address), "{address}");
    }
    lab.kill("h2");
    assert!(!reaches(&lab, "h1", "10.77.0.2"));
    assert!(lab.processes("h2").is_empty());
}

#[test]
fn a_long_cable_delays() {
    if !needs("cc") || !Path::new("/dev/net/tun").exists() && !needs("/dev/net/tun") {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    let knock = || {
        let began = Instant::now();
        assert!(reaches(&lab, "h1", "10.77.0.2"));
        began.elapsed()
    };
    lab.wan("h2", Duration::from_millis(300), 0);
    let slow = knock();
    // There and back.
    assert!(slow >= Duration::from_millis(600), "{slow:?}");
    lab.wan("h2", Duration::ZERO, 1000);
    assert!(!reaches(&lab, "h1", "10.77.0.2"), "everything is lost");
}

#[test]
fn nothing_stays_after_a_panic() {
    let mut hosts = Vec::new();
    let mut folder = None;
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let Some(lab) = Lab::new(2) else { return };
        hosts = lab.hosts();
        folder = Some(lab.folder().to_owned());
        panic!("a test fails");
    }));
    if caught.is_ok() {
        return;
    }
    assert_eq!(hosts.len(), 2);
    for pid in hosts {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        assert!(state.is_err(), "{state:?}");
    }
    assert!(!folder.expect("a lab").exists());
}
