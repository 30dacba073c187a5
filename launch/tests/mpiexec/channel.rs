//! The dialogue between ranks and mpiexec.

use crate::{RANK, Running, command, field, run};
use std::process::Command;

#[test]
fn a_rank_learns_its_job() {
    let job = run(&[
        "-n", "2", RANK, "hello", "info", "finalize", ":", "-n", "1", RANK, "hello", "info",
        "finalize",
    ]);
    let lines = job.expect_success().lines();
    for (rank, line) in lines.iter().enumerate() {
        assert_eq!(field(line, "rank"), rank as i32, "{line}");
        assert_eq!(field(line, "appnum"), i32::from(rank == 2), "{line}");
        assert!(line.contains("size=3 local=[0, 1, 2]"), "{line}");
        assert!(
            field(line, "cpus") >= 1 && field(line, "launcher") > 1,
            "{line}"
        );
        assert!(
            line.contains(", 0)) inherited=Some(false)"),
            "an empty file, closed on exec: {line}"
        );
        // Id, launcher and memory file are the same for all.
        for name in ["job=", "launcher=", "segment="] {
            let of = |line: &str| {
                line.split(' ')
                    .find(|word| word.starts_with(name))
                    .map(str::to_string)
            };
            assert_eq!(of(line), of(lines[0]));
        }
    }
    let other = run(&[RANK, "hello", "info", "finalize"]);
    assert_ne!(
        other.out.split(' ').next(),
        lines[0].split(' ').next(),
        "job ids are random"
    );
}

#[test]
fn the_launcher_is_an_ancestor_of_every_rank() {
    let script = format!("echo pid=$$; {RANK} hello info finalize; echo parent=$PPID");
    let job = run(&["-n", "1", "sh", "-c", &script]);
    let out = &job.expect_success().out;
    let info = out.lines().find(|line| line.starts_with("job=")).unwrap();
    let parent = out
        .lines()
        .find(|line| line.starts_with("parent="))
        .unwrap();
    assert_eq!(field(info, "launcher"), field(parent, "parent"));
}

#[test]
fn wrappers_may_stand_before_the_program() {
    let script = format!("env A=1 nice sh -c '{RANK} hello finalize; true'");
    run(&["-n", "2", "bash", "-c", &script]).expect_success();
}

#[test]
fn a_second_program_in_a_rank_is_refused() {
    let script = format!("{RANK} hello finalize; {RANK} hello finalize");
    let job = run(&["-n", "2", "bash", "-c", &script]);
    job.expect(3, "mpiexec refuses this process: rank ")
        .expect(3, "has had its MPI program already");
    // A script that hides it does not make the job a success.
    let script = format!("{RANK} hello finalize; {RANK} hello finalize 2>/dev/null; true");
    run(&["-n", "2", "bash", "-c", &script])
        .expect(1, "an MPI program in it was refused")
        .expect_one_message();
}

#[test]
fn a_job_of_one_rank_may_run_programs_one_after_the_other() {
    let script = format!("{RANK} hello info finalize; {RANK} hello info finalize");
    let job = run(&["bash", "-c", &script]);
    let jobs: Vec<&str> = job
        .expect_success()
        .out
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(jobs.len(), 2);
    assert_ne!(jobs[0], jobs[1]);
}

#[test]
fn garbage_is_told_once_and_the_job_goes_on() {
    let script = format!(
        "printf 'hello you\\n\\0\\1\\377\\nwelcome\\n' >&$FERRITE_CHANNEL; head -c 20000 /dev/zero \
         >&$FERRITE_CHANNEL; \
         echo >&$FERRITE_CHANNEL; {RANK} hello finalize"
    );
    let job = run(&["-n", "2", "bash", "-c", &script]);
    assert_eq!(job.code(), 0, "{}", job.err);
    assert_eq!(
        job.err
            .matches("is no message to mpiexec, ignored: \"hello you\"")
            .count(),
        2,
        "{}",
        job.err
    );
    assert_eq!(job.err.lines().count(), 2, "{}", job.err);
}

