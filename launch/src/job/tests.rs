//! What a job makes of what happens to it, with made-up times.

use super::*;
use crate::plan::Program;

const CRASH: End = End::Signal {
    signal: libc::SIGSEGV,
    core: false,
};

fn job(ranks: usize) -> Job {
    on_nodes(vec![0; ranks])
}

/// A rank for each number, on the node with this number.
fn on_nodes(node_of: Vec<u32>) -> Job {
    let ranks = node_of.len();
    let nodes = node_of.iter().max().unwrap() + 1;
    let spec = Spec {
        nodes: (1..=nodes).map(|node| format!("h{node}")).collect(),
        node_of,
        programs: vec![Program {
            count: ranks as u32,
            words: vec!["./a".into()],
            variables: Vec::new(),
            of_host: true,
            directory: None,
        }],
        ..Spec::default()
    };
    let mut job = Job::new(&spec, Some(0));
    for rank in 0..ranks as u32 {
        job.started(rank, pid(rank));
    }
    job
}

fn pid(rank: u32) -> Pid {
    Pid::from_raw(100 + rank as i32).unwrap()
}

fn said(effects: &[Effect]) -> Vec<&str> {
    let mut said = Vec::new();
    for effect in effects {
        if let Effect::Say(sentence) = effect {
            said.push(sentence.as_str());
        }
    }
    said
}

#[test]
fn the_first_failure_decides_and_is_the_only_one_told() {
    let (mut job, now) = (job(3), Instant::now());
    job.ended(1, CRASH, "", now);
    let effects = job.effects();
    assert!(said(&effects)[0].starts_with("rank 1 (process 101, ./a) was killed by signal 11"));
    assert_eq!(effects[1], Effect::Terminate);
    job.ended(0, End::Code(5), "", now);
    assert_eq!(job.effects(), []);
    assert!(!job.is_over());
    job.tick(now + GRACE);
    assert_eq!(job.effects(), [Effect::Kill]);
    job.ended(
        2,
        End::Signal {
            signal: libc::SIGKILL,
            core: false,
        },
        "",
        now,
    );
    assert!(job.is_over());
    assert_eq!(job.outcome(), Outcome::Exit(139));
}

#[test]
fn interrupts_pass_count_and_kill() {
    let (mut job, now) = (job(2), Instant::now());
    job.signal(libc::SIGINT, false, now);
    assert_eq!(job.effects(), [Effect::PassOn(libc::SIGINT)]);
    job.signal(libc::SIGINT, false, now + SAME_INTERRUPT / 2);
    assert_eq!(job.effects(), []);
    // Long after, it is a first one again.
    job.signal(libc::SIGINT, true, now + AGAIN_WITHIN);
    assert_eq!(job.effects(), []);
    job.signal(libc::SIGINT, true, now + AGAIN_WITHIN * 3 / 2);
    let effects = job.effects();
    assert!(said(&effects)[0].starts_with("SIGINT again"));
    assert!(effects.contains(&Effect::Kill));
    assert_eq!(job.outcome(), Outcome::Interrupted);
}

#[test]
fn a_rank_alone_with_its_terminal_is_never_killed_by_interrupts() {
    let (mut job, now) = (job(1), Instant::now());
    for press in 0..5 {
        job.signal(libc::SIGINT, true, now + SAME_INTERRUPT * 2 * press);
    }
    assert_eq!(job.effects(), []);
}

#[test]
fn an_interrupt_while_the_job_ends_is_not_passed_and_a_second_kills() {
    let (mut job, now) = (job(2), Instant::now());
    job.ended(0, CRASH, "", now);
    job.effects();
    job.signal(libc::SIGINT, false, now);
    assert_eq!(job.effects(), []);
    job.signal(libc::SIGINT, false, now + SAME_INTERRUPT * 2);
    assert_eq!(job.effects(), [Effect::Kill]);
    assert_eq!(job.outcome(), Outcome::Exit(139));
}

#[test]
fn a_rank_that_somebody_interrupts_has_failed_like_any_other() {
    let (mut job, now) = (job(2), Instant::now());
    job.ended(
        1,
        End::Signal {
            signal: libc::SIGINT,
            core: false,
        },
        "",
        now,
    );
    assert!(said(&job.effects())[0].contains("was killed by signal 2 (SIGINT: interrupt)"));
    assert_eq!(job.outcome(), Outcome::Exit(130));
}

