//! What a test runs over: shared memory, or a network.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferrite_fabric::{Bootstrap, Job, Network, Options, Transport};
use ferrite_fabric_testing::completion;
use ferrite_fabric_testing::conformance::Random;
use ferrite_fabric_testing::sim::{Config, REPLAY, Sim};

use super::rank::{
    Addresses, Launcher, attach, expect_losses, is_loss, job_of, pending, run, segment, settings,
    text,
};
use crate::engine::protocol::{Joined, card};
use crate::engine::{Engine, ThreadLevel};

/// Environment variables that choose a protocol.
pub(super) type Way = &'static [(&'static str, &'static str)];

/// Settings that make every protocol's turn come on a node.
const NODE_WAYS: &[Way] = &[
    &[],
    &[("FERRITE_CMA", "never")],
    &[("FERRITE_EAGER_LIMIT", "64"), ("FERRITE_CMA_LIMIT", "64")],
    &[
        ("FERRITE_EAGER_LIMIT", "64"),
        ("FERRITE_CMA", "never"),
        ("FERRITE_EAGER_BUDGET", "1k"),
    ],
];

/// The same for a network.
const NET_WAYS: &[Way] = &[
    &[],
    &[("FERRITE_NET_EAGER_LIMIT", "64")],
    &[
        ("FERRITE_NET_EAGER_LIMIT", "64"),
        ("FERRITE_CMA_LIMIT", "64"),
    ],
    &[
        ("FERRITE_NET_EAGER_LIMIT", "1k"),
        ("FERRITE_EAGER_BUDGET", "1k"),
        ("FERRITE_CMA_LIMIT", "2k"),
    ],
];

/// Time must play no role in a simulation: a rank that waits sleeps at once, or never.
const SLEEPY: Way = &[
    ("FERRITE_SPIN", "0"),
    ("FERRITE_YIELD", "0"),
    ("FERRITE_STALL", "0"),
];
const AWAKE: Way = &[
    ("FERRITE_SPIN", "0"),
    ("FERRITE_YIELD", "100000s"),
    ("FERRITE_STALL", "0"),
];

const SIZES: &[usize] = &[
    0, 1, 8, 32, 33, 40, 41, 64, 65, 1000, 8192, 16384, 65536, 300_000, 524_288, 1_500_001,
];

/// What a test runs over.
pub(super) struct Over {
    ground: Ground,
    seed: u64,
    /// Jobs so far, each of which is a run of its own.
    jobs: AtomicU64,
    traces: AtomicU64,
    losses: AtomicU64,
    /// What the current job runs over.
    sim: Mutex<Option<Sim>>,
    /// The test to run again for a replay, and what it was at.
    test: &'static str,
    part: &'static str,
}

enum Ground {
    Shm,
    Tcp,
    Completion,
    Sim(Sort),
    /// A simulated network and one of the completion kind, of which some ranks have both and others
    /// one.
    Two,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Ranks in turns, each alone on its node.
    Alone,
    /// The same, but the first two share a node.
    Mixed,
    /// In turns, with a link that dies.
    Mortal,
    /// Threads that run as they like.
    AtLarge,
}

/// How a rank has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// Some peer was lost.
    Lost,
}

impl Over {
    pub(super) fn shm() -> Over {
        Over::new(Ground::Shm, 0, "")
    }

    pub(super) fn tcp() -> Over {
        Over::new(Ground::Tcp, 0, "")
    }

    pub(super) fn completion(seed: u64, test: &'static str) -> Over {
        Over::new(Ground::Completion, seed, test)
    }

    pub(super) fn sim(seed: u64, test: &'static str) -> Over {
        Over::new(Ground::Sim(Sort::Alone), seed, test)
    }

    pub(super) fn sim_mixed(seed: u64, test: &'static str) -> Over {
        Over::new(Ground::Sim(Sort::Mixed), seed, test)
    }

