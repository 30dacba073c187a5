//! Jobs over several hosts. A script has ssh's place: it runs on this machine what it would have
//! run on another.

use crate::{Finished, MPIEXEC, RANK, Running, command, field, run};
use rustix::process::Signal;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// A stand-in for ssh.
pub(crate) struct Shell {
    folder: tempfile::TempDir,
}

impl Shell {
    /// Connects always.
    pub(crate) fn new() -> Shell {
        Shell::with("")
    }

    /// Does this first. `$host` is the host, `$dir` a folder of its own.
    pub(crate) fn with(first: &str) -> Shell {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().display();
        let script = format!(
            "#!/bin/sh\ndir={dir}\necho \"$@\" >>$dir/calls\nwhile [ $# -gt 2 ]; do shift; \
             done\nhost=$1\n{first}\nexec sh -c \"$2\"\n"
        );
        let path = folder.path().join("ssh");
        std::fs::write(&path, script).expect("a script");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        Shell { folder }
    }

    fn path(&self) -> String {
        self.folder.path().join("ssh").display().to_string()
    }

    /// How it has been called, one line each.
    fn calls(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }

    /// mpiexec with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let path = self.path();
        let mut words = vec!["-launcher-exec", &path];
        words.extend(arguments);
        command(&words)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        Running::start(&mut self.command(arguments)).finish()
    }
}

#[test]
fn one_job_over_three_hosts() {
    let shell = Shell::new();
    let job = shell.run(&[
        "-hosts",
        "h1,localhost,h2",
        "-n",
        "5",
        "-l",
        RANK,
        "hello",
        "info",
        "finalize",
    ]);
    let lines = job.expect_success().lines();
    assert_eq!(lines.len(), 5);
    let word = |line: &str, name: &str| {
        let found = line
            .split_once("] ")
            .unwrap()
            .1
            .split(' ')
            .find(|w| w.starts_with(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {line}"))
            .to_string()
    };
    for (rank, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("[{rank}] job=")), "{line}");
        assert_eq!(field(line, "rank"), rank as i32);
        assert_eq!(word(line, "job="), word(lines[0], "job="));
    }
    for (host, rank, local) in [
        (0, 0, "[0, 3]"),
        (1, 1, "[1, 4]"),
        (0, 3, "[0, 3]"),
        (1, 4, "[1, 4]"),
    ] {
        assert!(
            lines[rank].contains(&format!("local={local}")),
            "{}",
            lines[rank]
        );
        assert_eq!(word(lines[rank], "segment="), word(lines[host], "segment="));
        assert_eq!(
            word(lines[rank], "launcher="),
            word(lines[host], "launcher=")
        );
    }
    // Who is alone on its host shares no memory.
    assert!(
        lines[2].contains("local=[2]") && lines[2].contains("segment=None"),
        "{}",
        lines[2]
    );
    assert_ne!(word(lines[0], "segment="), word(lines[1], "segment="));
    assert_ne!(word(lines[0], "launcher="), word(lines[2], "launcher="));
}

