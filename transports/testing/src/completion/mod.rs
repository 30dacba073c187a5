//! A network of the completion kind, within one process: what RDMA is like, without the hardware.
//!
//! `adapter` plays the adapters: registered memory with keys, one shared receive queue a process,
//! queue pairs that work in order but independently of each other, completion queues. `transport`
//! is a transport over them as one over verbs would be: credits, so that no frame ever finds the
//! receive queue empty; short bodies copied into the work request, longer ones registered and lent;
//! credits that travel as immediate data of frames, or alone when a receiver owes many.
//!
//! It places nothing: a body has landed in a receive buffer before anybody sees its header.
//! Adapters work when somebody posts, polls or goes to sleep, in an order that the seed says.

mod adapter;
mod network;
#[cfg(test)]
mod tests;
mod transport;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::conformance::Random;
use crate::moods;
use crate::place::places;
use adapter::Adapters;
use ferrite_fabric::{CONTROL, Caps, Network, Region, RmaLimits};
use transport::Side;

/// What the network is like. Lengths in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Says in which order adapters work.
    pub seed: u64,
    /// Bodies up to this length are copied into the work request; at least [`CONTROL`].
    pub inline: usize,
    /// The longest body of a frame: a receive buffer's, less the header.
    pub frame: usize,
    /// Frames that may be on their way from one process to another; at least 1.
    pub credits: u32,
    /// Operations that a queue pair takes before the first is done.
    pub depth: usize,
    /// Length of a region's key, at most 64.
    pub key: usize,
    /// What can be done with a peer's memory. Writes are visible when they are done only if none is
    /// inline.
    pub caps: Caps,
    /// How much of that.
    pub rma: RmaLimits,
    /// Messages of at least this length are to be accessed directly.
    pub direct_from: usize,
}

impl Config {
    /// A network as a seed wants it.
    pub fn of(seed: u64) -> Config {
        let mut random = Random(seed ^ 0xc0);
        let (caps, rma) = moods::rma(&mut random);
        let frame = random.choose(&[CONTROL, 300, 2000, 8192, 65_536]);
        Config {
            seed,
            inline: random.choose(&[CONTROL, 128, 1000]).min(frame),
            frame,
            credits: random.choose(&[1, 2, 3, 16, 64]),
            depth: random.choose(&[1, 2, 16, 128]),
            key: random.choose(&[1, 8, 33, 64]),
            caps: Caps {
                visible_writes: rma.inline == 0,
                ..caps
            },
            rma,
            direct_from: random.choose(&[0, 64, 2048, 65_536]),
        }
    }
}

struct Shared {
    adapters: Adapters,
    /// Of each process.
    sides: Vec<Side>,
}

struct Fabric {
    config: Config,
    shared: Mutex<Shared>,
    /// Of each process: rung when something is there for one that sleeps.
    bells: Vec<Condvar>,
}

impl Fabric {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects `processes` processes with each other. One whose port is dropped is no more; its peers
/// find that out unless it took leave with [`Network::close`].
pub fn connect(processes: u32, config: Config) -> Vec<Arc<dyn Network>> {
    assert!(CONTROL <= config.inline && config.inline <= config.frame);
    assert!(config.credits > 0 && config.depth > 0 && config.key <= Region::KEY);
    assert!(!config.caps.visible_writes || config.rma.inline == 0);
    let n = processes as usize;
    let mut adapters = Adapters::new(n, &config);
    for process in 0..n {
        for _ in 0..n * transport::buffers_for(config.credits) {
            adapters.post_receive(process, vec![0; config.frame].into_boxed_slice());
        }
    }
    let shared = Shared {
        adapters,
        sides: (0..n).map(|_| Side::new(n, config.credits)).collect(),
    };
    let fabric = Arc::new(Fabric {
        config,
        shared: Mutex::new(shared),
        bells: (0..n).map(|_| Condvar::new()).collect(),
    });
    places(&fabric, n)
}
