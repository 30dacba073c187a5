//! Receiving from all connections.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferrite_fabric::{LinkDown, Port, RawBufMut, Sink};

use crate::inflow::{Garbled, Inflow};
use crate::own_fault::end_if_bad_memory;
use crate::shared::{BELL, Connection, News, Shared, why_lost};
use crate::sys::{self, Interest, Ready};

/// Bytes received in one call, when short frames are expected.
const SCRATCH: usize = 64 << 10;

/// The same when the next frame is expected to be long: only what goes through this buffer is
/// copied.
const GLANCE: usize = 2 << 10;

/// Calls in one poll to receive from one connection.
const ROUNDS: usize = 8;

/// Looks at the last busy connection between two looks at all.
const HOT: u32 = 4;

/// The same where there is no other: the doorbell is all that could be missed.
const ALONE: u32 = 64;

/// The key of `Shared::inbox` in `Shared::gate`.
pub(crate) const INBOX: u64 = u64::MAX;

pub(crate) struct TcpPort {
    shared: Arc<Shared>,
    receiving: Vec<Receiving>,
    /// Where a peer stands in `receiving`.
    places: HashMap<u32, usize>,
    scratch: Box<[u8]>,
    /// The place of the connection from which something came last: it is asked directly.
    hot: usize,
    /// Polls since all were asked.
    since: u32,
    ready: Vec<Ready>,
}

/// The receiving side of a connection.
struct Receiving {
    connection: Arc<Connection>,
    socket: Arc<TcpStream>,
    inflow: Inflow,
}

/// How a connection stands after it was received from.
enum Outcome {
    /// It goes on; so many events.
    Up(usize),
    /// The peer has taken leave.
    Left,
    Lost(String),
}

impl TcpPort {
    pub(crate) fn new(shared: Arc<Shared>) -> TcpPort {
        TcpPort {
            shared,
            receiving: Vec::new(),
            places: HashMap::new(),
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            hot: 0,
            since: 0,
            ready: Vec::new(),
        }
    }

    /// Takes over what the keeper and links have left.
    #[cold]
    fn hear(&mut self, sink: &mut dyn Sink) -> usize {
        let News {
            arrivals,
            losses,
            done,
        } = self.shared.take_news();
        let events = arrivals.len() + losses.len() + done.len();
        for (connection, socket) in arrivals {
            self.places.insert(connection.peer, self.receiving.len());
            self.receiving.push(Receiving {
                connection,
                socket,
                inflow: Inflow::default(),
            });
        }
        for (peer, token) in done {
            sink.completed(peer, token, Ok(()));
        }
        for (peer, reason) in losses {
            // What it sent before it went is still received, as far as it is there.
            if let Some(&place) = self.places.get(&peer) {
                while let Outcome::Up(1..) = self.receive(place, sink) {}
                self.remove(place);
            }
            sink.down(peer, LinkDown { reason });
        }
        events
    }

    fn remove(&mut self, place: usize) {
        let removed = self.receiving.swap_remove(place);
        self.places.remove(&removed.connection.peer);
        if let Some(moved) = self.receiving.get(place) {
            self.places.insert(moved.connection.peer, place);
        }
        self.hot = 0;
    }

    /// Receives from one connection, and deals with its end. Returns the number of events.
    fn serve(&mut self, place: usize, sink: &mut dyn Sink) -> usize {
        match self.receive(place, sink) {
            Outcome::Up(events) => {
                if events > 0 {
                    self.hot = place;
                }
                events
            }
            Outcome::Left => {
                // It reads on until this process takes leave, too.
                self.shared.inbox.remove(&*self.receiving[place].socket);
                self.receiving[place].connection.sending().peer_has_left = true;
                self.remove(place);
                1
            }
            Outcome::Lost(reason) => {
                let peer = self.receiving[place].connection.peer;
                if !self.receiving[place].connection.sending().end(&self.shared) {
                    // Somebody else has found out, and `hear` will be told.
                    return 0;
                }
                self.remove(place);
                sink.down(peer, LinkDown { reason });
                1
            }
        }
    }