#[test]
fn finalized_counts_from_the_process_that_said_hello_only() {
    let (mut job, now) = (job(2), Instant::now());
    for rank in 0..2 {
        assert_eq!(
            job.hello(rank, ferrite_client::wire::VERSION, Some(pid(rank))),
            Answer::Welcome
        );
    }
    job.finalized(0, Some(pid(0)));
    job.finalized(1, Some(pid(7)));
    job.ended(0, End::Code(0), "", now);
    assert_eq!(job.effects(), []);
    job.ended(1, End::Code(0), "", now);
    assert_eq!(
        said(&job.effects()),
        ["warning: rank 1 exited without MPI_Finalize"]
    );
}

/// A job whose ranks have said hello.
fn joined(ranks: usize) -> Job {
    let mut job = job(ranks);
    for rank in 0..ranks as u32 {
        let answer = job.hello(rank, ferrite_client::wire::VERSION, Some(pid(rank)));
        assert_eq!(answer, Answer::Welcome);
    }
    job
}

#[test]
fn ranks_that_speak_pmi_leave_with_0_without_finalize_at_the_same_time() {
    let (mut job, now) = (joined(4), Instant::now());
    job.finalized(2, Some(pid(2)));
    for rank in [3, 2, 0] {
        job.ended(rank, End::Code(0), "", now);
        job.tick(now + PARTING / 2);
        assert_eq!(
            (job.effects(), job.deadline()),
            (vec![], Some(now + PARTING))
        );
    }
    // The first one's time counts.
    job.ended(1, End::Code(0), "", now + PARTING / 2);
    assert_eq!(
        job.effects(),
        [Effect::Say(
            "warning: ranks 0-1,3 exited without MPI_Finalize".into()
        )]
    );
    assert!(job.is_over());
    assert_eq!(job.outcome(), Outcome::Exit(0));
}

#[test]
fn a_rank_that_leaves_without_finalize_fails_when_others_that_cannot_tell_run_on() {
    let (mut job, now) = (joined(3), Instant::now());
    job.ended(1, End::Code(0), "", now);
    job.finalized(0, Some(pid(0)));
    job.ended(0, End::Code(0), "", now);
    job.tick(now + PARTING);
    let effects = job.effects();
    assert_eq!(
        said(&effects),
        [
            "rank 1 (process 101, ./a) exited without calling MPI_Finalize; the other ranks are \
             ended (SIGTERM, and SIGKILL after 1 s)"
        ]
    );
    assert_eq!(effects[1], Effect::Terminate);
    // Too late to count.
    job.ended(2, End::Code(0), "", now + PARTING);
    assert_eq!(job.effects(), []);
    assert_eq!(job.outcome(), Outcome::Exit(1));
}

#[test]
fn a_failure_after_a_rank_left_without_finalize_names_both() {
    for (end, status) in [(CRASH, 139), (End::Code(6), 6)] {
        let (mut job, now) = (joined(3), Instant::now());
        job.ended(0, End::Code(0), "", now);
        job.ended(2, end, "", now);
        let effects = job.effects();
        assert!(said(&effects)[0].starts_with("rank 2 (process 102, ./a) "));
        assert!(
            said(&effects)[0]
                .contains("; before that, rank 0 exited without calling MPI_Finalize; ")
        );
        assert_eq!(effects[1..], [Effect::Terminate]);
        assert_eq!(job.outcome(), Outcome::Exit(status));
    }
}

#[test]
fn a_code_after_finalize_outlives_the_warning() {
    let (mut job, now) = (joined(2), Instant::now());
    job.finalized(0, Some(pid(0)));
    job.ended(0, End::Code(4), "", now);
    job.ended(1, End::Code(0), "", now);
    assert_eq!(
        said(&job.effects())[1..],
        ["warning: rank 1 exited without MPI_Finalize"]
    );
    assert_eq!(job.outcome(), Outcome::Exit(4));
}

#[test]
fn the_0_of_a_wrapper_says_nothing_of_the_program_in_it() {
    let (mut job, now) = (job(2), Instant::now());
    for rank in 0..2 {
        job.hello(rank, ferrite_client::wire::VERSION, Some(pid(rank + 10)));
    }
    job.ended(0, End::Code(0), "", now);
    assert!(said(&job.effects())[0].contains("exited without calling MPI_Finalize"));
    assert_eq!(job.outcome(), Outcome::Exit(1));
}

