//! Agents and hosts that cannot be had, or fail; and that nothing is left of a job whatever dies.

use crate::hosts::Shell;
use crate::{DEADLINE, RANK, Running, field, wait_for_death};
use ferrite_fabric_testing::depth::only_full;
use rustix::process::{Pid, Signal};
use std::time::Instant;

/// Two ranks that wait, each on a host of its own: the job, their process ids, and those of the
/// processes that serve them.
fn waiting(shell: &Shell, more: &[&str]) -> (Running, Vec<i32>, Vec<i32>) {
    let rank = ["-n", "2", RANK, "hello", "info", "pid", "wait"];
    let arguments = [&["-l", "-hosts", "a,b"], more, &rank].concat();
    let mut job = Running::start(&mut shell.command(&arguments));
    let mut found = [(0, 0); 2];
    // Each says two things, and the lines of both come as they like.
    for _ in 0..4 {
        let line = job.line();
        let of = &mut found[usize::from(line.starts_with("[1] "))];
        match line.contains(" pid=") {
            true => of.0 = field(&line, "pid"),
            false => of.1 = field(&line, "launcher"),
        }
    }
    let (ranks, agents) = found.into_iter().unzip();
    (job, ranks, agents)
}

fn kill(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// The parent of a process.
fn parent(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("PPid:"))
        .unwrap();
    line[5..].trim().parse().unwrap()
}

#[test]
fn noise_of_remote_shells_is_skipped() {
    let shell = Shell::with("printf 'Welcome to %s\\n\\001ferrite\\n' $host; echo warned >&2");
    let job = shell.run(&[
        "-hosts", "a", "-n", "2", RANK, "hello", "say=in", "finalize",
    ]);
    job.expect(0, "mpiexec: a: warned\n");
    assert_eq!(job.out, "in\nin\n");
}

#[test]
fn an_mpiexec_that_is_not_there() {
    let job = Shell::new().run(&["-prefix", "/no/such", "-hosts", "a", "true"]);
    job.expect(
        127,
        "host a: /no/such/bin/mpiexec is not there: install Ferrite at the same path, or name \
         where it is with -prefix",
    )
    .expect_one_message();
}

#[test]
fn an_mpiexec_of_another_version() {
    let shell = Shell::with("printf '\\n\\001ferrite-agent 0.0.9\\n'; exec sleep 1000");
    let job = shell.run(&["-hosts", "a,b", "-n", "2", "true"]);
    job.expect(
        1,
        "the mpiexec there is of version 0.0.9, this one of version",
    )
    .expect_one_message();
}

#[test]
fn directories_and_programs_that_are_not_on_a_host() {
    let job = Shell::new().run(&["-hosts", "a", "-wdir", "/no/such", "-n", "2", "true"]);
    job.expect(
        1,
        "host a: working directory /no/such: No such file or directory",
    )
    .expect(
        1,
        "create it there, or name one that every host has with -wdir",
    )
    .expect_one_message();
    let job = Shell::new().run(&[
        "-hosts",
        "a,localhost",
        "-n",
        "1",
        "./no-such",
        ":",
        "-n",
        "1",
        "true",
    ]);
    job.expect(127, "host a: program ./no-such does not exist")
        .expect_one_message();
}

#[test]
fn a_host_that_comes_later_is_waited_for() {
    let shell = Shell::with(
        "if ! [ -e $dir/$host ]; then touch $dir/$host; echo 'ssh: Could not resolve hostname a: \
         not yet' >&2; exit 255; fi",
    );
    let job = shell.run(&["-hosts", "a", "-n", "1", "echo", "there"]);
    job.expect(
        0,
        "host a cannot be reached yet: ssh: Could not resolve hostname a: not yet; trying again",
    )
    .expect_one_message();
    assert_eq!(job.out, "there\n");
}