    fn receive(&mut self, place: usize, sink: &mut dyn Sink) -> Outcome {
        let Receiving {
            connection,
            socket,
            inflow,
        } = &mut self.receiving[place];
        let peer = connection.peer;
        let mut events = 0;
        for _ in 0..ROUNDS {
            let direct = inflow.rest();
            let size = if inflow.is_bulk { GLANCE } else { SCRATCH };
            let carried = if direct.len == 0 {
                let carry = inflow.carry();
                self.scratch[..carry.len()].copy_from_slice(carry);
                carry.len()
            } else {
                0
            };
            let free = RawBufMut::of(&mut self.scratch[carried..]);
            let free = free.part(0, size.min(free.len));
            // SAFETY: a place that the sink named is writable until the body has landed; the
            // scratch buffer is ours.
            let got = match unsafe { sys::receive(socket, direct, free) } {
                Ok(0) if inflow.has_left => return Outcome::Left,
                Ok(0) => {
                    return Outcome::Lost(
                        "its connection was closed: the process has ended".into(),
                    );
                }
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) if inflow.has_left => return Outcome::Left,
                Err(e) => {
                    let message = format!("a receive from rank {peer}");
                    end_if_bad_memory(&e, &self.shared, &message);
                    return Outcome::Lost(why_lost(&e));
                }
            };
            // Something has moved, even if no frame is complete.
            events += 1;
            let landed = got.min(direct.len);
            if landed > 0 {
                events += inflow.filled(peer, landed, sink);
            }
            let fed = &self.scratch[..carried + got - landed];
            match inflow.feed(peer, fed, sink) {
                Ok(frames) => events += frames,
                Err(Garbled(what)) => {
                    return Outcome::Lost(format!(
                        "it has sent {what}; do all ranks run the same version of Ferrite?"
                    ));
                }
            }
            if got < direct.len + free.len {
                break;
            }
        }
        Outcome::Up(events)
    }

    /// Receives from whoever has sent something, and goes on with what waited for room.
    fn serve_all(&mut self, sink: &mut dyn Sink) -> usize {
        let mut ready = std::mem::take(&mut self.ready);
        self.shared.inbox.look(&mut ready);
        let mut events = 0;
        for ready in &ready {
            // The bell, which is not for whoever polls; or a connection that is up, whose arrival
            // has not been heard of.
            let Some(&place) = self.places.get(&(ready.key as u32)) else {
                continue;
            };
            if ready.writable {
                let connection = self.receiving[place].connection.clone();
                connection.sending().flush(&self.shared, &connection);
                events += 1;
            }
            if ready.readable {
                events += self.serve(place, sink);
            }
        }
        self.ready = ready;
        events
    }
}

impl Port for TcpPort {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        // Relaxed: only this process's links read it, to tell bursts apart.
        self.shared.epoch.fetch_add(1, Ordering::Relaxed);
        if self.shared.keeps_back.load(Ordering::Relaxed) {
            self.shared.flush();
        }
        let mut events = 0;
        if self.shared.has_news.load(Ordering::Relaxed) {
            events += self.hear(sink);
        }
        if let Some(hot) = self.receiving.get(self.hot) {
            // A little room is used at once; word of much room comes late.
            hot.connection
                .sending()
                .push_on(&self.shared, &hot.connection);
            events += self.serve(self.hot, sink);
        }
        self.since += 1;
        // The only connection has been asked already.
        let patience = if self.receiving.len() == 1 {
            ALONE
        } else {
            HOT
        };
        if self.since >= patience || events == 0 && self.receiving.len() > 1 {
            self.since = 0;
            events += self.serve_all(sink);
        }
        if self.shared.has_news.load(Ordering::Relaxed) {
            events += self.hear(sink);
        }
        events
    }

    fn prepare_sleep(&mut self) -> bool {
        self.shared.flush();
        if !self.shared.fall_asleep() {
            return false;
        }
        self.shared.inbox.look(&mut self.ready);
        if self.ready.iter().any(|ready| ready.key != BELL) {
            self.shared.be_awake();
            return false;
        }
        if self.shared.ring.get().is_some() {
            // From now on the keeper rings. It cannot fail: the set is in the keeper's.
            let armed = self
                .shared
                .gate
                .change(&self.shared.inbox, INBOX, Interest::ReadOnce);
            debug_assert!(armed.is_ok(), "{armed:?}");
        }
        true
    }

    fn awake(&mut self) {
        self.shared.be_awake();
    }
}
