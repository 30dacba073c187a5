//! What a rank of a test has to have around it: a job, a launcher, an end.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, Once};

use ferrite_fabric::{Bootstrap, Job, Secret};
use ferrite_shm::{Attachment, ShmConfig};

use crate::engine::Engine;
use crate::engine::requests::{Kind, RequestRef};
use crate::settings::{Cma, Settings};

/// What unwinds a rank that has lost a peer.
pub(super) struct Lost;

thread_local! {
    /// A panic of this thread that is a loss is no news.
    static EXPECTS_LOSS: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics of this thread that are losses out of what a person reads, if they are expected.
pub(super) fn expect_losses(expected: bool) {
    static ONCE: Once = Once::new();
    EXPECTS_LOSS.set(expected);
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !EXPECTS_LOSS.get() || !is_loss(info.payload()) {
                others(info);
            }
        }));
    });
}

/// Whether a rank was ended by the loss of a peer: at once, or by the error of an operation that
/// the network gave up.
pub(super) fn is_loss(panic: &(dyn Any + Send)) -> bool {
    panic.is::<Lost>()
        || ["could not deliver the message", "message could not be read"]
            .iter()
            .any(|part| text(panic).contains(part))
}

pub(super) fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("a peer was lost")
}

/// What a rank waits for.
pub(super) fn pending(engine: &Engine) -> String {
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
            Kind::Sendrecv => ("sendrecv", -1),
            Kind::Collective => ("collective", -1),
            Kind::Generalized => ("the program's own", -1),
            Kind::Flush => ("flush of a buffer", -1),
            Kind::Partitioned => ("partitioned message", -1),
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
pub(super) fn run(engine: &Engine, rank: &(dyn Fn(&Engine) + Sync)) {
    rank(engine);
    engine.buffer_flush().unwrap();
    engine.wait_until(|| !engine.peers.has_backlog());
    engine.meet(engine.comms.world()).unwrap();
    engine.wait_until(|| !engine.peers.has_backlog());
}

/// A launcher that passes addresses on.
pub(super) struct Addresses {
    pub(super) number: u32,
    pub(super) cards: Arc<Mutex<HashMap<u32, String>>>,
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

pub(super) fn segment() -> OwnedFd {
    rustix::fs::memfd_create("job", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap()
}

pub(super) fn attach(job: &Job, settings: &Settings) -> Attachment {
    let config = ShmConfig {
        cma: settings.cma == Cma::Auto,
        direct_from: settings.cma_limit,
        ..ShmConfig::default()
    };
    ferrite_shm::attach(job, &config).unwrap()
}

/// A rank alone on its node.
pub(super) fn job_of(rank: u32, size: u32) -> Job {
    Job {
        id: [7; 16],
        secret: Secret([0; 32]),
        rank,
        size,
        local: vec![rank],
        neighbours: 0,
        nodes: Vec::new(),
        cpus: 1,
        appnum: 0,
        part: 0,
        launcher: 0,
        segment: None,
    }
}

pub(super) fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), value.into()));
    Settings::parse(variables).unwrap().0
}

/// Stands for the launcher, which has nothing to do.
pub(super) struct Launcher {
    pub(super) may_lose: bool,
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
