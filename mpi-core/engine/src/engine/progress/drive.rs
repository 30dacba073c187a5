//! Progress: receive what has arrived, send what waits for room.

use ferrite_fabric::Port;
use ferrite_shm::ShmPort;

use crate::engine::Engine;
use crate::engine::protocol::{Landings, Receiver};

/// The receiving sides of the transports in use.
pub(in crate::engine) struct Ports {
    /// None where no other rank shares a segment with this one.
    pub(in crate::engine) shm: Option<ShmPort>,
    /// Of each network, in the order of `Transports::networks`.
    pub(in crate::engine) nets: Vec<NetPort>,
    /// Frames that are landing, by process.
    pub(in crate::engine) landings: Landings,
}

/// A network's port, polled less often while nothing comes from it: a look at sockets costs as much
/// as a message through shared memory.
pub(in crate::engine) struct NetPort {
    pub(in crate::engine) port: Box<dyn Port>,
    /// Polls of shared memory until the next look.
    pause: u32,
    /// What `pause` starts from; twice as long after every look in vain.
    pauses: u32,
}

impl NetPort {
    /// Looks in vain become at least this rare.
    const RARELY: u32 = 32;

    pub(in crate::engine) fn new(port: Box<dyn Port>) -> NetPort {
        NetPort {
            port,
            pause: 0,
            pauses: 0,
        }
    }

    /// Whether it is time to look.
    fn is_due(&mut self) -> bool {
        let due = self.pause == 0;
        self.pause = self.pause.wrapping_sub(1);
        due
    }

    /// Takes note of how the look went.
    fn looked(&mut self, events: usize) {
        self.pauses = match events {
            0 => (self.pauses * 2 + 1).min(Self::RARELY),
            _ => 0,
        };
        self.pause = self.pauses;
    }
}

impl Engine {
    /// Drives the transports once. Returns whether anything moved.
    #[inline]
    pub fn progress(&self) -> bool {
        let mut moved = false;
        if let Some(mut ports) = self.progress.ports.try_lock() {
            moved = self.poll(&mut ports);
        }
        if self.peers.has_backlog() {
            moved |= self.work_off();
        }
        if !moved && self.peers.has_helps() {
            moved = self.help();
        }
        if self.collectives.any_under_way() {
            moved |= self.advance_all();
        }
        if self.chores.any() {
            moved |= self.finish_flushes()
                | self.start_announced()
                | self.tell_tools()
                | self.tell_of_ended();
        }
        moved
    }

    /// Nothing is received any more.
    pub(in crate::engine) fn shut_ports(&self) {
        let mut ports = self.progress.ports.lock();
        let shut = (ports.shm.take(), core::mem::take(&mut ports.nets));
        drop(ports);
        drop(shut);
    }

    /// As [`Engine::progress`], but waits for a thread that has the port, and looks at the network
    /// in any case: after a false answer nothing is left that had arrived before. No lock is held.
    #[cold]
    pub(in crate::engine) fn hear(&self) -> bool {
        let mut ports = self.progress.ports.lock();
        ports.nets.iter_mut().for_each(|net| net.pause = 0);
        let heard = self.poll(&mut ports);
        drop(ports);
        heard | self.progress()
    }

    #[inline]
    pub(in crate::engine) fn poll(&self, ports: &mut Ports) -> bool {
        let mut receiver = Receiver {
            engine: self,
            landings: &mut ports.landings,
        };
        let mut moved = false;
        if let Some(shm) = &mut ports.shm {
            moved = shm.poll_into(&mut receiver) > 0;
        }
        // A network that is the only way is looked at every time.
        let is_only = ports.shm.is_none() && ports.nets.len() == 1;
        for (net, network) in ports.nets.iter_mut().zip(self.transports.networks()) {
            if is_only || net.is_due() || network.keeps_back() {
                let events = net.port.poll(&mut receiver);
                net.looked(events);
                moved |= events > 0;
            }
        }
        moved
    }

    /// Sends what networks keep back, before a call returns after which this process may compute
    /// for long.
    #[inline]
    pub(in crate::engine) fn flush(&self) {
        if self.transports.keep_back() {
            self.flush_networks();
        }
    }

    #[cold]
    fn flush_networks(&self) {
        self.transports.networks().for_each(|net| net.flush());
    }
}