#[test]
fn a_host_that_does_not_come_is_given_up() {
    let given_up = |first: &str| {
        let shell = Shell::with(first);
        let mut command = shell.command(&["-hosts", "a,localhost", "-n", "2", "sleep", "1000"]);
        Running::start(command.env("FERRITE_START_TIMEOUT", "1")).finish()
    };
    given_up("echo 'ssh: connect to host a port 22: Connection refused' >&2; exit 255").expect(
        1,
        "host a has not been reached within 1 s: ssh: connect to host a port 22: Connection \
         refused",
    );
    given_up("echo Last login; exec sleep 1000")
        .expect(
            1,
            "host a: ssh runs, but no agent has answered within 1 s; all it has printed \
            is \"Last login\"",
        )
        .expect_one_message();
}

#[test]
fn a_host_that_refuses_is_told_with_a_remedy() {
    for (line, says) in [
        (
            "a: Permission denied (publickey).",
            "a login without a password there",
        ),
        ("Host key verification failed.", "does not trust its key"),
    ] {
        let job =
            Shell::with(&format!("echo '{line}' >&2; exit 255")).run(&["-hosts", "a", "true"]);
        job.expect(1, says).expect_one_message();
    }
    crate::run(&["-launcher-exec", "/no/such/ssh", "-hosts", "a", "true"])
        .expect(127, "ssh cannot be run here")
        .expect_one_message();
}

#[test]
fn a_rank_that_dies_on_another_host_ends_the_job() {
    let (job, ranks, _) = waiting(&Shell::new(), &[]);
    kill(ranks[1], Signal::KILL);
    let sentence = format!(
        "rank 1 on b (process {}, {RANK}) was killed by signal 9",
        ranks[1]
    );
    job.finish().expect(137, &sentence).expect_one_message();
    ranks.into_iter().for_each(wait_for_death);
    let job = Shell::new().run(&[
        "-hosts",
        "a,b",
        "-n",
        "2",
        RANK,
        "hello",
        "1:abort=7",
        "wait",
    ]);
    job.expect(7, "rank 1 on b (process ")
        .expect(7, "called MPI_Abort(7): it is over")
        .expect_one_message();
}

#[test]
fn a_rank_that_loses_another_ends_the_job_unless_there_is_a_better_reason() {
    let lost = |more: &[&str]| {
        let rank = [&["-hosts", "a,b", "-n", "2", RANK, "hello"], more].concat();
        Shell::new().run(&rank)
    };
    lost(&["0:lost=1", "wait"])
        .expect(1, "rank 0 on a (process ")
        .expect(1, ") lost rank 1 on b: no answer")
        .expect_one_message();
    lost(&["0:lost=1", "catch=10"]).expect(1, "lost rank 1 on b: no answer");
    // It waits in vain for rank 1, which dies a little later.
    let script = format!(
        "{RANK} hello 0:lost=1 wait & [ $PMI_RANK = 0 ] || {{ sleep 0.3; kill -9 $$; }}; wait"
    );
    let job = Shell::new().run(&["-hosts", "a,b", "-n", "2", "sh", "-c", &script]);
    job.expect(137, "rank 1 on b (process ")
        .expect(137, "was killed by signal 9")
        .expect_one_message();
    // On one host there is no host to name.
    crate::run(&["-n", "2", RANK, "hello", "0:lost=1", "wait"])
        .expect(1, ") lost rank 1: no answer");
    crate::run(&["-n", "1", RANK, "hello", "0:lost=7"])
        .expect(1, " lost rank 7, which is none of this job's");
}

#[test]
fn an_agent_that_is_killed_is_told_and_nothing_is_left() {
    for guard in [false, true] {
        let (job, ranks, agents) = waiting(&Shell::new(), &[]);
        let victim = if guard { parent(agents[1]) } else { agents[1] };
        kill(victim, Signal::KILL);
        job.finish().expect(1, "host b is lost: ");
        ranks.into_iter().chain(agents).for_each(wait_for_death);
    }
}

#[test]
fn nothing_is_left_on_any_host_when_mpiexec_is_killed() {
    for more in [&[][..], &["-tree-width", "1"]] {
        let (job, ranks, agents) = waiting(&Shell::new(), more);
        job.signal(Signal::KILL);
        ranks.into_iter().chain(agents).for_each(wait_for_death);
    }
}