#[test]
fn another_version_is_refused_by_both_ends() {
    let script = "echo hello version=99 pid=$$ >&$FERRITE_CHANNEL; read -r answer \
        <&$FERRITE_CHANNEL; echo $answer; exit 3";
    let job = run(&["bash", "-c", script]);
    job.expect(3, "");
    assert!(
        job.out
            .starts_with("refused reason=its%20MPI%20library%20speaks%20version%2099"),
        "{}",
        job.out
    );
}

#[test]
fn a_descriptor_that_is_not_mpiexec_s_is_told() {
    for (redirection, says) in [
        ("FERRITE_CHANNEL=77", "names a descriptor that is not open"),
        (
            "FERRITE_CHANNEL=0",
            "names a descriptor that is not a socket of mpiexec's",
        ),
        ("FERRITE_CHANNEL=-1", "does not name a descriptor"),
        ("FERRITE_CHANNEL=x", "does not name a descriptor"),
    ] {
        let script = format!("{redirection} exec {RANK} hello");
        let alone = Running::start(Command::new("sh").args(["-c", &script])).finish();
        alone.expect(3, says).expect(3, "FERRITE_CHANNEL=");
    }
}

#[test]
fn a_program_that_a_rank_starts_does_not_join() {
    // The descriptor is closed on exec once the rank has said hello: `sh` stands for system() in a
    // program.
    let job = run(&["-n", "2", RANK, "hello", "run-again"]);
    job.expect(3, "names a descriptor that is not open");
}

#[test]
fn forked_children_have_no_say() {
    let arguments = [
        "-n",
        "2",
        RANK,
        "hello",
        "0:fork-finalize",
        "0:exit=0",
        "need=0",
    ];
    run(&arguments).expect(1, "exited without calling MPI_Finalize");
    let job = run(&["-n", "2", RANK, "hello", "fork-abort", "finalize"]);
    assert_eq!(job.code(), 0, "{}", job.err);
    assert_eq!(
        job.err.matches("MPI_Abort(9): child").count(),
        2,
        "{}",
        job.err
    );
}

#[test]
fn a_process_that_nobody_started_is_a_job_of_one() {
    let alone = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut rank = Command::new(RANK);
        rank.args(arguments).envs(variables.iter().copied());
        Running::start(&mut rank).finish()
    };
    let job = alone(&["hello", "info", "finalize"], &[]);
    let info = &job.expect_success().out;
    assert!(
        info.contains("rank=0 size=1 local=[0]") && info.contains("launcher=0 segment=None"),
        "{info}"
    );
    alone(&["hello", "abort=6"], &[]).expect(6, "MPI_Abort(6): it is over");
    alone(&["hello", "abort=512"], &[]).expect(1, "MPI_Abort(512)");
    alone(&["hello"], &[("PMI_SIZE", "4")]).expect(3, "PMI_SIZE=4");
    alone(&["hello"], &[("OMPI_COMM_WORLD_SIZE", "2")]).expect(3, "OMPI_COMM_WORLD_SIZE=2");
    let step = [
        ("SLURM_PROCID", "0"),
        ("SLURM_STEP_ID", "0"),
        ("SLURM_STEP_NUM_TASKS", "2"),
    ];
    alone(&["hello"], &step).expect(3, "SLURM_STEP_NUM_TASKS=2");
}

#[test]
fn mpiexec_within_another_launcher_s_task_starts_a_job_of_its_own() {
    let mut job = command(&["-n", "2", RANK, "hello", "finalize"]);
    Running::start(job.env("PMI_SIZE", "4").env("FERRITE_CHANNEL", "5"))
        .finish()
        .expect_success();
    let nested = format!("{} -n 2 {RANK} hello finalize", crate::MPIEXEC);
    run(&["-n", "2", "sh", "-c", &nested]).expect_success();
}
