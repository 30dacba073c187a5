//! What a test runs over: shared memory, or a network.

use std::any::Any;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ferrite_fabric::conformance::Random;
use ferrite_fabric::sim::{Config, REPLAY, Sim};
use ferrite_fabric::{Bootstrap, Job, Network, Options, Secret, Transport, completion};
use ferrite_shm::{Attachment, ShmConfig};

use crate::engine::request::{Kind, RequestRef};
use crate::engine::{Engine, ThreadLevel};
use crate::handle::Comm;
use crate::settings::{Cma, Settings};

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
const SLEEPY: Way = &[("FERRITE_SPIN", "0"), ("FERRITE_YIELD", "0")];
const AWAKE: Way = &[("FERRITE_SPIN", "0"), ("FERRITE_YIELD", "100000s")];

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
    test: &'static str,
}

enum Ground {
    Shm,
    Tcp,
    Completion,
    Sim(Sort),
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

/// What unwinds a rank that has lost a peer.
struct Lost;

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

    fn new(ground: Ground, seed: u64, test: &'static str) -> Over {
        Over {
            ground,
            seed,
            jobs: AtomicU64::new(0),
            traces: AtomicU64::new(0),
            test,
        }
    }

    fn random(&self) -> Random {
        Random(self.seed ^ 0x0e2)
    }

