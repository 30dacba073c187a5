//! The processes that this one talks to.

use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::collections::VecDeque;

use ferrite_shm::ShmLink;

use super::cooperative_copy::Helping;
use super::peer::{Path, Peer};
use crate::engine::Engine;
use crate::sync::{Class, ClassLock};
use crate::tools::Event;

/// All processes of the job, by rank, and what waits for them.
pub(in crate::engine) struct Peers {
    /// Null until the process is first talked to.
    table: Box<[AtomicPtr<Peer>]>,
    making: ClassLock<()>,
    /// Processes with frames that wait for room.
    pub(super) backlog: ClassLock<Vec<u32>>,
    /// Advice, not synchronisation: relaxed everywhere.
    pub(super) has_backlog: AtomicBool,
    /// Receivers that want help with long messages of ours.
    pub(super) helps: ClassLock<VecDeque<Helping>>,
    /// Advice, as above.
    pub(super) has_helps: AtomicBool,
}

impl Peers {
    /// For a job of so many processes.
    pub(in crate::engine) fn new(size: u32) -> Peers {
        // SAFETY: a null pointer is all zeros, so zeroed memory is `size` null pointers.
        let table = unsafe { Box::new_zeroed_slice(size as usize).assume_init() };
        Peers {
            table,
            making: ClassLock::new(Class::Leaf, ()),
            backlog: ClassLock::new(Class::Leaf, Vec::new()),
            has_backlog: false.into(),
            helps: ClassLock::new(Class::Leaf, VecDeque::new()),
            has_helps: false.into(),
        }
    }

    /// Those that were talked to.
    pub(in crate::engine) fn known(&self) -> impl Iterator<Item = &Peer> {
        // Pairs with the release in `Engine::make_peer`.
        let peers = self.table.iter().map(|peer| peer.load(Ordering::Acquire));
        // SAFETY: null, or published, and published peers live as long as the engine.
        peers.filter_map(|peer| unsafe { peer.as_ref() })
    }

    /// Whether frames wait for room, so that sleeping until something arrives could be forever.
    #[inline]
    pub(in crate::engine) fn has_backlog(&self) -> bool {
        self.has_backlog.load(Ordering::Relaxed)
    }

    /// Whether a receiver wants help.
    #[inline]
    pub(in crate::engine) fn has_helps(&self) -> bool {
        self.has_helps.load(Ordering::Relaxed)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for peer in &mut self.table {
            let peer = core::mem::replace(peer.get_mut(), core::ptr::null_mut());
            if !peer.is_null() {
                // SAFETY: made by `make_peer` of a box; nobody else uses this table any more.
                drop(unsafe { Box::from_raw(peer) });
            }
        }
    }
}

impl Engine {
    /// The sending side of a process. Made when first asked for.
    #[inline]
    pub(in crate::engine) fn peer(&self, process: u32) -> &Peer {
        // Pairs with the release in `make_peer`.
        let peer = self.peers.table[process as usize].load(Ordering::Acquire);
        if peer.is_null() {
            return self.make_peer(process);
        }
        // SAFETY: published peers live as long as the engine.
        unsafe { &*peer }
    }

    #[cold]
    fn make_peer(&self, process: u32) -> &Peer {
        let place = &self.peers.table[process as usize];
        // Which network it is may have to be waited for, so before the lock.
        let is_far = process != self.job.rank && !self.transports.share_memory_with(process);
        let network = is_far.then(|| self.network_to(process));
        // A link can be had once, so one thread makes it.
        let _making = self.peers.making.lock();
        // Relaxed: the lock's last holder has made what is there.
        let mut peer = place.load(Ordering::Relaxed);
        if peer.is_null() {
            let path = match network {
                Some(network) => Path::Net(network.link(process)),
                None if process == self.job.rank => Path::Loopback,
                None => Path::Shm(self.link_in_memory(process)),
            };
            let eager = self.protocol_limits.eager_limit(&path);
            peer = Box::into_raw(Box::new(Peer::new(process, path, eager)));
            // Pairs with the acquire in `peer`.
            place.store(peer, Ordering::Release);
            self.raise(Event::PeerOpened {
                process,
                // SAFETY: published just now.
                is_remote: unsafe { &*peer }.is_remote,
            });
        }
        // SAFETY: published peers live as long as the engine.
        unsafe { &*peer }
    }

    /// The link to a process that shares memory with this one. Where it cannot be had, the job
    /// ends: that process expects frames nowhere else.
    fn link_in_memory(&self, process: u32) -> ShmLink {
        let memory = self.transports.memory();
        let link = memory.and_then(|memory| memory.link(process).transpose());
        link.expect("it shares memory").unwrap_or_else(|error| {
            let sentence = format!("rank {} to rank {process}: {error}", self.job.rank);
            self.abort(1, &sentence)
        })
    }
}
