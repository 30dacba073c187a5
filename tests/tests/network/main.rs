//! Jobs over a network: TCP on one machine, two and three hosts, what goes wrong between them, and
//! what a person may choose.

mod faults;
mod firewall;
mod hosts;
mod loopback;
mod settings;
mod surroundings;

use ferrite_tests::{Job, Lab, c, seed};

/// Messages between all pairs for this many seconds, every byte checked.
fn soak(job: fn(std::path::PathBuf) -> Job, seconds: u64) -> Job {
    job(c("net_soak")).args(soak_arguments(seconds))
}

/// The same over hosts of a lab, with this many ranks on each.
fn soak_on(lab: &Lab, hosts: &str, ranks_per_host: u32, seconds: u64) -> Job {
    spread(lab, hosts, ranks_per_host, "net_soak").args(soak_arguments(seconds))
}

fn soak_arguments(seconds: u64) -> [String; 2] {
    let seed = seed();
    eprintln!("net_soak: {seconds} s, FERRITE_TEST_SEED={seed}");
    [seconds.to_string(), seed.to_string()]
}

/// A program of `tests/c` on hosts of a lab, with this many ranks on each.
fn spread(lab: &Lab, hosts: &str, ranks_per_host: u32, program: &str) -> Job {
    let ranks = hosts.split(',').count() as u32 * ranks_per_host;
    lab.job(c(program))
        .launcher_args(["-hosts", hosts, "-ppn", &ranks_per_host.to_string()])
        .ranks(ranks)
}

/// Over TCP only, on one host too.
fn over_tcp(program: std::path::PathBuf) -> Job {
    Job::new(program).env("FERRITE_TRANSPORT", "tcp")
}
