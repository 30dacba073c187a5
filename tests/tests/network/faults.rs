//! What goes wrong between hosts while a job runs: right data, or an end within seconds that says
//! why; and nothing runs on anywhere.

use crate::{over_tcp, soak, soak_on};
use ferrite_tests::{Lab, Outcome, Running, c, full, needs, only_full, passes};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// Within this time of the event a job has ended: 10 s, and as much again for a machine that is
/// busy.
const END: Duration = Duration::from_secs(20);

/// A job of four ranks on two hosts, all at work.
fn at_work(lab: &Lab, seconds: u64) -> Running {
    let mut job = soak_on(lab, "h1,h2", 2, seconds).vanish(END).start();
    for rank in 0..4 {
        job.wait_for_line(&format!("ready {rank} "));
    }
    job
}

/// The end of a job to which something happened just now.
fn end_of(job: Running) -> Outcome {
    let began = Instant::now();
    let outcome = job.within(END).finish();
    eprintln!("ended after {:?}: {}", began.elapsed(), outcome.stderr);
    outcome
}

/// It failed, said so in a few lines, and one of them has all these words.
fn reported(outcome: &Outcome, words: &[&str]) {
    assert!(!outcome.status.success(), "{outcome}");
    assert!(
        outcome
            .stderr
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word))),
        "a line with {words:?}: {outcome}"
    );
    assert!(
        outcome.stderr.lines().count() <= 4,
        "a message, not a page: {outcome}"
    );
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).expect("it is alive");
}

#[test]
fn a_link_is_down_for_a_while() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 8);
    lab.link("h2", false);
    std::thread::sleep(Duration::from_secs(5));
    lab.link("h2", true);
    let outcome = job.finish();
    assert!(outcome.status.success(), "{outcome}");
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
}

#[test]
fn a_link_is_down_for_good() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    lab.link("h2", false);
    reported(&end_of(job), &["h2"]);
}

#[test]
fn packets_vanish_for_good() {
    if !only_full() {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    lab.blackhole("h2", true);
    reported(&end_of(job), &["h2"]);
}

#[test]
fn a_host_loses_power() {
    if !only_full() {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    lab.blackhole("h2", true);
    lab.kill("h2");
    reported(&end_of(job), &["h2"]);
}

/// It is a slow rank, not a dead one, however long it takes.
#[test]
fn a_rank_is_stopped_for_a_while() {
    let pause = Duration::from_secs(if full() { 20 } else { 4 });
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, pause.as_secs() + 4);
    let rank = lab.find("h2", &c("net_soak"))[0];
    kill_process(rank, Signal::STOP).expect("it is alive");
    std::thread::sleep(pause);
    kill_process(rank, Signal::CONT).expect("it is alive");
    let outcome = job.finish();
    assert!(outcome.status.success(), "{outcome}");
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
}

#[test]
fn a_rank_of_one_host_is_stopped_for_a_while() {
    let pause = Duration::from_secs(if full() { 20 } else { 4 });
    let mut job = soak(over_tcp, pause.as_secs() + 3).ranks(4).start();
    let line = job.wait_for_line("ready 2 ");
    let pid = line.split(' ').nth(2).and_then(|pid| pid.parse().ok());
    let rank = pid.and_then(Pid::from_raw).expect("a process id");
    kill_process(rank, Signal::STOP).expect("it is alive");
    std::thread::sleep(pause);
    kill_process(rank, Signal::CONT).expect("it is alive");
    let outcome = job.finish();
    assert!(outcome.status.success(), "{outcome}");
    assert!(
        outcome.stdout.lines().any(|line| line == "passed"),
        "{outcome}"
    );
}

#[test]
fn a_rank_of_another_host_is_killed() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    kill(lab.find("h2", &c("net_soak"))[0]);
    let outcome = end_of(job);
    reported(&outcome, &["rank", "h2", "SIGKILL"]);
    assert_eq!(outcome.status.code(), Some(128 + 9), "{outcome}");
}

