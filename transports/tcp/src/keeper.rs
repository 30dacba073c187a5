//! The thread that does what must go on while the program computes. It never calls the engine, and
//! sleeps when nothing is due.
//!
//! Simultaneous connections: the one that the lower rank has made is used. Its peer keeps its own
//! attempt only until that one is in use; a caller of higher rank, once it has proved itself, is
//! held until this process's own attempt is decided, so that a firewall that lets one direction
//! through is no obstacle.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use crate::connect::{Call, Progress};
use crate::doorman::{Doorman, Member};
use crate::handshake::{DUPLICATE, WELCOME};
use crate::own_fault::shortage;
use crate::port::INBOX;
use crate::shared::{Shared, State};
use crate::sys::{self, Interest, Ready};

/// The key of `Shared::kick` in `Shared::gate`.
const KICK: u64 = 0;

/// A peer of whose kernel nothing is heard for so long is gone. A repeat after a lost packet may
/// take 6.4 s.
const SILENT: Duration = Duration::from_millis(8_500);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// After so long, what is kept back leaves though the program does not call.
const TICK: Duration = Duration::from_micros(50);

/// The same while the program calls all the time and sends by itself.
const LONG_TICK: Duration = Duration::from_millis(1);

/// With nothing kept back for so long, the keeper sleeps until it is kicked.
const IDLE: Duration = Duration::from_millis(20);

/// How long a connection may take that a peer says it has made.
const ELSEWHERE: Duration = Duration::from_secs(20);

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    /// This process's network stack: see `Card::stack`.
    stack: String,
    listeners: Vec<TcpListener>,
    doorman: Doorman,
    calls: HashMap<u32, Call>,
    /// Callers that have proved themselves while a call to the same peer is under way.
    held: HashMap<u32, TcpStream>,
    /// Peers that have said they use another connection, and until when that must be there.
    promised: HashMap<u32, Instant>,
    last_key: u64,
    watch: Watch,
    look: Instant,
}

