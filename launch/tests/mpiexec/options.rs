//! Every option does what `--help` says.

use crate::{Running, command, run};
use std::io::Write;
use std::process::Stdio;

#[test]
fn several_programs_are_numbered_through() {
    let job = run(&[
        "-n",
        "2",
        "sh",
        "-c",
        "echo a $MPI_LOCALRANKID $MPI_LOCALNRANKS",
        ":",
        "--np=1",
        "sh",
        "-c",
        "echo b $MPI_LOCALRANKID $MPI_LOCALNRANKS",
    ]);
    assert_eq!(job.expect_success().lines(), ["a 0 3", "a 1 3", "b 2 3"]);
}

#[test]
fn one_rank_is_the_default() {
    assert_eq!(run(&["echo", "-n", "x y"]).expect_success().out, "x y");
}

#[test]
fn environment() {
    let show = "echo \"${A-unset} ${B-unset} ${C-unset} ${LAUNCH_TEST-unset}\"";
    let run = |options: &[&str]| {
        let line = [options, &["/bin/sh", "-c", show]].concat();
        let job = Running::start(command(&line).env("LAUNCH_TEST", "inherited")).finish();
        job.expect_success().out.trim_end().to_string()
    };
    assert_eq!(run(&[]), "unset unset unset inherited");
    assert_eq!(
        run(&["-genv", "A", "1", "-env", "B", "2", "-x", "C=3"]),
        "1 2 3 inherited"
    );
    assert_eq!(
        run(&["-env", "A", "own", "-genv", "A", "all"]),
        "own unset unset inherited"
    );
    assert_eq!(run(&["-genvnone", "-env", "A", ""]), " unset unset unset");
    assert_eq!(
        run(&["-genvnone", "-x", "LAUNCH_TEST"]),
        "unset unset unset inherited"
    );
    assert_eq!(
        run(&["-genvnone", "-envall"]),
        "unset unset unset inherited"
    );
    assert_eq!(
        run(&["-envlist", "LAUNCH_TEST,PATH"]),
        "unset unset unset inherited"
    );
    assert_eq!(run(&["-envnone"]), "unset unset unset unset");
}

#[test]
fn a_variable_to_pass_that_is_not_set_is_told() {
    run(&["-x", "LAUNCH_TEST_NOT_SET", "true"])
        .expect(0, "not set here")
        .expect_one_message();
}

#[test]
fn working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(
        run(&["-wdir", path, "pwd"]).expect_success().out.trim_end(),
        path
    );
    // A program's path is relative to it.
    std::fs::write(folder.path().join("here"), "#!/bin/sh\necho found\n").unwrap();
    let script = format!("{path}/here");
    run(&["-wd", path, "./here"])
        .expect(126, "may not be executed")
        .expect_one_message();
    std::process::Command::new("chmod")
        .args(["+x", &script])
        .status()
        .unwrap();
    assert_eq!(
        run(&["-wd", path, "./here"]).expect_success().out,
        "found\n"
    );
    run(&["-wd", path, "here"])
        .expect(127, "write ./here")
        .expect_one_message();
    run(&["-wdir", &script, "true"])
        .expect(1, "it is no directory")
        .expect_one_message();
    run(&["-wdir", "/not/there", "true"])
        .expect(1, "working directory /not/there")
        .expect_one_message();
}

#[test]
fn labels() {
    let job = run(&["-l", "-n", "2", "sh", "-c", "echo x; echo y; printf z"]);
    let job = job.expect_success();
    assert_eq!(
        job.lines(),
        ["[0] x", "[0] y", "[0] z", "[1] x", "[1] y", "[1] z"]
    );
}

#[test]
fn ranks_are_bound_to_cores() {
    let all = run(&[crate::RANK, "cpus"]).expect_success().out.clone();
    let job = run(&["-bind-to", "core", "-n", "3", crate::RANK, "cpus"]);
    let bound = job.expect_success().lines().len();
    assert_eq!(bound, 3);
    // Together the ranks cover cores of mpiexec's own and nothing else.
    let numbers = |text: &str| -> Vec<usize> {
        text.split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect()
    };
    let allowed = numbers(&all);
    assert!(
        numbers(&job.out).iter().all(|cpu| allowed.contains(cpu)),
        "{} in {all}",
        job.out
    );
    let unbound = run(&["--bind-to", "none", "-n", "1", crate::RANK, "cpus"]);
    assert_eq!(unbound.expect_success().out, all);
}

#[test]
fn standard_input_is_rank_0_s_or_another_s_or_nobody_s() {
    for (option, reader) in [
        (&[][..], Some("0")),
        (&["-stdin", "1"], Some("1")),
        (&["-s", "none"], None),
    ] {
        let line = [option, &["-l", "-n", "3", "cat"]].concat();
        let mut job = Running::start(command(&line).stdin(Stdio::piped()));
        // A reader that is not there breaks the pipe.
        let _ = job.stdin().write_all(b"one\ntwo\n");
        let expected = reader.map_or(String::new(), |rank| {
            format!("[{rank}] one\n[{rank}] two\n")
        });
        assert_eq!(job.finish().expect_success().out, expected, "{option:?}");
    }
}

#[test]
fn a_time_limit_ends_the_job() {
    let slow = ["-n", "2", "sleep", "1000"];
    let by_option = run(&[&["-timeout", "0.3"][..], &slow].concat());
    by_option
        .expect(124, "time limit of 0.3 s")
        .expect(124, "ranks still running: 0-1")
        .expect_one_message();
    let by_variable = Running::start(command(&slow).env("MPIEXEC_TIMEOUT", "0.2")).finish();
    by_variable.expect(124, "time limit of 0.2 s");
    run(&["-timeout", "1000", "true"]).expect_success();
}

#[test]
fn options_that_mean_nothing_here_are_taken() {
    let job = run(&[
        "--oversubscribe",
        "--allow-run-as-root",
        "-ppn",
        "4",
        "-n",
        "1",
        "--map-by",
        "core",
        "echo",
        "x",
    ]);
    assert_eq!(job.expect_success().out, "x\n");
}

#[test]
fn wrong_lines_end_with_one_sentence() {
    for (line, says) in [
        (&["-bindto", "core", "true"][..], "did you mean -bind-to?"),
        (&["-n", "2"], "no program to run"),
        (&["-hosts", "a,,b", "true"], "a host's name is missing"),
        (&["-n", "none", "true"], "expected a number of ranks"),
    ] {
        run(line).expect(2, says).expect_one_message();
    }
}

#[test]
fn help_and_version() {
    let help = run(&["--help"]);
    let page = &help.expect_success().out;
    for option in [
        "-np", "-genv", "-wdir", "-bind-to", "-timeout", "-stdin", "gdb", "124",
    ] {
        assert!(page.contains(option), "{option}");
    }
    assert!(page.lines().all(|line| line.len() <= 130), "{page}");
    let version = run(&["-version"]);
    assert_eq!(
        version.expect_success().out,
        format!("mpiexec (Ferrite MPI) {}\n", env!("CARGO_PKG_VERSION"))
    );
    let other_name = std::process::Command::new(env!("CARGO_BIN_EXE_mpirun"))
        .arg("-V")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&other_name.stdout), version.out);
}