#[test]
fn an_agent_is_killed() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    // Whatever processes it is made of.
    for pid in lab.of_launcher("h2") {
        let _ = kill_process(pid, Signal::KILL);
    }
    reported(&end_of(job), &["h2"]);
}

/// Only the first of its processes, as the system does when memory is short.
#[test]
fn a_part_of_an_agent_is_killed() {
    let Some(lab) = Lab::new(2) else { return };
    let count = {
        let job = at_work(&lab, 2);
        let count = lab.of_launcher("h2").len();
        job.finish();
        count
    };
    assert!(count > 0, "there is an agent on h2");
    for part in 0..count {
        let job = at_work(&lab, 120);
        kill(lab.of_launcher("h2")[part]);
        reported(&end_of(job), &["h2"]);
    }
}

#[test]
fn ssh_is_killed() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    let is_ssh = |program: &std::path::Path| program.file_name().is_some_and(|name| name == "ssh");
    let ssh: Vec<Pid> = lab
        .processes("h1")
        .into_iter()
        .filter(|process| is_ssh(&process.program))
        .map(|process| process.pid)
        .collect();
    assert_eq!(ssh.len(), 1, "one connection to one other host");
    kill(ssh[0]);
    reported(&end_of(job), &["h2"]);
}

/// No message can be expected; that nothing runs on, on any host, is what the harness checks.
#[test]
fn mpiexec_is_killed() {
    let Some(lab) = Lab::new(2) else { return };
    let count = {
        let job = at_work(&lab, 2);
        let count = lab.of_launcher("h1").len();
        job.finish();
        count
    };
    for part in 0..count {
        let job = at_work(&lab, 120);
        kill(lab.of_launcher("h1")[part]);
        let outcome = end_of(job);
        assert!(!outcome.status.success(), "{outcome}");
    }
    let job = at_work(&lab, 120);
    for pid in lab.of_launcher("h1") {
        let _ = kill_process(pid, Signal::KILL);
    }
    let outcome = end_of(job);
    assert!(!outcome.status.success(), "{outcome}");
}

/// Somebody presses ctrl-C.
#[test]
fn mpiexec_is_interrupted() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    kill_process(lab.of_launcher("h1")[0], Signal::INT).expect("it is alive");
    let outcome = end_of(job);
    assert_eq!(outcome.status.signal(), Some(2), "{outcome}");
}

/// A host that is not there from the beginning. It takes as long as a host may take to answer.
#[test]
fn a_host_that_does_not_answer() {
    if !only_full() {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    lab.blackhole("h2", true);
    let job = soak_on(&lab, "h1,h2", 1, 1).timeout(Duration::from_secs(90));
    reported(&job.run(), &["h2"]);
}

/// As a host that is still starting: it is tried for a while.
#[test]
fn a_host_without_sshd() {
    if !only_full() {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    lab.exec("h2", &["pkill", "-o", "sshd"]);
    let job = soak_on(&lab, "h1,h2", 1, 1).timeout(Duration::from_secs(90));
    reported(&job.run(), &["h2", "refused"]);
}

/// The data path breaks and the launcher's does not.
#[test]
fn only_the_network_of_mpi_breaks() {
    if !only_full() {
        return;
    }
    if !needs("nft") {
        return;
    }
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    let rules = "nft add table inet cut && nft 'add chain inet cut in \
        { type filter hook input priority 0; policy accept; }' && \
                 nft add rule inet cut in tcp dport 22 accept && nft add rule inet cut in iifname \
                 eth0 tcp dport != 22 drop";
    lab.exec("h2", &["sh", "-c", rules]);
    reported(&end_of(job), &["rank", "h2"]);
}

/// After all these ends a lab still works.
#[test]
fn the_next_job_runs() {
    let Some(lab) = Lab::new(2) else { return };
    let job = at_work(&lab, 120);
    kill(lab.find("h2", &c("net_soak"))[1]);
    let outcome = end_of(job);
    assert!(!outcome.status.success(), "{outcome}");
    passes(soak_on(&lab, "h1,h2", 2, 1));
}
