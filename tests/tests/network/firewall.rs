//! Hosts behind firewalls.

use crate::soak_on;
use ferrite_tests::{Job, Lab, Outcome, needs, only_full, passes};
use std::time::Duration;

/// Hosts that let nothing in but ssh and these ports; `what` becomes of the rest: `drop` or
/// `reject`.
fn behind_firewalls(ports: &str, what: &str) -> Option<Lab> {
    if !needs("nft") {
        return None;
    }
    let lab = Lab::new(2)?;
    let rules = format!(
        "table inet firewall {{
            chain in {{
                type filter hook input priority 0; policy accept;
                iifname lo accept
                meta l4proto ipv6-icmp accept
                tcp dport {{ 22, {ports} }} accept
                tcp flags & (syn | ack) != syn accept
                {what}
            }}
        }}"
    );
    let file = lab.folder().join("rules");
    std::fs::write(&file, rules).expect("written");
    for host in ["h1", "h2"] {
        lab.exec(host, &["nft", "-f", &file.display().to_string()]);
    }
    Some(lab)
}

fn job(lab: &Lab) -> Job {
    soak_on(lab, "h1,h2", 2, 2).timeout(Duration::from_secs(90))
}

#[test]
fn the_port_range_is_open() {
    let Some(lab) = behind_firewalls("40000-40031", "drop") else {
        return;
    };
    passes(job(&lab).env("FERRITE_PORT_RANGE", "40000-40031"));
}

/// The end says which addresses were tried, and which setting helps.
fn says_why(outcome: &Outcome) {
    assert!(!outcome.status.success(), "{outcome}");
    assert!(
        outcome.stderr.contains("FERRITE_PORT_RANGE")
            && (outcome.stderr.contains("10.77.0.1:") || outcome.stderr.contains("10.77.0.2:"))
            && (outcome.stderr.contains("[fd00:77::1]:")
                || outcome.stderr.contains("[fd00:77::2]:")),
        "{outcome}"
    );
}

#[test]
fn other_ports_are_open() {
    if !only_full() {
        return;
    }
    let Some(lab) = behind_firewalls("40000-40031", "drop") else {
        return;
    };
    says_why(&job(&lab).env("FERRITE_PORT_RANGE", "50000-50031").run());
    says_why(&job(&lab).run());
}

#[test]
fn other_ports_are_open_and_the_firewall_answers() {
    if !only_full() {
        return;
    }
    let Some(lab) = behind_firewalls("40000-40031", "reject") else {
        return;
    };
    says_why(&job(&lab).run());
}