#[test]
fn leftovers_have_a_moment_then_a_request_then_none() {
    let (mut job, now) = (job(1), Instant::now());
    job.ended(0, End::Code(0), "", now);
    job.leftovers(now);
    assert_eq!((job.effects(), job.deadline()), (vec![], Some(now + GRACE)));
    job.tick(now + GRACE);
    assert_eq!(job.effects(), [Effect::Terminate]);
    job.tick(now + GRACE * 2);
    assert_eq!(job.effects(), [Effect::Kill]);
    assert_eq!(job.outcome(), Outcome::Exit(0));
}

/// A job whose ranks tell their waits, of which some have left.
fn parted(ranks: usize, left: &[u32], now: Instant) -> Job {
    let mut job = joined(ranks);
    for rank in 0..ranks as u32 {
        job.tells_waits(rank);
    }
    for &rank in left {
        job.ended(rank, End::Code(0), "", now);
    }
    assert_eq!((job.effects(), job.deadline()), (vec![], None));
    job
}

fn wait(quiet: u32, known: u32) -> Wait {
    Wait {
        quiet,
        known,
        ..Wait::default()
    }
}

#[test]
fn who_has_left_is_missed_by_whoever_needs_it() {
    let now = Instant::now();
    let mut job = parted(3, &[2], now);
    let told = job.waiting(0, &wait(100, 0), now);
    assert_eq!((told.ranks, told.all_finalize), (vec![2], false));
    let needs = Wait {
        needs: Some(2),
        ..wait(0, 1)
    };
    job.waiting(0, &needs, now);
    assert_eq!(
        said(&job.effects()),
        [
            "rank 2 (process 102, ./a) exited without calling MPI_Finalize, and rank 0 waits for \
             it; the other ranks are ended \
             (SIGTERM, and SIGKILL after 1 s)"
        ]
    );
    assert_eq!(job.outcome(), Outcome::Exit(1));
    // One that has not left may be waited for.
    let mut job = parted(3, &[2], now);
    let needs = Wait {
        needs: Some(1),
        ..wait(0, 1)
    };
    job.waiting(0, &needs, now);
    assert_eq!(job.effects(), []);
}

#[test]
fn all_wait_at_the_same_time_or_the_job_goes_on() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut job = parted(4, &[2], now);
    job.finalized(3, Some(pid(3)));
    job.waiting(0, &wait(9, 1), at(9));
    // Not long enough, not fresh any more, not knowing who has left, or not both.
    job.waiting(1, &wait(3, 1), at(9));
    job.waiting(1, &wait(7, 1), at(13));
    job.waiting(0, &wait(9, 0), at(13));
    assert_eq!(job.effects(), []);
    job.waiting(0, &wait(10, 1), at(14));
    let told = said(&job.effects()).concat();
    assert!(
        told.contains(
            "rank 2 (process 102, ./a) exited without calling MPI_Finalize, and all others wait"
        ),
        "{told}"
    );
}

#[test]
fn finalize_waits_for_nobody_who_has_left() {
    let now = Instant::now();
    let mut job = parted(4, &[2], now);
    let end = Wait {
        finalizing: true,
        ..wait(9, 1)
    };
    assert!(!job.waiting(0, &end, now).all_finalize);
    assert!(!job.waiting(1, &end, now).all_finalize);
    assert!(job.waiting(3, &end, now).all_finalize);
    job.finalized(3, Some(pid(3)));
    job.ended(3, End::Code(0), "", now);
    assert!(job.waiting(0, &end, now).all_finalize);
    assert_eq!(job.effects(), []);
}

#[test]
fn nobody_waits_in_finalize_for_those_who_are_through() {
    let now = Instant::now();
    let end = Wait {
        finalizing: true,
        ..wait(0, 0)
    };
    let mut job = parted(3, &[], now);
    assert!(!job.waiting(0, &end, now).all_finalize);
    job.finalized(2, Some(pid(2)));
    job.ended(2, End::Code(0), "", now);
    assert!(!job.waiting(0, &end, now).all_finalize);
    assert!(!job.waiting(1, &wait(9, 0), now).all_finalize);
    assert!(job.waiting(1, &end, now).all_finalize);
    assert_eq!(job.effects(), []);
}