    /// The settings to run a test with, one after the other. A simulation takes one of them; there are many seeds.
    pub(super) fn ways(&self) -> Vec<Way> {
        match self.ground {
            Ground::Shm => NODE_WAYS.to_vec(),
            Ground::Tcp | Ground::Completion | Ground::Sim(Sort::AtLarge) => NET_WAYS.to_vec(),
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
            Ground::Completion => {
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
        }
    }

    /// This number of messages, or what is many for a simulation.
    pub(super) fn many(&self, many: usize) -> usize {
        match self.ground {
            Ground::Shm | Ground::Tcp => many,
            Ground::Completion => many.min(4 + many / 5),
            Ground::Sim(_) => many.min(4 + many / 60),
        }
    }

    /// This number of rounds, or fewer for a network, where each takes long.
    pub(super) fn rounds(&self, rounds: usize) -> usize {
        match self.ground {
            Ground::Shm | Ground::Tcp => rounds,
            Ground::Completion | Ground::Sim(_) => rounds / 5,
        }
    }

    /// Runs `rank` on every rank of a job of `size`, and then the job's last barrier.
    pub(super) fn job(&self, size: u32, variables: &[(&str, &str)], rank: impl Fn(&Engine) + Sync) {
        match self.ground {
            Ground::Shm => on_a_node(size, variables, &rank),
            Ground::Tcp => over_tcp(size, variables, &rank),
            Ground::Completion => self.complete(size, variables, &rank),
            Ground::Sim(sort) => self.simulate(sort, size, variables, &rank),
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
        let ends = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for number in 0..size {
                let (sim, ends, all, node) = (&sim, &ends, &all, &node);
                scope.spawn(move || {
                    let settings = settings(all);
                    let shares = node.as_ref().filter(|_| number < 2);
                    let job = Job {
                        local: match shares {
                            Some(_) => vec![0, 1],
                            None => vec![number],
                        },
                        neighbours: if crowded { size - 1 } else { 0 },
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
                        Some(net.clone()),
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
                    bury(engine);
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
                "{failure}\nseed {seed:#x} in {}; to replay: {REPLAY}={seed:#x} cargo test -p mpi_core {} -- --nocapture",
                self.test,
                self.test,
                seed = self.seed
            );
        }
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
                            Some(net.clone() as Arc<dyn Network>),
                        )
                        .unwrap();
                        run(&engine, rank);
                        net.close();
                        bury(engine);
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

    /// A hash of all that has happened in simulations.
    pub(super) fn trace(&self) -> u64 {
        self.traces.load(Ordering::Relaxed)
    }
}

/// Whether a rank was ended by the loss of a peer: at once, or by the error of an operation that the network gave up.
fn is_loss(panic: &(dyn Any + Send)) -> bool {
    panic.is::<Lost>()
        || ["could not deliver the message", "message could not be read"]
            .iter()
            .any(|part| text(panic).contains(part))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("a peer was lost")
}

/// What a rank waits for.
fn pending(engine: &Engine) -> String {
    let mut all = String::new();
    for handle in engine.requests.handles() {
        let Some(data) = engine.requests.get(handle).filter(|data| !data.is_done()) else {
            continue;
        };
        // SAFETY: the rank has ended, and with it whoever owned the body.
        let body = unsafe { RequestRef::new(data).body() };
        let (what, from) = match body.kind {
            Kind::Send => ("send", i64::from(body.process)),
            Kind::Recv => ("receive", i64::from(body.envelope.source)),
            Kind::Exchange => ("exchange", -1),
        };
        let (len, tag, remaining) = (body.len, body.envelope.tag, body.remaining);
        all += &format!(
            "{what} of {len} bytes, rank {from}, tag {tag}, context {:#x}, {remaining} remaining; ",
            body.envelope.context
        );
    }
    all
}

/// A rank's part, and then the job's last barrier.
fn run(engine: &Engine, rank: &(dyn Fn(&Engine) + Sync)) {
    rank(engine);
    engine.buffer_flush().unwrap();
    engine.wait_until(|| !engine.has_backlog());
    engine.meet(Comm::WORLD).unwrap();
    engine.wait_until(|| !engine.has_backlog());
}

/// Frees what an engine keeps for the life of a process, of which there are many here.
fn bury(engine: Engine) {
    for peer in &engine.peers {
        let peer = peer.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !peer.is_null() {
            // SAFETY: made by `make_peer` of a box; nobody else uses this engine.
            drop(unsafe { Box::from_raw(peer) });
        }
    }
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
                    segment: Some(segment),
                    ..job_of(number, size)
                };
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    let settings = settings(variables);
                    let shm = attach(&job, &settings);
                    let level = ThreadLevel::Multiple;
                    let launcher = Arc::new(Launcher { may_lose: false });
                    let engine =
                        Engine::make(level, settings, job, launcher, Some(shm), None).unwrap();
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
                    let engine =
                        Engine::make(level, settings, job, launcher, None, Some(net.clone()))
                            .unwrap();
                    run(&engine, rank);
                    net.close();
                    bury(engine);
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

/// A launcher that passes addresses on.
struct Addresses {
    number: u32,
    cards: Arc<Mutex<HashMap<u32, String>>>,
}

impl Bootstrap for Addresses {
    fn publish(&self, card: &str) -> Result<(), String> {
        self.cards.lock().unwrap().insert(self.number, card.into());
        Ok(())
    }
    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        Ok(self.cards.lock().unwrap().get(&rank).cloned())
    }
    fn lost(&self, rank: u32, reason: &str) -> ! {
        panic!("rank {rank} is lost: {reason}")
    }
    fn finalized(&self) {}
    fn abort(&self, code: i32, message: &str) -> ! {
        panic!("abort({code}): {message}")
    }
}

fn segment() -> OwnedFd {
    rustix::fs::memfd_create("job", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap()
}

fn attach(job: &Job, settings: &Settings) -> Attachment {
    let config = ShmConfig {
        cma: settings.cma == Cma::Auto,
        ..ShmConfig::default()
    };
    ferrite_shm::attach(job, &config).unwrap()
}

/// A rank alone on its node.
fn job_of(rank: u32, size: u32) -> Job {
    Job {
        id: [7; 16],
        secret: Secret([0; 32]),
        rank,
        size,
        local: vec![rank],
        neighbours: 0,
        cpus: 1,
        appnum: 0,
        launcher: 0,
        segment: None,
    }
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), value.into()));
    Settings::parse(variables).unwrap().0
}

/// Stands for the launcher, which has nothing to do.
struct Launcher {
    may_lose: bool,
}

impl Bootstrap for Launcher {
    fn publish(&self, _card: &str) -> Result<(), String> {
        Ok(())
    }
    fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
        panic!("who asks for rank {rank}?")
    }
    fn lost(&self, rank: u32, reason: &str) -> ! {
        if self.may_lose {
            // Not a panic: it is what a process does that ends.
            resume_unwind(Box::new(Lost))
        }
        panic!("rank {rank} is lost: {reason}")
    }
    fn finalized(&self) {}
    fn abort(&self, code: i32, message: &str) -> ! {
        panic!("abort({code}): {message}")
    }
}
