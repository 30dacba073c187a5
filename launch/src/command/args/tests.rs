//! The command line: what is understood, and what is refused with which words.

use super::*;

fn parsed(line: &[&str]) -> Result<Command, Usage> {
    parse(line.iter().map(OsString::from).collect(), |name| {
        (name == "HOME").then(|| "/home/me".into())
    })
}

fn job(line: &[&str]) -> JobRequest {
    match parsed(line) {
        Ok(Command::Run(job)) => job,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn refused(line: &[&str]) -> String {
    match parsed(line) {
        Err(Usage(sentence)) => sentence,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn spellings() {
    for line in [
        &["-n", "4", "a"][..],
        &["-np", "4", "a"],
        &["--n", "4", "a"],
        &["--np=4", "a"],
        &["-c=4", "a"],
        &["-n", "4", "--", "a"],
    ] {
        let job = job(line);
        assert_eq!(
            (job.programs[0].count, &job.programs[0].words),
            (Some(4), &vec!["a".into()])
        );
    }
}

#[test]
fn what_follows_the_program_is_its_own() {
    let job = job(&[
        "-n", "2", "./a", "-n", "3", "--help", ":", "-l", "--", "-b", "--", "-x",
    ]);
    assert_eq!(job.programs[0].words, ["./a", "-n", "3", "--help"]);
    assert_eq!(job.programs[1].words, ["-b", "--", "-x"]);
    assert_eq!(job.programs[1].count, None);
    assert!(job.label);
}

#[test]
fn environment_options() {
    let job = job(&[
        "-genv",
        "A",
        "1",
        "-genv",
        "B=2",
        "-env",
        "C",
        "x=y",
        "-x",
        "HOME",
        "-x",
        "D=4",
        "-genvlist",
        "P,Q",
        "-envnone",
        "a",
        ":",
        "-env=E=5",
        "b",
    ]);
    let set = |e: &Environment| -> Vec<String> {
        e.set
            .iter()
            .map(|(n, v)| format!("{}={}", n.to_str().unwrap(), v.to_str().unwrap()))
            .collect()
    };
    assert_eq!(set(&job.environment), ["A=1", "B=2"]);
    assert_eq!(
        set(&job.programs[0].environment),
        ["C=x=y", "HOME=/home/me", "D=4"]
    );
    assert_eq!(set(&job.programs[1].environment), ["E=5"]);
    assert_eq!(
        job.environment.inherit,
        Some(Inherit::List(vec!["P".into(), "Q".into()]))
    );
    assert_eq!(job.programs[0].environment.inherit, Some(Inherit::Nothing));
    assert_eq!(job.programs[1].environment.inherit, None);
}

#[test]
fn a_variable_that_is_not_set_cannot_be_passed() {
    let job = job(&["-x", "NOT_SET", "a"]);
    assert!(job.programs[0].environment.set.is_empty());
    assert_eq!(
        job.warnings,
        ["-x NOT_SET: that variable is not set here, so it is not passed"]
    );
}

#[test]
fn limits_and_places() {
    let job = job(&[
        "-timeout",
        "1.5",
        "--bind-to",
        "core",
        "-s",
        "none",
        "-wdir",
        "/tmp",
        "a",
    ]);
    assert_eq!(job.timeout, Some(Duration::from_millis(1500)));
    assert_eq!((job.bind, job.stdin), (Some(Bind::Core), Stdin::None));
    assert!(
        super::tests::job(&["-timeout", "1e19", "a"])
            .timeout
            .is_some()
    );
    assert_eq!(job.programs[0].directory, Some("/tmp".into()));
    let limited = parse(vec!["a".into()], |name| {
        (name == "MPIEXEC_TIMEOUT").then(|| "3".into())
    });
    assert!(
        matches!(limited, Ok(Command::Run(job)) if job.timeout == Some(Duration::from_secs(3)))
    );
}

#[test]
fn options_that_mean_nothing_here() {
    let line = [
        "--oversubscribe",
        "--allow-run-as-root",
        "-ppn",
        "2",
        "--map-by",
        "slot:OVERSUBSCRIBE",
        "a",
    ];
    assert_eq!(job(&line).programs[0].words, ["a"]);
    let slots = job(&["-map-by", "slot:OVERSUBSCRIBE", "a"]);
    assert!(slots.oversubscribe);
    assert!(refused(&["--map-by", "ppr:2:socket", "a"]).contains("slot, core, node or"));
}

#[test]
fn hosts_hold_for_the_programs_that_follow() {
    let of = |job: &JobRequest| -> Vec<Option<usize>> {
        let programs = job.programs.iter();
        programs.map(|p| p.hosts.as_ref().map(Vec::len)).collect()
    };
    let three = job(&["a", ":", "-hosts", "x,y:2", "b", ":", "c"]);
    assert_eq!(of(&three), [None, Some(2), Some(2)]);
    let own = job(&["-H", "x", "-host=y", "a", ":", "-H", "z", "b"]);
    assert_eq!(of(&own), [Some(2), Some(1)]);
    assert_eq!(job(&["--map-by", "node", "a"]).per_host, Some(1));
    assert_eq!(job(&["--map-by", "ppr:3:node", "a"]).per_host, Some(3));
    assert_eq!(
        job(&["-ppn", "2", "--map-by", "slot", "a"]).per_host,
        Some(2)
    );
}

#[test]
fn hostfiles_are_read_and_their_errors_name_file_and_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"x slots=2\ny\n").unwrap();
    let path = file.path().to_str().unwrap().to_string();
    for option in ["-f", "-hostfile", "--machinefile"] {
        let job = job(&[option, &path, "a"]);
        assert_eq!(job.programs[0].hosts.as_ref().map(Vec::len), Some(2));
    }
    let variable = |name: &str| (name == "HYDRA_HOST_FILE").then(|| path.clone().into());
    match parse(vec!["a".into()], variable) {
        Ok(Command::Run(job)) => assert!(job.programs[0].hosts.is_some()),
        other => panic!("{other:?}"),
    }
    std::io::Write::write_all(&mut file, b"z 4\n").unwrap();
    assert!(refused(&["-f", &path, "a"]).starts_with(&format!("{path}:3: \"4\"")));
    assert!(refused(&["-f", "/no/such", "a"]).contains("/no/such cannot be read"));
}

#[test]
fn a_doctor_takes_hosts_where_a_program_would_stand() {
    let looked = |line: &[&str]| match parsed(line) {
        Ok(Command::Doctor(job)) => job.programs[0].hosts.as_ref().map_or(0, Vec::len),
        other => panic!("{line:?}: {other:?}"),
    };
    assert_eq!(looked(&["--doctor"]), 0);
    assert_eq!(looked(&["--doctor", "-hosts", "a,b", "c", "d,e"]), 5);
    assert!(refused(&["--doctor", "a:x"]).contains("no number of ranks"));
}

#[test]
fn wrong_lines_are_answered() {
    for (line, says) in [
        (&[][..], "no program to run"),
        (&["-n", "2"], "no program to run"),
        (&["a", ":"], "':'"),
        (&[":", "a"], "':'"),
        (&["-n", "0", "a"], "at least 1"),
        (&["-n", "two", "a"], "-n two: expected a number"),
        (&["-n"], "-n needs a value"),
        (&["-env", "A"], "-env needs NAME VALUE"),
        (&["-bind-to", "socket", "a"], "core or none"),
        (&["-timeout", "-1", "a"], "more than 0"),
        (&["-timeout", "nan", "a"], "more than 0"),
        (&["-l=yes", "a"], "-l takes no value"),
        (&["-stdin", "all", "a"], "one rank, or none"),
        (&["-bindto", "core", "a"], "did you mean -bind-to?"),
        (
            &["-hosts", "a,,b", "a"],
            "-hosts a,,b: a host's name is missing",
        ),
        (&["-ppn", "0", "a"], "at least 1"),
        (&["-launcher", "slurm", "a"], "expected ssh"),
        (&["-tree-width", "0", "a"], "at least 1"),
    ] {
        let sentence = refused(line);
        assert!(sentence.contains(says), "{line:?}: {sentence}");
    }
}

#[test]
fn what_holds_for_all_programs_is_said_once() {
    let warned = |line: &[&str]| job(line).warnings;
    assert_eq!(warned(&["-ppn", "2", "a", ":", "-ppn", "2", "b"]), [""; 0]);
    let twice = warned(&["-ppn", "2", "a", ":", "-ppn", "3", "b"]);
    assert!(
        twice[0].contains("-ppn holds for all programs"),
        "{twice:?}"
    );
    let twice = warned(&["-bind-to", "core", "a", ":", "-bind-to=none", "b"]);
    assert!(
        twice[0].contains("-bind-to holds for all programs"),
        "{twice:?}"
    );
}

#[test]
fn help_and_version_stand_before_everything_else() {
    assert!(matches!(parsed(&["--help"]), Ok(Command::Help)));
    assert!(matches!(parsed(&["-version", "-n"]), Ok(Command::Version)));
}