    pub(super) fn sim_mortal(seed: u64, test: &'static str) -> Over {
        Over::new(Ground::Sim(Sort::Mortal), seed, test)
    }

    pub(super) fn sim_at_large(seed: u64, test: &'static str) -> Over {
        Over::new(Ground::Sim(Sort::AtLarge), seed, test)
    }

    pub(super) fn two(seed: u64, test: &'static str) -> Over {
        Over::new(Ground::Two, seed, test)
    }

    fn new(ground: Ground, seed: u64, test: &'static str) -> Over {
        Over {
            ground,
            seed,
            jobs: AtomicU64::new(0),
            traces: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            sim: Mutex::new(None),
            test,
            part: "all",
        }
    }

    /// The same, for a part of the test.
    pub(super) fn part(self, part: &'static str) -> Over {
        Over { part, ..self }
    }

    /// What a test takes its own random numbers from.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    fn random(&self) -> Random {
        Random(self.seed ^ 0x0e2)
    }

    /// The settings to run a test with, one after the other. A simulation takes one of them; there
    /// are many seeds.
    pub(super) fn ways(&self) -> Vec<Way> {
        match self.ground {
            Ground::Shm => NODE_WAYS.to_vec(),
            Ground::Tcp | Ground::Completion | Ground::Sim(Sort::AtLarge) => NET_WAYS.to_vec(),
            Ground::Two => vec![self.random().choose(NET_WAYS)],
            Ground::Sim(_) => vec![self.random().choose(NET_WAYS)],
        }
    }

    /// The lengths of messages to try, in bytes.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let limits = match self.ground {
            Ground::Shm | Ground::Tcp => return SIZES.to_vec(),
            Ground::Sim(_) => {
                let config = Config::of(self.seed);
                [config.inline, config.frame, config.place_from]
            }
            Ground::Completion | Ground::Two => {
                let config = completion::Config::of(self.seed);
                [config.inline, config.frame, config.frame]
            }
        };
        let mut random = self.random();
        let mut sizes: Vec<usize> = (0..4).map(|_| self.len(random.choose(SIZES))).collect();
        sizes.push(self.len(random.choose(&limits).saturating_add(random.below(3))));
        sizes.push(random.below(self.len(100_000)));
        sizes
    }

    /// This length, or what takes a simulation long enough.
    pub(super) fn len(&self, len: usize) -> usize {
        match self.ground {
            Ground::Shm | Ground::Tcp => len,
            Ground::Completion => len.min(completion::Config::of(self.seed).frame * 200),
            Ground::Sim(_) => len.min(Config::of(self.seed).frame * 30).min(300_001),
            Ground::Two => {
                let frames = [
                    Config::of(self.seed).frame,
                    completion::Config::of(self.seed).frame,
                ];
                len.min(frames[0].min(frames[1]) * 30).min(300_001)
            }
        }
    }

    /// This number of messages, or what is many for a simulation.
    pub(super) fn many(&self, many: usize) -> usize {
        match self.ground {
            Ground::Shm | Ground::Tcp => many,
            Ground::Completion => many.min(4 + many / 5),
            Ground::Sim(_) | Ground::Two => many.min(4 + many / 60),
        }
    }

    /// Bytes that may be on their way besides those that the engine keeps account of: a
    /// connection's two socket buffers.
    pub(super) fn under_way(&self) -> usize {
        match self.ground {
            Ground::Tcp => 11 << 20,
            _ => 0,
        }
    }

    /// Messages of 1 KiB that are more than can be kept and under way together.
    pub(super) fn unwilling(&self) -> usize {
        match self.ground {
            Ground::Tcp => 24_000,
            _ => self.many(2000),
        }
    }

    /// This number of rounds, or fewer for a network, where each takes long.
    pub(super) fn rounds(&self, rounds: usize) -> usize {
        match self.ground {
            Ground::Shm | Ground::Tcp => rounds,
            Ground::Completion | Ground::Sim(_) | Ground::Two => rounds / 5,
        }
    }

    /// A rank does something else for a while.
    pub(super) fn compute(&self, e: &Engine) {
        let sim = self.sim.lock().unwrap().clone();
        match sim {
            Some(sim) => sim.compute(e.job_rank(), 100_000),
            None => std::thread::sleep(Duration::from_micros(100)),
        }
    }

    /// Runs `rank` on every rank of a job of `size`, and then the job's last barrier.
    pub(super) fn job(&self, size: u32, variables: &[(&str, &str)], rank: impl Fn(&Engine) + Sync) {
        match self.ground {
            Ground::Shm => on_a_node(size, variables, &rank),
            Ground::Tcp => over_tcp(size, variables, &rank),
            Ground::Completion => self.complete(size, variables, &rank),
            Ground::Sim(sort) => self.simulate(sort, size, variables, &rank),
            Ground::Two => self.over_two(size, variables, &rank),
        }
    }

    fn simulate(
        &self,
        sort: Sort,
        size: u32,
        variables: &[(&str, &str)],
        rank: &(dyn Fn(&Engine) + Sync),
    ) {
        let number = self.jobs.fetch_add(1, Ordering::Relaxed);
        let seed = Random(self.seed ^ number << 56).bits();
        let mut random = Random(seed);
        let mut config = Config::of(self.seed);
        config.tell = std::env::var_os(REPLAY).is_some();
        if sort == Sort::Mortal && size > 1 {
            config = config.with_cut(seed, size, 200);
        }
        let cut = config.cut;
        let waits: Way = match sort {
            Sort::AtLarge => &[],
            // Who sleeps in shared memory would keep the turn.
            Sort::Mixed => AWAKE,
            _ => random.choose(&[SLEEPY, AWAKE]),
        };
        let all: Vec<(&str, &str)> = variables.iter().chain(waits).copied().collect();
        let crowded = random.once_in(2);
        let node = (sort == Sort::Mixed && size > 1).then(segment);
        let sim = Sim::new(seed, size, config);
        let in_turns = (sort != Sort::AtLarge).then(|| sim.clone());
        *self.sim.lock().unwrap() = in_turns;
        let ends = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for number in 0..size {
                let (sim, ends, all, node) = (&sim, &ends, &all, &node);
                scope.spawn(move || {
                    expect_losses(cut.is_some());
                    let settings = settings(all);
                    let shares = node.as_ref().filter(|_| number < 2);
                    let job = Job {
                        local: match shares {
                            Some(_) => vec![0, 1],
                            None => vec![number],
                        },
                        neighbours: if crowded { size - 1 } else { 0 },
                        nodes: match node {
                            Some(_) => (0..size).map(|rank| rank.max(1)).collect(),
                            None => Vec::new(),
                        },
                        segment: shares.map(|segment| segment.try_clone().unwrap()),
                        ..job_of(number, size)
                    };
                    let shm = shares.map(|_| attach(&job, &settings));
                    let turn = (sort != Sort::AtLarge).then(|| sim.enter(number));
                    let net: Arc<dyn Network> = sim.network(number);
                    let engine = Engine::make(
                        ThreadLevel::Multiple,
                        settings,
                        job,
                        Arc::new(Launcher {
                            may_lose: cut.is_some(),
                        }),
                        shm,
                        vec![joined("sim", &net)],
                    )
                    .unwrap();
                    let end = match catch_unwind(AssertUnwindSafe(|| {
                        run(&engine, rank);
                        net.close();
                    })) {
                        Ok(()) => End::Done,
                        Err(panic) if cut.is_some() && is_loss(&*panic) => End::Lost,
                        Err(panic) => {
                            eprintln!("rank {number} has pending: {}", pending(&engine));
                            sim.fail(&format!("rank {number} failed: {}", text(&*panic)));
                            End::Lost
                        }
                    };
                    drop(engine);
                    ends.lock().unwrap().push(end);
                    drop(turn);
                });
            }
        });
        let ends = ends.into_inner().unwrap();
        let mut failure = sim.failure();
        let was_cut = cut.is_some_and(|(frames, ..)| frames <= sim.frames());
        if ends.contains(&End::Lost) && !was_cut {
            failure.get_or_insert_with(|| String::from("a rank was lost, but no link was cut"));
        }
        if let Some(failure) = failure {
            panic!(
                "{failure}\nseed {seed:#x} in {} ({} of it); to replay: {REPLAY}={seed:#x} cargo \
                 test -p ferrite-engine {} -- --nocapture",
                self.test,
                self.part,
                self.test,
                seed = self.seed
            );
        }
        let lost = ends.iter().filter(|end| **end == End::Lost).count();
        self.losses.fetch_add(lost as u64, Ordering::Relaxed);
        let trace = Random(self.trace() ^ sim.trace()).bits();
        self.traces.store(trace, Ordering::Relaxed);
    }

    fn complete(&self, size: u32, variables: &[(&str, &str)], rank: &(dyn Fn(&Engine) + Sync)) {
        let networks = completion::connect(size, completion::Config::of(self.seed));
        std::thread::scope(|scope| {
            for (number, net) in (0..size).zip(networks) {
                scope.spawn(move || {
                    let ended = catch_unwind(AssertUnwindSafe(|| {
                        let engine = Engine::make(
                            ThreadLevel::Multiple,
                            settings(variables),
                            job_of(number, size),
                            Arc::new(Launcher { may_lose: false }),
                            None,
                            vec![joined("completion", &net)],
                        )
                        .unwrap();
                        run(&engine, rank);
                        net.close();
                        drop(engine);
                    }));
                    if ended.is_err() {
                        // The other ranks may wait for this one for ever.
                        let (seed, test) = (self.seed, self.test);
                        eprintln!("rank {number} failed in {test}; to replay: {REPLAY}={seed:#x}");
                        std::process::abort();
                    }
                });
            }
        });
    }

    /// Rank 0 has both networks, so that everybody reaches it; the others have what the seed says,
    /// but two that have one each would not reach each other: so all but rank 0 have the same, or
    /// both.
    fn over_two(&self, size: u32, variables: &[(&str, &str)], rank: &(dyn Fn(&Engine) + Sync)) {
        let number = self.jobs.fetch_add(1, Ordering::Relaxed);
        let mut random = Random(self.seed ^ number << 56);
        let sim = Sim::new(random.bits(), size, Config::of(self.seed));
        let others = completion::connect(size, completion::Config::of(self.seed));
        let cards = Arc::new(Mutex::new(HashMap::new()));
        let all_have = random.below(2);
        let choices: Vec<usize> = (0..size)
            .map(|rank| match rank {
                0 => 2 + random.below(2),
                _ => random.choose(&[all_have, 2, 3]),
            })
            .collect();
        std::thread::scope(|scope| {
            for (number, other) in (0..size).zip(others) {
                let (sim, cards) = (sim.network(number), cards.clone());
                let choice = choices[number as usize];
                scope.spawn(move || {
                    let ended = catch_unwind(AssertUnwindSafe(|| {
                        let networks = match choice {
                            0 => vec![joined("sim", &sim)],
                            1 => vec![joined("completion", &other)],
                            2 => vec![joined("sim", &sim), joined("completion", &other)],
                            _ => vec![joined("completion", &other), joined("sim", &sim)],
                        };
                        let job = job_of(number, size);
                        let launcher = Addresses { number, cards };
                        launcher.publish(&card(&job, &networks).unwrap()).unwrap();
                        let (level, settings) = (ThreadLevel::Multiple, settings(variables));
                        let launcher = Arc::new(launcher);
                        let engine =
                            Engine::make(level, settings, job, launcher, None, networks.clone());
                        let engine = engine.unwrap();
                        run(&engine, rank);
                        networks.iter().for_each(|joined| joined.network.close());
                        drop(engine);
                    }));
                    if ended.is_err() {
                        // The other ranks may wait for this one for ever.
                        let (seed, test) = (self.seed, self.test);
                        eprintln!("rank {number} failed in {test}; to replay: {REPLAY}={seed:#x}");
                        std::process::abort();
                    }
                });
            }
        });
    }

    /// Ranks that have ended because they had lost a peer.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// A hash of all that has happened in simulations.
    pub(super) fn trace(&self) -> u64 {
        self.traces.load(Ordering::Relaxed)
    }
}

