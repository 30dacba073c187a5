//! How many ranks run where when the command line leaves it to hosts, to an allocation, or to
//! variables.

use crate::hosts::Shell;
use crate::{Finished, RANK, Running, command, run};
use std::io::Write;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a file");
    file
}

/// A job under a manager's variables, with what it prints of its placement.
fn managed(shell: &Shell, variables: &[(&str, &str)], options: &[&str]) -> Finished {
    let mut words = vec!["-print-map", "-l"];
    words.extend(options);
    words.extend([RANK, "hello", "say=in", "finalize"]);
    let mut command = shell.command(&words);
    command.envs(variables.iter().copied());
    Running::start(&mut command).finish()
}

#[test]
fn hosts_without_a_number_of_ranks_are_filled() {
    let shell = Shell::new();
    let ran = |options: &[&str], map: &str| {
        let job = managed(&shell, &[], options);
        let map: String = map
            .lines()
            .map(|line| format!("mpiexec: {line}\n"))
            .collect();
        assert_eq!(
            (job.code(), job.err.as_str()),
            (0, map.as_str()),
            "{options:?}"
        );
    };
    ran(&["-hosts", "h1,h2:2"], "h1: rank 0\nh2: ranks 1-2");
    ran(
        &["-hosts", "h1:4,h2", "-ppn", "2"],
        "h1: ranks 0-1\nh2: ranks 2-3",
    );
    ran(&["-ppn", "3"], "localhost: ranks 0-2");
    let list = file("h1 slots=1 max_slots=2\nh2 slots=1\n");
    let list = list.path().to_str().expect("text");
    ran(&["-f", list], "h1: rank 0\nh2: rank 1");
    ran(
        &["-f", list, "-n", "5", "-oversubscribe"],
        "h1: ranks 0,2\nh2: ranks 1,3-4",
    );
}

#[test]
fn max_slots_bounds() {
    let list = file("localhost max_slots=2\n");
    let list = list.path().to_str().expect("text");
    run(&["-f", list, RANK, "say=in"]).expect_success();
    for options in [
        &["-n", "3"][..],
        &["-ppn", "3"],
        &["-n", "3", "-oversubscribe"],
    ] {
        let mut words = vec!["-f", list];
        words.extend(options);
        words.extend([RANK, "say=in"]);
        let job = run(&words);
        job.expect(2, "max_slots lets its hosts have (localhost 2)");
        assert_eq!(job.out, "");
    }
}

#[test]
fn an_allocation_of_several_nodes_is_used() {
    let shell = Shell::new();
    let nodes = ("SLURM_JOB_NODELIST", "n[1-2],x");
    let slurm = [nodes, ("SLURM_TASKS_PER_NODE", "2,1(x2)")];
    let all = "mpiexec: n1: ranks 0-1\nmpiexec: n2: rank 2\nmpiexec: x: rank 3\n";
    let job = managed(&shell, &slurm, &[]);
    assert_eq!(
        (job.code(), job.err.as_str(), job.lines().len()),
        (0, all, 4)
    );
    // What the user says counts, even that it is this machine.
    let job = managed(&shell, &slurm, &["-hosts", "localhost", "-n", "2"]);
    assert_eq!(
        (job.code(), job.err.as_str()),
        (0, "mpiexec: localhost: ranks 0-1\n")
    );
    let lines = file("a\nb\na\n");
    for name in ["PBS_NODEFILE", "LSB_DJOB_HOSTFILE"] {
        let job = managed(&shell, &[(name, lines.path().to_str().expect("text"))], &[]);
        let all = "mpiexec: a: ranks 0-1\nmpiexec: b: rank 2\n";
        assert_eq!((job.code(), job.err.as_str()), (0, all), "{name}");
    }
}

#[test]
fn an_allocation_of_one_node_just_runs() {
    let shell = Shell::with("exit 1");
    let slurm = [("SLURM_JOB_NODELIST", "n7"), ("SLURM_TASKS_PER_NODE", "2")];
    for (options, map) in [(&[][..], "ranks 0-1"), (&["-n", "3"], "ranks 0-2")] {
        let job = managed(&shell, &slurm, options);
        let map = format!("mpiexec: localhost: {map}\n");
        assert_eq!((job.code(), job.err), (0, map), "{}", job.out);
    }
}

#[test]
fn an_allocation_that_cannot_be_used_is_told() {
    let with = |name: &str, value: &str, options: &[&str]| {
        let mut words = options.to_vec();
        words.extend([RANK, "say=in"]);
        Running::start(command(&words).env(name, value)).finish()
    };
    let job = with("SLURM_JOB_NODELIST", "n[1-", &[]);
    job.expect(
        2,
        "Slurm's allocation of this job (SLURM_JOB_NODELIST=n[1-)",
    )
    .expect(2, "say -hosts localhost")
    .expect_one_message();
    with("SLURM_JOB_NODELIST", "n[1-", &["-hosts", "localhost"]).expect_success();
    with("PBS_NODEFILE", "/no/such/file", &[])
        .expect(
            0,
            "warning: PBS's allocation of this job (PBS_NODEFILE=/no/such/file)",
        )
        .expect_one_message();
}

#[test]
fn another_launcher_s_variables_are_obeyed_or_answered() {
    let with = |name: &str, value: &str| {
        let words = ["-hosts", "localhost", "-print-map", RANK, "say=in"];
        Running::start(command(&words).env(name, value)).finish()
    };
    let job = with("I_MPI_PERHOST", "2");
    assert_eq!(
        (job.code(), job.err.as_str()),
        (0, "mpiexec: localhost: ranks 0-1\n")
    );
    let job = with("MPIEXEC_PREFIX_DEFAULT", "1");
    assert_eq!((job.code(), job.out.as_str()), (0, "[0] in\n"));
    with("I_MPI_PIN_DOMAIN", "omp").expect(0, "mpiexec: warning: I_MPI_PIN_DOMAIN=omp is another");
    with("I_MPI_JOB_TIMEOUT", "never").expect(2, "I_MPI_JOB_TIMEOUT never: expected seconds");
}