/// How closely what is kept back is looked after.
struct Watch {
    tick: Duration,
    next: Instant,
    /// The port's polls at the last look, and the frames kept back.
    seen: (u64, u64),
    /// When something was last found.
    busy: Instant,
}

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        stack: String,
        listeners: Vec<TcpListener>,
    ) -> std::io::Result<Keeper> {
        let gate = &shared.gate;
        gate.add(&shared.kick, KICK, Interest::Read)?;
        gate.add(&shared.inbox, INBOX, Interest::Nothing)?;
        for (listener, key) in listeners.iter().zip(1..) {
            gate.add(listener, key, Interest::Read)?;
        }
        let now = Instant::now();
        Ok(Keeper {
            last_key: listeners.len() as u64,
            shared,
            stack,
            listeners,
            doorman: Doorman::default(),
            calls: HashMap::new(),
            held: HashMap::new(),
            promised: HashMap::new(),
            watch: Watch {
                tick: TICK,
                next: now,
                seen: (0, 0),
                busy: now,
            },
            look: now + LOOK,
        })
    }

    /// The thread's life.
    pub(crate) fn run(mut self) {
        sys::settle_thread();
        let mut ready = Vec::new();
        // Acquire pairs with the release in `TcpNetwork::close`.
        while !self.shared.is_closing.load(Ordering::Acquire) {
            let next = self.tick();
            let timeout = next.saturating_duration_since(Instant::now());
            self.shared.gate.wait(Some(timeout));
            self.shared.gate.look(&mut ready);
            for ready in &ready {
                self.handle(ready);
            }
        }
    }

    fn handle(&mut self, ready: &Ready) {
        match ready.key {
            KICK => {
                self.shared.kick.reset();
                self.begin_watching();
                for peer in self.shared.take_orders() {
                    self.begin_calling(peer, Instant::now());
                }
            }
            INBOX => self.shared.wake(),
            key => {
                if let Some(listener) = self.listeners.get(key as usize - 1) {
                    let last = &mut self.last_key;
                    let Shared {
                        gate,
                        identity,
                        refusals,
                        ..
                    } = &*self.shared;
                    let opened = self.doorman.open(listener, gate, identity, refusals, || {
                        *last += 1;
                        *last
                    });
                    if let Err(sentence) = opened {
                        self.shared.bootstrap.abort(1, &sentence);
                    }
                } else {
                    self.hear(key);
                }
            }
        }
    }

    /// Unless the peer has called since the connection was ordered.
    fn begin_calling(&mut self, peer: u32, now: Instant) {
        if !self.is_decided(peer) {
            self.calls
                .entry(peer)
                .or_insert_with(|| Call::new(peer, now));
        }
    }

    /// Whether there is a connection to a peer, or there was.
    fn is_decided(&self, peer: u32) -> bool {
        let connection = self.shared.connection(peer);
        let sending = connection.sending();
        matches!(sending.state, State::Up(_) | State::Down)
    }

    /// A socket in a handshake is ready.
    fn hear(&mut self, key: u64) {
        let Shared {
            gate,
            identity,
            refusals,
            ..
        } = &*self.shared;
        if let Some(call) = self.calls.values_mut().find(|call| call.has(key)) {
            let peer = call.peer;
            let progress = call.hear(key, Instant::now(), identity, gate);
            self.judge(peer, progress);
        } else if let Some(member) = self.doorman.hear(key, gate, identity, refusals) {
            self.welcome(member);
        }
    }

    /// Acts on how a call stands. Returns when to look at it again.
    fn judge(&mut self, peer: u32, progress: Progress) -> Option<Instant> {
        match progress {
            Progress::Until(at) => return Some(at),
            Progress::Up(socket) => {
                self.calls.remove(&peer);
                if let Some(held) = self.held.remove(&peer) {
                    turn_away(held);
                }
                self.establish(peer, socket);
            }
            Progress::Elsewhere => {
                self.calls.remove(&peer);
                match self.held.remove(&peer) {
                    Some(held) => self.adopt(peer, held),
                    None if self.is_decided(peer) => {}
                    None => {
                        self.promised.insert(peer, Instant::now() + ELSEWHERE);
                    }
                }
            }
            Progress::Short(sentence) => self.shared.bootstrap.abort(1, &sentence),
            Progress::Lost(reason) => {
                self.calls.remove(&peer);
                match self.held.remove(&peer) {
                    Some(held) => self.adopt(peer, held),
                    None => self.shared.connection(peer).lose(&self.shared, reason),
                }
            }
        }
        None
    }

    /// A caller has proved that it is this rank.
    fn welcome(&mut self, member: Member) {
        let Member { rank, socket } = member;
        if self.is_decided(rank) {
            turn_away(socket);
        } else if self.calls.contains_key(&rank) && rank > self.shared.identity.rank {
            if let Some(older) = self.held.insert(rank, socket) {
                turn_away(older);
            }
        } else {
            if let Some(mut call) = self.calls.remove(&rank) {
                call.cancel(&self.shared.gate);
            }
            self.adopt(rank, socket);
        }
    }

    /// Uses a caller's connection, and tells it.
    fn adopt(&mut self, rank: u32, mut socket: TcpStream) {
        // A fresh socket has room for a byte. If the caller is gone, receiving will tell.
        let _ = socket.write(&[WELCOME]);
        self.establish(rank, socket);
    }

    fn establish(&mut self, peer: u32, socket: TcpStream) {
        self.promised.remove(&peer);
        // What cannot be set costs speed, not correctness.
        let _ = sys::tune(&socket);
        let connection = self.shared.connection(peer);
        if let Err(e) = connection.attach(&self.shared, socket) {
            let what = format!("wait for messages of rank {peer}");
            let sentence = shortage(&e, &what, &self.shared.identity);
            let sentence = sentence.unwrap_or_else(|| format!("cannot {what}: {e}"));
            self.shared.bootstrap.abort(1, &sentence);
        }
    }

    /// Does what is due, and returns when something will be.
    fn tick(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + Duration::from_secs(60);
        let peers: Vec<u32> = self.calls.keys().copied().collect();
        for peer in peers {
            if let Some(at) = self.tick_call(peer, now) {
                next = next.min(at);
            }
        }
        let Shared {
            gate,
            identity,
            refusals,
            ..
        } = &*self.shared;
        if let Some(at) = self.doorman.tick(now, gate, identity, refusals) {
            next = next.min(at);
        }
        let broken: Vec<u32> = self
            .promised
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in broken {
            self.promised.remove(&peer);
            let reason = format!(
                "it said that it had made a connection, but none came within {} s",
                ELSEWHERE.as_secs()
            );
            self.shared.connection(peer).lose(&self.shared, reason);
        }
        if let Some(at) = self.promised.values().min() {
            next = next.min(*at);
        }
        if self.look <= now {
            self.look_for_silence();
            self.look = now + LOOK;
        }
        next = next.min(self.look);
        match self.look_after_kept_back(now) {
            Some(at) => next.min(at),
            None => next,
        }
    }

    fn tick_call(&mut self, peer: u32, now: Instant) -> Option<Instant> {
        let last = &mut self.last_key;
        let bootstrap = &self.shared.bootstrap;
        let call = self.calls.get_mut(&peer)?;
        let progress = call.tick(
            now,
            &self.stack,
            &self.shared.gate,
            &self.shared.identity,
            |rank| bootstrap.fetch(rank),
            || {
                *last += 1;
                *last
            },
        );
        self.judge(peer, progress)
    }

    fn look_for_silence(&mut self) {
        for connection in self.shared.all() {
            let Some(socket) = connection.live_socket() else {
                continue;
            };
            if let Some(silence) = sys::silence(&socket).filter(|silence| *silence > SILENT) {
                let reason = format!(
                    "nothing has been heard of its host for {:.1} s, not even an acknowledgement: \
                     the host or the link to it is down",
                    silence.as_secs_f32()
                );
                connection.lose(&self.shared, reason);
            }
        }
    }

    fn begin_watching(&mut self) {
        if !self.shared.is_watched.swap(true, Ordering::Relaxed) {
            let now = Instant::now();
            self.watch = Watch {
                tick: TICK,
                next: now + TICK,
                seen: calls(&self.shared),
                busy: now,
            };
        }
    }

    /// Sends what is kept back by a program that does not call. Returns when to do it again.
    fn look_after_kept_back(&mut self, now: Instant) -> Option<Instant> {
        let shared = &self.shared;
        if !shared.is_watched.load(Ordering::Relaxed) {
            return None;
        }
        let watch = &mut self.watch;
        if watch.next > now {
            return Some(watch.next);
        }
        let now_seen = calls(shared);
        let calls = std::mem::replace(&mut watch.seen, now_seen) != now_seen;
        if shared.keeps_back.load(Ordering::Relaxed) {
            watch.busy = now;
            if !calls {
                shared.flush();
            }
        }
        watch.tick = if calls {
            (watch.tick * 2).min(LONG_TICK)
        } else {
            TICK
        };
        watch.next = now + watch.tick;
        if now - watch.busy > IDLE && self.stop_watching() {
            return None;
        }
        Some(self.watch.next)
    }

    /// From now on a link kicks when it keeps something back. `false`: it has done so just now.
    fn stop_watching(&self) -> bool {
        self.shared.is_watched.store(false, Ordering::Relaxed);
        // Partner: the fence in `Sending::keep_back`.
        fence(Ordering::SeqCst);
        if self.shared.keeps_back.load(Ordering::Relaxed) {
            self.shared.is_watched.store(true, Ordering::Relaxed);
            return false;
        }
        true
    }
}