#[test]
fn cards_are_exchanged_between_hosts() {
    let job = Shell::new().run(&[
        "-hosts",
        "h1,h2",
        "-n",
        "2",
        RANK,
        "hello",
        "0:fetch=1",
        "publish=at;here",
        "1:publish=tcp:x",
        "1:fetch=0",
        "finalize",
    ]);
    // The published text holds what no launcher can carry.
    job.expect(
        101,
        "a network's card of 7 bytes is too long, or holds what no launcher can carry",
    );
    let job = Shell::new().run(&[
        "-hosts",
        "h1,h2,localhost",
        "-n",
        "3",
        RANK,
        "hello",
        "0:fetch=1",
        "0:publish=zero",
        "1:publish=one",
        "1:fetch=0",
        "2:publish=",
        "2:fetch=0",
        "fetch=2",
        "0:fetch=3",
        "finalize",
    ]);
    let lines = job.expect_success().lines();
    let expected = [
        "card=",
        "card=",
        "card=",
        "card=one",
        "card=zero",
        "card=zero",
        "error: mpiexec: rank 3 is none of this job's, which has 3",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn members_alone_know_the_secret() {
    let shell = Shell::with("cp /proc/$$/environ $dir/environ");
    let job = shell.run(&[
        "-hosts",
        "h1,localhost",
        "-n",
        "2",
        RANK,
        "hello",
        "secret",
        "finalize",
    ]);
    let lines = job.expect_success().lines();
    assert_eq!((lines.len(), lines[0]), (2, lines[1]));
    let secret = lines[0].strip_prefix("secret=").unwrap();
    assert_eq!(secret.len(), 64);
    assert_ne!(secret, "0".repeat(64));
    // Nothing of the job stands in what starts the agent.
    let call =
        format!("-x -o BatchMode=yes -o ConnectTimeout=10 h1 exec {MPIEXEC} --ferrite-agent\n");
    assert_eq!(shell.calls(), call);
    let environ = std::fs::read(shell.folder.path().join("environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environ).contains(secret));
}

#[test]
fn placements() {
    let ranks = |arguments: &[&str]| {
        let program = [
            "sh",
            "-c",
            "echo $PMI_RANK $MPI_LOCALRANKID/$MPI_LOCALNRANKS",
        ];
        let job = Shell::new().run(&[arguments, &program].concat());
        job.lines()
            .iter()
            .map(|line| line.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ranks(&["-hosts", "a:2,b:2", "-n", "4"]),
        ["0 0/2", "1 1/2", "2 0/2", "3 1/2"]
    );
    assert_eq!(
        ranks(&["-hosts", "a,b", "-n", "4"]),
        ["0 0/2", "1 0/2", "2 1/2", "3 1/2"]
    );
    assert_eq!(
        ranks(&["-hosts", "a,b", "-ppn", "2", "-n", "3"]),
        ["0 0/2", "1 1/2", "2 0/1"]
    );
    let map = Shell::new().run(&["-print-map", "-hosts", "a:2,localhost", "-n", "4", "true"]);
    map.expect(0, "mpiexec: a: ranks 0-1,3\nmpiexec: localhost: rank 2\n")
        .expect(
            0,
            "mpiexec: more ranks than slots on a: they share processors\n",
        );
    let quiet = ["-oversubscribe", "-hosts", "a:1", "-n", "2", "true"];
    Shell::new().run(&quiet).expect_success();
}

#[test]
fn a_hostfile_and_one_list_for_each_program() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"# two\na slots=2\n\nb:1\n").unwrap();
    let path = &file.path().to_str().unwrap().to_string();
    let job = Shell::new().run(&["-f", path, "-n", "3", "-print-map", "true"]);
    job.expect(0, "a: ranks 0-1\nmpiexec: b: rank 2\n");
    let job = Shell::new().run(&[
        "-print-map",
        "-host",
        "a",
        "-n",
        "1",
        "true",
        ":",
        "-host",
        "b",
        "-n",
        "2",
        "true",
    ]);
    job.expect(0, "a: rank 0\nmpiexec: b: ranks 1-2\n");
    file.write_all(b"c d\n").unwrap();
    run(&["-f", path, "true"]).expect(2, &format!("{path}:5: \"d\" after the host's name"));
}

#[test]
fn this_machine_needs_no_ssh() {
    let shell = Shell::with("exit 9");
    shell
        .run(&[
            "-hosts",
            "localhost,127.0.0.1,[::1]:2",
            "-n",
            "4",
            RANK,
            "hello",
            "finalize",
        ])
        .expect_success();
    assert_eq!(shell.calls(), "");
}

#[test]
fn agents_start_agents() {
    let shell = Shell::new();
    let arguments = [
        "-tree-width",
        "2",
        "-hosts",
        "a,b,c,d,e,f,g",
        "-n",
        "14",
        RANK,
        "hello",
        "info",
        "finalize",
    ];
    let job = shell.run(&arguments);
    let mut ranks: Vec<i32> = job
        .expect_success()
        .out
        .lines()
        .map(|l| field(l, "rank"))
        .collect();
    ranks.sort_unstable();
    assert_eq!(ranks, (0..14).collect::<Vec<_>>());
    // Each is started once.
    let calls = shell.calls();
    let mut hosts: Vec<&str> = calls
        .lines()
        .map(|line| line.split(' ').nth(5).unwrap())
        .collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn variables_travel_but_for_those_of_a_host() {
    let shell = Shell::with("export HOSTNAME=$host HOME=/nowhere ONLY_THERE=1");
    let show = "echo $A,$HOSTNAME,$HOME,$ONLY_THERE,$B";
    let out = |arguments: &[&str]| {
        let mut command = shell.command(&[arguments, &["sh", "-c", show]].concat());
        command
            .env("A", "travels")
            .env("HOSTNAME", "here")
            .env("B", "b");
        let job = Running::start(&mut command).finish();
        job.expect_success().out.trim_end().to_string()
    };
    assert_eq!(out(&["-hosts", "h1"]), "travels,h1,/nowhere,,b");
    assert_eq!(
        out(&["-hosts", "h1", "-envlist", "PATH,B,HOSTNAME"]),
        ",here,,,b"
    );
    assert_eq!(
        out(&["-hosts", "h1", "-envnone", "-env", "A", "set"]),
        "set,,,,"
    );
    assert_eq!(
        out(&["-hosts", "h1", "-x", "HOSTNAME"]),
        "travels,here,/nowhere,,b"
    );
}

#[test]
fn standard_input_and_output_of_other_hosts() {
    let shell = Shell::new();
    let mut text = Vec::new();
    for line in 0..100_000 {
        writeln!(text, "line {line}").unwrap();
    }
    for stdin in [&["-n", "1"][..], &["-n", "2", "-stdin", "1"]] {
        let program = ["sh", "-c", "cat; echo over >&2"];
        let mut command = shell.command(&[&["-hosts", "a,b"], stdin, &program].concat());
        command.stdin(Stdio::piped());
        let mut job = Running::start(&mut command);
        let mut stdin = job.stdin();
        let bytes = text.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&bytes));
        let job = job.finish();
        writer.join().unwrap().unwrap();
        job.expect(0, "over");
        assert!(
            job.out.as_bytes() == text,
            "{} of {} bytes",
            job.out.len(),
            text.len()
        );
    }
    // A file is no pipe, and who does not read is not waited for.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&text).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = shell.command(&["-hosts", "a", "-n", "1", "head", "-n", "1"]);
    let job = Running::start(command.stdin(file)).finish();
    assert_eq!(job.expect_success().out, "line 0\n");
}

#[test]
fn whole_lines_from_every_host() {
    let job = Shell::new().run(&[
        "-hosts",
        "a,b,localhost",
        "-n",
        "6",
        "-l",
        RANK,
        "lines=300",
    ]);
    let mut next = [0; 6];
    for line in job.expect_success().out.lines() {
        let rank: usize = line[1..2].parse().unwrap();
        assert!(line.starts_with(&format!("[{rank}] rank ")), "{line}");
        assert!(line.contains(&format!(" line {} ", next[rank])), "{line}");
        next[rank] += 1;
    }
    assert_eq!(next, [300; 6]);
}

#[test]
fn a_reader_that_goes_away_ends_writers_on_other_hosts() {
    let shell = Shell::new();
    let script = format!(
        "{MPIEXEC} -launcher-exec {} -hosts a,b -n 2 yes | head -n 3; exit ${{PIPESTATUS[0]}}",
        shell.path()
    );
    let job = Running::start(Command::new("bash").args(["-c", &script])).finish();
    job.expect(141, "SIGPIPE");
    assert_eq!(job.out, "y\ny\ny\n");
}

#[test]
fn signals_reach_other_hosts() {
    let shell = Shell::new();
    let arguments = ["-hosts", "a,localhost,b", "-n", "3", RANK, "catch=10"];
    let mut job = Running::start(&mut shell.command(&arguments));
    for _ in 0..3 {
        assert_eq!(job.line(), "ready");
    }
    job.signal(Signal::USR1);
    let job = job.finish();
    assert_eq!(job.expect_success().out.matches("caught 10").count(), 3);
}

#[test]
fn the_doctor_sees_two_healthy_hosts() {
    let job = Shell::new().run(&["--doctor", "a", "localhost"]);
    for says in [
        "host a\n  ok       ssh",
        "host localhost (this machine)\n",
        "  ok       clock",
        "connections between hosts (TCP)",
    ] {
        assert!(job.out.contains(says), "{says:?} is not in {}", job.out);
    }
    // A machine without a network has no connections, which is a problem that it names.
    let connected = job.out.contains("a -> localhost");
    assert!(
        connected || job.out.contains("no interface but loopback"),
        "{}",
        job.out
    );
    assert_eq!(
        job.code(),
        i32::from(job.out.contains("there are problems")),
        "{}",
        job.out
    );
}

#[test]
fn the_doctor_names_what_is_wrong() {
    let job =
        Shell::with("echo 'Permission denied (publickey).' >&2; exit 255").run(&["--doctor", "a"]);
    assert_eq!(job.code(), 1);
    assert!(job.out.contains("  problem  ssh"), "{}", job.out);
    assert!(job.out.contains("ssh-copy-id"), "{}", job.out);
    let shell = Shell::new();
    let mut command = shell.command(&["--doctor"]);
    let job = Running::start(command.env("FERRITE_PORT_RANGE", "9-1")).finish();
    job.expect(2, "FERRITE_PORT_RANGE=9-1: expected FIRST-LAST");
}