/// A network by its name.
fn joined(name: &'static str, network: &Arc<dyn Network>) -> Joined {
    let network = network.clone();
    Joined { name, network }
}

fn on_a_node(size: u32, variables: &[(&str, &str)], rank: &(dyn Fn(&Engine) + Sync)) {
    let segment = segment();
    std::thread::scope(|scope| {
        for number in 0..size {
            let segment: OwnedFd = segment.try_clone().unwrap();
            scope.spawn(move || {
                let job = Job {
                    local: (0..size).collect(),
                    neighbours: size - 1,
                    nodes: Vec::new(),
                    segment: Some(segment),
                    ..job_of(number, size)
                };
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    let settings = settings(variables);
                    let shm = attach(&job, &settings);
                    let level = ThreadLevel::Multiple;
                    let launcher = Arc::new(Launcher { may_lose: false });
                    let engine =
                        Engine::make(level, settings, job, launcher, Some(shm), Vec::new())
                            .unwrap();
                    run(&engine, rank);
                }));
                if ended.is_err() {
                    // The other ranks may wait for this one for ever.
                    eprintln!("rank {number} failed");
                    std::process::abort();
                }
            });
        }
    });
}

fn over_tcp(size: u32, variables: &[(&str, &str)], rank: &(dyn Fn(&Engine) + Sync)) {
    let cards = Arc::new(Mutex::new(HashMap::new()));
    std::thread::scope(|scope| {
        for number in 0..size {
            let cards = cards.clone();
            scope.spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    let job = job_of(number, size);
                    let launcher = Arc::new(Addresses { number, cards });
                    let options = Options {
                        interfaces: "lo".into(),
                        ..Options::default()
                    };
                    let net = ferrite_tcp::Tcp.open(&job, launcher.clone(), &options);
                    let net: Arc<dyn Network> = net.unwrap().into();
                    launcher.publish(&net.card()).unwrap();
                    let level = ThreadLevel::Multiple;
                    let settings = settings(variables);
                    let engine = Engine::make(
                        level,
                        settings,
                        job,
                        launcher,
                        None,
                        vec![joined("tcp", &net)],
                    )
                    .unwrap();
                    run(&engine, rank);
                    net.close();
                    drop(engine);
                }));
                if ended.is_err() {
                    // The other ranks may wait for this one for ever.
                    eprintln!("rank {number} failed");
                    std::process::abort();
                }
            });
        }
    });
}

/// A rank with two networks sends to one that has published another: the job ends with a sentence
/// that names both.
pub(super) fn without_a_common_network() {
    let cards = Arc::new(Mutex::new(HashMap::new()));
    cards.lock().unwrap().insert(1, "1:other@x".to_owned());
    let sim = Sim::new(1, 2, Config::of(1)).network(0);
    let completion = completion::connect(2, completion::Config::of(1)).remove(0);
    let networks = vec![joined("sim", &sim), joined("completion", &completion)];
    let launcher = Arc::new(Addresses { number: 0, cards });
    let (level, settings) = (ThreadLevel::Multiple, settings(&[]));
    let engine = Engine::make(level, settings, job_of(0, 2), launcher, None, networks).unwrap();
    let ended = catch_unwind(AssertUnwindSafe(|| engine.peer(1).process));
    let why = ended.expect_err("there is no way");
    for part in [
        "rank 0 has sim, completion",
        "rank 1 has other",
        "FERRITE_TRANSPORT",
    ] {
        assert!(text(&*why).contains(part), "{}", text(&*why));
    }
}
