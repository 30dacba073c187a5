//! What ranks print reaches the user whole.

use crate::{DEADLINE, RANK, Running, command, ready, run};
use std::io::Read;
use std::process::Stdio;

#[test]
fn lines_of_ranks_that_write_at_the_same_time_are_whole_and_in_order() {
    const RANKS: usize = 8;
    const LINES: usize = 2000;
    let job = run(&["-n", "8", RANK, "lines=2000"]);
    let mut next = [0; RANKS];
    for line in job.expect_success().out.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let rank: usize = words[1].parse().unwrap();
        assert_eq!(
            line,
            format!(
                "rank {rank} line {} {}",
                next[rank],
                rank.to_string().repeat(60)
            )
        );
        next[rank] += 1;
    }
    assert_eq!(next, [LINES; RANKS]);
}

#[test]
fn a_line_without_end_is_ended_where_another_rank_writes() {
    let job = run(&["-n", "3", "printf", "tail"]);
    assert_eq!(job.expect_success().out, "tail\ntail\ntail");
}

#[test]
fn a_question_is_shown_before_it_is_answered() {
    let script = "if [ $MPI_LOCALRANKID = 0 ]; then printf 'name? '; read x; echo hello $x; fi";
    let mut job = Running::start(command(&["-n", "2", "sh", "-c", script]).stdin(Stdio::piped()));
    let mut answers = job.stdin();
    let mut question = [0; 6];
    assert!(ready(job.out.get_ref(), DEADLINE), "no question");
    job.out.read_exact(&mut question).unwrap();
    assert_eq!(&question, b"name? ");
    std::io::Write::write_all(&mut answers, b"me\n").unwrap();
    assert_eq!(job.finish().expect_success().out, "hello me\n");
}

#[test]
fn standard_error_is_kept_apart_and_before_what_mpiexec_says_of_the_rank() {
    let job = run(&[
        "-n",
        "2",
        "sh",
        "-c",
        "echo out; echo err $MPI_LOCALRANKID >&2; [ $MPI_LOCALRANKID = 0 ] || exit 3",
    ]);
    assert!(job.out.lines().all(|line| line == "out"), "{}", job.out);
    let lines: Vec<&str> = job.expect(3, "").err.lines().collect();
    let at = |text: &str| {
        lines
            .iter()
            .position(|line| line.contains(text))
            .unwrap_or_else(|| panic!("{text}: {lines:?}"))
    };
    assert!(at("err 1") < at("mpiexec: rank 1"), "{lines:?}");
}

#[test]
fn a_reader_that_is_slow_slows_the_ranks_and_loses_nothing() {
    // Far more than all pipes and buffers between hold.
    const BYTES: usize = 20_000_000;
    let script = format!(
        "head -c {} /dev/zero | tr '\\0' x; echo done >&2",
        BYTES / 2
    );
    let job = Running::start(&mut command(&["-n", "2", "sh", "-c", &script]));
    assert!(ready(job.out.get_ref(), DEADLINE), "no output");
    // Nothing is read yet, so no rank can finish; an mpiexec that took everything would let them
    // within this time.
    let err = job.err.as_ref().unwrap();
    let a_while = std::time::Duration::from_secs(1);
    assert!(
        !ready(err, a_while),
        "a rank has finished without its output being read"
    );
    let job = job.finish();
    assert_eq!(job.code(), 0);
    assert_eq!(job.out.bytes().filter(|&b| b == b'x').count(), BYTES);
    assert_eq!(job.err, "done\ndone\n");
}

#[test]
fn a_reader_that_goes_away_ends_the_job_as_it_would_end_a_pipeline() {
    let mut job = Running::start(&mut command(&["-n", "2", "yes"]));
    assert_eq!(job.line(), "y");
    let (_, nobody) = std::io::pipe()
        .map(|(reader, writer)| (drop(writer), reader))
        .unwrap();
    job.out = std::io::BufReader::new(std::process::ChildStdout::from(std::os::fd::OwnedFd::from(
        nobody,
    )));
    job.finish()
        .expect(141, "signal 13 (SIGPIPE")
        .expect_one_message();
}

#[test]
fn a_full_disk_is_told() {
    let mut full = command(&["-n", "2", "sh", "-c", "trap '' PIPE; echo x; true"]);
    let full_disk = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = full
        .stdout(full_disk)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("cannot write to standard output: "), "{err}");
    assert!(!output.status.success());
}

#[test]
fn one_rank_has_mpiexec_s_own_output() {
    let own = |file: &std::fs::File| {
        let stat = rustix::fs::fstat(file).unwrap();
        format!("{}\n", stat.st_ino)
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut job = command(&["sh", "-c", "stat -L -c %i /proc/self/fd/1"]);
    assert!(
        job.stdout(file.reopen().unwrap())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        std::fs::read_to_string(file.path()).unwrap(),
        own(file.as_file())
    );
}
