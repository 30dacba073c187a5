use super::*;
use crate::conformance::{self, Coverage, Endpoint, Random, storm};
use crate::moods;
use ferrite_fabric::{AtomicOps, Atomics, Caps, Outcome, RmaLimits};

fn endpoints(sim: &Sim, processes: u32) -> Vec<Endpoint> {
    let end = |rank| Endpoint {
        reflexive: true,
        ..Endpoint::of(sim.network(rank), rank, processes)
    };
    (0..processes).map(end).collect()
}

fn conforms(seed: u64, config: Config) -> Coverage {
    conformance::run(seed, |processes| {
        endpoints(&Sim::new(seed, processes, config.clone()), processes)
    })
}

#[test]
fn conforms_in_its_best_mood() {
    assert_eq!(conforms(1, Config::PLAIN), Coverage::default());
}

#[test]
fn conforms_in_its_worst_mood() {
    let config = Config {
        frame: 20_000,
        frames: 3,
        lend_once_in: 2,
        place_from: 0,
        pieces: 6,
        full_once_in: 3,
        keep_once_in: 2,
        caps: Caps {
            read: true,
            write: true,
            atomics: Atomics {
                of_32: AtomicOps::ALL,
                of_64: AtomicOps::ALL,
                with_processors: true,
            },
            visible_writes: false,
            checks_keys: true,
            order: moods::CONNECTED,
        },
        rma: RmaLimits {
            inline: 50,
            transfer: 100_000,
            outstanding: 4,
            registrations: 6,
            registered: 400_000,
        },
        refuse_once_in: 3,
        direct_once_in: 4,
        key: 64,
        ..Config::PLAIN
    };
    let covered = conforms(2, config);
    let Coverage {
        lent,
        placed,
        direct,
        direct_later,
        registered,
        refused,
        full,
        denied,
        flushed,
        atomics,
        ordered,
    } = covered;
    let frames = [lent, placed];
    let rma = [
        direct,
        direct_later,
        registered,
        refused,
        full,
        denied,
        flushed,
        atomics,
        ordered,
    ];
    let mut all = frames.iter().chain(&rma);
    assert!(all.all(|count| *count > 0), "{covered:?}");
}

#[test]
fn conforms_in_any_mood() {
    for seed in Seeds::new("conforms_in_any_mood", 5) {
        conforms(seed, Config::of(seed));
    }
}

#[test]
fn the_loss_of_a_process_is_reported() {
    for seed in Seeds::new("the_loss_of_a_process_is_reported", 5) {
        let make = |processes| endpoints(&Sim::new(seed, processes, Config::of(seed)), processes);
        conformance::loss(seed, make, drop);
    }
}

/// A run in turns: what its processes do, as a hash.
fn stormy(seed: u64, processes: u32, config: Config) -> u64 {
    let sim = Sim::new(seed, processes, config);
    std::thread::scope(|scope| {
        for end in endpoints(&sim, processes) {
            let sim = &sim;
            scope.spawn(move || {
                let _turn = sim.enter(end.rank);
                storm(end, seed, 200);
            });
        }
    });
    assert_eq!(sim.failure(), None);
    sim.trace()
}

#[test]
fn a_seed_is_a_run() {
    let mut traces = Vec::new();
    for seed in Seeds::new("a_seed_is_a_run", 10) {
        let mut config = Config::of(seed);
        config.tell = std::env::var_os(REPLAY).is_some();
        let (one, other) = (
            stormy(seed, 3, config.clone()),
            stormy(seed, 3, config.clone()),
        );
        assert_eq!(one, other, "seed {seed:#x}");
        traces.push(one);
    }
    let all = traces.len();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), all, "other seeds are other runs");
}

#[test]
fn a_deadlock_is_told_to_everybody() {
    let sim = Sim::new(7, 2, Config::PLAIN);
    let told: Vec<String> = std::thread::scope(|scope| {
        let ends = endpoints(&sim, 2).into_iter();
        let threads: Vec<_> = ends
            .map(|mut end| {
                let sim = &sim;
                scope.spawn(move || {
                    let _turn = sim.enter(end.rank);
                    let mut sink = Nothing;
                    let wait =
                        std::panic::AssertUnwindSafe(|| while end.port.poll(&mut sink) == 0 {});
                    let panic = std::panic::catch_unwind(wait).expect_err("it waits for ever");
                    *panic.downcast::<String>().expect("a sentence")
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("caught"))
            .collect()
    });
    for sentence in &told {
        for part in ["deadlock", "seed 0x7", "process 0 is Polling", "process 1"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
    assert_eq!(sim.failure().as_ref(), told.first());
}

struct Nothing;

impl ferrite_fabric::Sink for Nothing {
    fn frame(&mut self, peer: u32, _: &ferrite_fabric::Header, _: ferrite_fabric::RawBuf) {
        panic!("process {peer} has sent nothing");
    }
    fn completed(&mut self, _: u32, token: ferrite_fabric::Token, _: Outcome) {
        panic!("{token:?} was never begun");
    }
    fn down(&mut self, peer: u32, _: ferrite_fabric::LinkDown) {
        panic!("process {peer} is alive");
    }
}

#[test]
fn lengths_of_frames_are_those_of_the_seed() {
    let mut random = Random(3);
    let configs: Vec<Config> = (0..100).map(|_| Config::of(random.bits())).collect();
    assert!(
        configs
            .iter()
            .all(|config| config.frame >= ferrite_fabric::CONTROL)
    );
    assert!(configs.iter().any(|config| config.lend_once_in == 1));
    assert!(configs.iter().any(|config| config.key == 64));
}
