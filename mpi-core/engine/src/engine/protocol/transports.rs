//! The transports that this process has joined.

use std::sync::Arc;

use ferrite_fabric::Network;
use ferrite_shm::Attachment;

use super::cards;
use crate::engine::Engine;

/// A network that this process has joined.
#[derive(Clone)]
pub(in crate::engine) struct Joined {
    /// By which people choose it.
    pub(in crate::engine) name: &'static str,
    pub(in crate::engine) network: Arc<dyn Network>,
}

/// What carries frames to other processes.
pub(in crate::engine) struct Transports {
    memory: Option<Attachment>,
    /// The best first.
    networks: Vec<Joined>,
}

impl Transports {
    pub(in crate::engine) fn new(memory: Option<Attachment>, networks: Vec<Joined>) -> Transports {
        Transports { memory, networks }
    }

    /// The node's segment, where other ranks of the node share it.
    #[inline]
    pub(in crate::engine) fn memory(&self) -> Option<&Attachment> {
        self.memory.as_ref()
    }

    /// Whether a process reaches this one's memory, so that frames between them need no network.
    pub(super) fn share_memory_with(&self, process: u32) -> bool {
        self.memory().is_some_and(|memory| memory.is_local(process))
    }

    /// The networks, where ranks share no memory.
    #[inline]
    pub(in crate::engine) fn networks(&self) -> impl Iterator<Item = &dyn Network> {
        self.networks.iter().map(|joined| &*joined.network)
    }

    /// Whether some link of a network keeps frames back.
    #[inline]
    pub(in crate::engine) fn keep_back(&self) -> bool {
        self.networks().any(|network| network.keeps_back())
    }
}

impl Engine {
    /// The network to a process that shares no memory with this one. With several, waits until that
    /// process has published what it has. The job ends where none joins the two.
    #[cold]
    pub(super) fn network_to(&self, process: u32) -> &dyn Network {
        let networks = &self.transports.networks;
        if let [only] = &networks[..] {
            return &*only.network;
        }
        let own: Vec<&str> = networks.iter().map(|joined| joined.name).collect();
        let common = cards::wait_for(&*self.bootstrap, process)
            .and_then(|card| cards::common((self.job.rank, &own), (process, &card)));
        let common = common.unwrap_or_else(|sentence| self.abort(1, &sentence));
        let found = networks.iter().find(|joined| joined.name == common);
        &*found.expect("one of this process's").network
    }
}
