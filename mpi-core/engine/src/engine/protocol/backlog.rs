//! The list of links with work: frames that wait for room, and streams.

use core::sync::atomic::Ordering;

use super::peer::{Outgoing, Peer};
use crate::engine::Engine;

impl Engine {
    /// Puts a link on the list of those with work.
    pub(super) fn enlist(&self, peer: &Peer, out: &mut Outgoing) {
        if !out.listed {
            out.listed = true;
            self.peers.backlog.lock().push(peer.process);
            self.peers.has_backlog.store(true, Ordering::Relaxed);
        }
    }

    /// Gives every link with work another try. Returns whether any frame went out.
    #[cold]
    pub(in crate::engine) fn work_off(&self) -> bool {
        let listed = std::mem::take(&mut *self.peers.backlog.lock());
        let mut moved = false;
        let mut still = Vec::new();
        for process in listed {
            let mut out = self.peer(process).out.lock();
            let before = left(&out);
            self.pump(&mut out);
            // A send that is complete with this may be the last that this process does for long.
            out.flush();
            moved |= left(&out) != before;
            if out.has_work() {
                still.push(process);
            } else {
                out.listed = false;
            }
        }
        let mut backlog = self.peers.backlog.lock();
        backlog.extend(still);
        self.peers
            .has_backlog
            .store(!backlog.is_empty(), Ordering::Relaxed);
        moved
    }
}

/// What is left to send, as a value that changes when some of it goes.
fn left(out: &Outgoing) -> (usize, usize, usize) {
    let offset = out
        .streams
        .iter()
        .map(|stream| stream.end - stream.offset)
        .sum();
    (out.frames.len(), out.streams.len(), offset)
}
