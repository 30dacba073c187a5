//! The transports that this process has joined.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use ferrite_fabric::{Network, Refused};
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
    /// Whether it was told that there is no room for registrations. Relaxed everywhere: it says
    /// nothing about other memory.
    has_told: AtomicBool,
}

impl Transports {
    pub(in crate::engine) fn new(memory: Option<Attachment>, networks: Vec<Joined>) -> Transports {
        Transports {
            memory,
            networks,
            has_told: false.into(),
        }
    }

    /// What to tell of a registration that was refused: nothing where the transport has no use for
    /// it, or once it was told.
    fn news_of(&self, refused: Refused) -> Option<String> {
        let Refused::NoRoom(sentence) = refused else {
            return None;
        };
        (!self.has_told.swap(true, Ordering::Relaxed)).then_some(sentence)
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
    /// A registration was refused, and the message goes in frames instead. Why it will be slower
    /// than it could be is said once.
    #[cold]
    pub(super) fn go_without_registration(&self, refused: Refused) {
        if let Some(sentence) = self.transports.news_of(refused) {
            let rank = self.job.rank;
            eprintln!("ferrite: rank {rank} copies long messages that could be read: {sentence}");
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn want_of_room_is_told_once() {
        let transports = Transports::new(None, Vec::new());
        assert_eq!(transports.news_of(Refused::Unavailable), None);
        let full = |sentence: &str| transports.news_of(Refused::NoRoom(sentence.into()));
        assert_eq!(full("ulimit -l").as_deref(), Some("ulimit -l"));
        assert_eq!(full("ulimit -l"), None);
    }
}