/// What changes while the program calls.
fn calls(shared: &Shared) -> (u64, u64) {
    let polls = shared.epoch.load(Ordering::Relaxed);
    (polls, shared.kept_back.load(Ordering::Relaxed))
}

/// Tells a caller that the pair has another connection.
fn turn_away(mut socket: TcpStream) {
    // If it is gone already, it need not be told.
    let _ = socket.write(&[DUPLICATE]);
}

#[cfg(test)]
mod tests {
    use ferrite_fabric::{Bootstrap, Secret};

    use super::*;
    use crate::handshake::Identity;

    struct Nowhere;

    impl Bootstrap for Nowhere {
        fn publish(&self, _: &str) -> Result<(), String> {
            Ok(())
        }
        fn fetch(&self, rank: u32) -> Result<Option<String>, String> {
            panic!("rank {rank} is called")
        }
        fn finalized(&self) {}
        fn abort(&self, _: i32, message: &str) -> ! {
            panic!("{message}")
        }
        fn lost(&self, _: u32, reason: &str) -> ! {
            panic!("{reason}")
        }
    }

    /// A peer's call may be answered between the order of a connection and its execution.
    #[test]
    fn a_connection_that_is_up_is_not_waited_for() {
        let identity = Identity {
            job: [1; 16],
            secret: Secret([2; 32]),
            rank: 0,
            size: 2,
        };
        let shared = Arc::new(Shared::new(identity, Arc::new(Nowhere)).expect("descriptors"));
        let mut keeper =
            Keeper::new(shared.clone(), String::new(), Vec::new()).expect("a keeper without doors");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let _peer = TcpStream::connect(address).expect("it listens");
        shared.connection(1).sending().state = State::Wanted;
        shared.order(1);
        keeper.establish(1, listener.accept().expect("one has connected").0);
        let kicked = Ready {
            key: KICK,
            readable: true,
            writable: false,
        };
        keeper.handle(&kicked);
        assert!(keeper.calls.is_empty());
        keeper.judge(1, Progress::Elsewhere);
        assert!(keeper.promised.is_empty());
        keeper.tick();
        assert!(shared.connection(1).live_socket().is_some());
    }
}
