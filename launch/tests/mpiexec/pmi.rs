//! Programs that speak PMI-1: a shell script has their place.

use crate::hosts::Shell;
use crate::{RANK, run};

/// Functions of a client: `ask LINE` prints the answer.
const CLIENT: &str = r#"
ask() { echo "$1" >&$PMI_FD; read -r answer <&$PMI_FD; echo "$answer"; }
ask 'cmd=init pmi_version=1 pmi_subversion=1' >/dev/null
kvs=$(ask cmd=get_my_kvsname | sed 's/.*kvsname=//')
value() { ask "cmd=get kvsname=$kvs key=$1" | sed 's/.*value=//'; }
"#;

fn client(script: &str) -> Vec<String> {
    ["bash", "-c", &format!("{CLIENT}{script}")]
        .map(String::from)
        .to_vec()
}

fn with<'a>(arguments: &[&'a str], program: &'a [String]) -> Vec<&'a str> {
    let program = program.iter().map(String::as_str);
    arguments.iter().copied().chain(program).collect()
}

/// Every rank leaves something, and reads what the next one left.
const EXCHANGE: &str = r#"
ask "cmd=put kvsname=$kvs key=from-$PMI_RANK value=v$PMI_RANK" >/dev/null
ask cmd=barrier_in >/dev/null
echo $PMI_RANK/$PMI_SIZE $(value from-$(( (PMI_RANK + 1) % PMI_SIZE ))) $(value PMI_process_mapping)
ask cmd=finalize
"#;

#[test]
fn ranks_find_each_other_on_one_host_and_on_two() {
    let program = client(EXCHANGE);
    let found = |mapping: &str| {
        let mut lines: Vec<String> = (0..3)
            .map(|r| format!("{r}/3 v{} {mapping}", (r + 1) % 3))
            .collect();
        lines.extend(["cmd=finalize_ack rc=0"; 3].map(String::from));
        lines
    };
    let job = run(&with(&["-n", "3"], &program));
    assert_eq!(job.expect_success().lines(), found("(vector,(0,1,3))"));
    let shell = Shell::new();
    let job = shell.run(&with(&["-hosts", "a,b", "-n", "3"], &program));
    assert_eq!(
        job.expect_success().lines(),
        found("(vector,(0,2,1),(0,1,1))")
    );
    let job = shell.run(&with(&["-hosts", "a:2,b:2", "-n", "3"], &program));
    assert_eq!(
        job.expect_success().lines(),
        found("(vector,(0,1,2),(1,1,1))")
    );
}

#[test]
fn a_program_that_leaves_without_finalize_ends_the_job() {
    let program = client("[ $PMI_RANK = 1 ] && exit 0; ask cmd=barrier_in");
    run(&with(&["-n", "2"], &program))
        .expect(1, "rank 1 (process ")
        .expect(1, "exited without calling MPI_Finalize")
        .expect_one_message();
}

#[test]
fn an_abort_ends_the_job_with_its_code() {
    let program = client(
        "[ $PMI_RANK = 1 ] && ask 'cmd=abort exitcode=7 message=no luck'; ask cmd=barrier_in",
    );
    Shell::new()
        .run(&with(&["-hosts", "a,b", "-n", "2"], &program))
        .expect(7, "rank 1 on b (process ")
        .expect(7, "called MPI_Abort(7): no luck")
        .expect_one_message();
}

#[test]
fn a_second_program_in_a_rank_is_refused() {
    let twice = "ask cmd=finalize; ask 'cmd=init pmi_version=1 pmi_subversion=1'";
    let job = run(&with(&["-n", "2"], &client(twice)));
    job.expect(1, "an MPI program in it was refused");
    assert!(
        job.out.contains("cmd=response_to_init rc=-1"),
        "{}",
        job.out
    );
    // A rank alone may run one after the other, of either kind.
    let job = run(&with(&["-n", "1"], &client(twice)));
    job.expect(0, "");
    assert!(job.out.contains("cmd=response_to_init rc=0"), "{}", job.out);
    let both = format!("ask cmd=finalize; {RANK} hello say=in finalize");
    let job = run(&with(&["-n", "1"], &client(&both)));
    assert_eq!(job.expect_success().out, "cmd=finalize_ack rc=0\nin\n");
}

#[test]
fn what_another_launcher_has_set_is_not_seen() {
    let mut job = crate::command(&[
        "-n",
        "2",
        "sh",
        "-c",
        "echo $PMI_SIZE$PMI_PORT$PMI_ID$PMIX_RANK",
    ]);
    job.envs([
        ("PMI_SIZE", "7"),
        ("PMI_PORT", "h:1"),
        ("PMI_ID", "3"),
        ("PMIX_RANK", "4"),
    ]);
    let job = crate::Running::start(&mut job).finish();
    assert_eq!(job.expect_success().out, "2\n2\n");
}