#[test]
fn an_agent_in_the_middle_takes_those_below_with_it() {
    let (job, ranks, agents) = waiting(&Shell::new(), &["-tree-width", "1"]);
    kill(agents[0], Signal::KILL);
    job.finish().expect(1, "host a is lost: ");
    ranks.into_iter().chain(agents).for_each(wait_for_death);
}

#[test]
fn a_host_from_which_nothing_is_heard_is_lost() {
    let (job, ranks, agents) = waiting(&Shell::new(), &[]);
    let began = Instant::now();
    kill(agents[1], Signal::STOP);
    job.finish()
        .expect(
            1,
            "host b is lost: nothing has been heard from its agent for 12 s",
        )
        .expect_one_message();
    assert!(began.elapsed() < DEADLINE);
    // The agent's guard is not stopped.
    ranks.into_iter().chain(agents).for_each(wait_for_death);
}

#[test]
fn a_stopped_mpiexec_is_waited_for() {
    if !only_full() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let shell = Shell::new();
    let arguments = ["-hosts", "a,b", "-n", "2", RANK, "pid", "catch=10"];
    let mut command = shell.command(&arguments);
    let mut job = Running::start(command.process_group(0));
    let mut lines = [(); 4].map(|()| job.line());
    lines.sort_unstable();
    let ranks = [&lines[0], &lines[1]].map(|line| field(line, "pid"));
    job.signal(Signal::TSTP);
    let stopped = rustix::process::waitpid(Some(job.pid()), rustix::process::WaitOptions::UNTRACED);
    assert!(stopped.unwrap().unwrap().1.stopped());
    let state = |rank: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{rank}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next()
    };
    for rank in ranks {
        while state(rank) != Some('T') {
            std::thread::yield_now();
        }
    }
    // Longer than silence is borne.
    std::thread::sleep(std::time::Duration::from_secs(13));
    job.signal(Signal::CONT);
    for rank in ranks {
        while state(rank) == Some('T') {
            std::thread::yield_now();
        }
    }
    job.signal(Signal::USR1);
    let job = job.finish();
    assert_eq!(job.expect_success().out.matches("caught 10").count(), 2);
}

#[test]
fn interrupts_and_time_limits_end_ranks_everywhere() {
    let (job, ranks, agents) = waiting(&Shell::new(), &[]);
    job.signal(Signal::INT);
    job.finish()
        .expect(130, "ended by SIGINT (ctrl-C)")
        .expect_one_message();
    ranks.into_iter().chain(agents).for_each(wait_for_death);
    let (job, ranks, agents) = waiting(&Shell::new(), &["-timeout", "3"]);
    job.finish()
        .expect(
            124,
            "the time limit of 3 s is reached; ranks still running: 0-1",
        )
        .expect_one_message();
    ranks.into_iter().chain(agents).for_each(wait_for_death);
    // Before the ranks run, too.
    let shell = Shell::with("exec sleep 1000");
    let command = &mut shell.command(&["-hosts", "a,localhost", "-n", "2", "echo", "up"]);
    let mut job = Running::start(command);
    assert_eq!(job.line(), "up");
    job.signal(Signal::TERM);
    job.finish().expect(143, "ended by SIGTERM");
}

#[test]
fn what_ranks_of_other_hosts_start_ends_with_them() {
    let script = "setsid sh -c 'echo pid=$$; exec sleep 1000' & exit 0";
    let job = Shell::new().run(&["-hosts", "a,b", "-n", "2", "sh", "-c", script]);
    for line in job.expect(0, "(sleep) has outlived the ranks").out.lines() {
        wait_for_death(field(line, "pid"));
    }
}

#[test]
fn an_agent_is_started_by_mpiexec_alone() {
    crate::run(&["--ferrite-agent"]).expect(1, "standard input is no connection to mpiexec");
}
