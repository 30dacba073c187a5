//! Notes of calls, and what refutes one.

use super::*;

const BCAST: Arguments = Arguments {
    function: Function::Bcast,
    root: 1,
    width: 0,
    bytes: 8,
    commutative: false,
};

fn of_three() -> Calls {
    Calls::new(Arc::new(Members::first(3)), None)
}

fn resting(rounds: u32) -> Rounds {
    Rounds {
        at_rest: rounds,
        quiet: rounds,
    }
}

#[test]
fn who_is_late_refutes_nothing() {
    let calls = of_three();
    let number = calls.begin(&BCAST);
    calls.told((number, 0), (0, 1), 1, (Stage::ToCome, None));
    calls.told((number, 0), (0, 1), 2, (Stage::UnderWay(BCAST), None));
    calls.told((number, 0), (0, 1), 1, (Stage::Ended(Some(BCAST)), None));
    calls.give_up((number, 0, BCAST), 0, (resting(QUIET + 1), 1));
    assert!(!calls.is_refuted(number));
    calls.told((number, 0), (0, 1), 2, (Stage::Ended(None), None));
    calls.give_up((number, 0, BCAST), 0, (resting(QUIET + 1), 1));
    assert!(calls.is_refuted(number));
}

#[test]
fn members_that_all_wait_refute_the_call() {
    let calls = of_three();
    let number = calls.begin(&BCAST);
    let told = |process, rounds, asked| {
        calls.told(
            (number, 0),
            (0, asked),
            process,
            (Stage::UnderWay(BCAST), Some(resting(rounds))),
        );
    };
    let give_up = |rounds, asked| {
        calls.give_up((number, 0, BCAST), 0, (resting(rounds), asked));
        calls.is_refuted(number)
    };
    told(1, QUIET, 5);
    told(2, QUIET - 1, 5);
    assert!(!give_up(QUIET + 1, 6));
    told(2, QUIET, 6);
    // Process 1 has told nothing for long: it may have gone on.
    assert!(!give_up(QUIET + 1, 7));
    told(1, QUIET, 7);
    assert!(!give_up(QUIET, 7));
    // Something has moved in process 2 since.
    told(2, 1, 7);
    assert!(!give_up(QUIET + 1, 7));
    told(2, QUIET, 7);
    assert!(give_up(QUIET + 1, 7));
}

/// Once, it is said that it may hang.
#[test]
fn who_has_threads_at_work_refutes_nothing() {
    let calls = of_three();
    let number = calls.begin(&BCAST);
    let busy = Rounds {
        at_rest: 0,
        quiet: QUIET + 1,
    };
    let told = |process, rounds| {
        let theirs = (Stage::UnderWay(BCAST), Some(rounds));
        calls.told((number, 0), (0, 1), process, theirs);
    };
    let give_up = |rounds| calls.give_up((number, 0, BCAST), 0, (rounds, 1));
    told(1, resting(QUIET));
    assert_eq!(give_up(busy), None);
    told(2, busy);
    let doubt = give_up(resting(QUIET + 1)).expect("that it may hang");
    assert!(doubt.contains("MPI_Bcast of 8 bytes"), "{doubt}");
    assert_eq!(give_up(busy), None);
    assert!(!calls.is_refuted(number));
    told(2, resting(QUIET));
    assert_eq!(give_up(busy), None);
    assert!(!calls.is_refuted(number));
    assert_eq!(give_up(resting(QUIET + 1)), None);
    assert!(calls.is_refuted(number));
}

#[test]
fn other_arguments_refute_the_call_and_no_other() {
    let calls = of_three();
    let first = calls.begin(&BCAST);
    let other = Arguments { root: 2, ..BCAST };
    calls.told((first + 1, 0), (0, 1), 1, (Stage::UnderWay(other), None));
    assert!(!calls.is_refuted(first));
    calls.told((first, 0), (0, 1), 1, (Stage::Ended(Some(other)), None));
    assert!(calls.is_refuted(first) && !calls.is_refuted(first + 1));
    assert_eq!(
        calls.refutation(first).to_string(),
        "MPI_ERR_ROOT: the members do not agree about collective call 1 of the communicator: here, \
         on rank 0, it is MPI_Bcast of 8 \
         bytes, root 1, on rank 1 MPI_Bcast of 8 bytes, root 2"
    );
    calls.end(first);
    assert!(!calls.is_refuted(first));
}

#[test]
fn notes_tell_how_far_a_call_is() {
    let calls = of_three();
    let first = calls.begin_later(&BCAST);
    assert_eq!(calls.stage(first, 0), Stage::UnderWay(BCAST));
    assert_eq!(calls.stage(first + 1, 0), Stage::ToCome);
    for _ in 0..RECENT {
        let number = calls.begin(&BCAST);
        calls.end(number);
        assert_eq!(calls.stage(number, 0), Stage::Ended(Some(BCAST)));
    }
    assert_eq!(calls.stage(first, 0), Stage::Forgotten);
    calls.end_later(first);
    assert_eq!(calls.stage(first, 0), Stage::Ended(None));
    assert_eq!(calls.under_way(), []);
}

#[test]
fn a_persistent_call_has_ended_as_often_as_it_was_started() {
    let calls = of_three();
    let number = calls.begin_persistent(&BCAST);
    for started in 1..=3 {
        calls.restarted(number, false);
        assert_eq!(calls.stage(number, started), Stage::UnderWay(BCAST));
        assert_eq!(calls.under_way(), [(number, started, BCAST)]);
        calls.restarted(number, true);
        assert_eq!(calls.stage(number, started), Stage::Ended(Some(BCAST)));
    }
    assert_eq!(calls.under_way(), []);
    let other = Arguments { root: 2, ..BCAST };
    calls.restarted(number, false);
    calls.told((number, 4), (0, 1), 1, (Stage::UnderWay(other), None));
    assert!(calls.is_refuted(number));
    calls.end_persistent(number);
}
