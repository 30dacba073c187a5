//! What the program's thread and the keeper share: the connections, and what each has for the
//! other.
//!
//! Locks: a connection's `sending`, then the leaves (`staged`, `news`, `orders`, `connections`).
//! None is held during a call of the sink or of the launcher.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ferrite_fabric::{Bootstrap, RawBuf, Token};

use crate::handshake::Identity;
use crate::own_fault::end_if_bad_memory;
use crate::queue::{PIECES, Queue};
use crate::refusal::Refusals;
use crate::sys::{self, Doorbell, Interest, Poller};

/// The key of the doorbell among the keys of `Shared::inbox`, which are peers.
pub(crate) const BELL: u64 = u64::MAX;

/// The way to one peer.
pub(crate) struct Connection {
    pub(crate) peer: u32,
    sending: Mutex<Sending>,
}

/// The sending side of a connection.
pub(crate) struct Sending {
    pub(crate) state: State,
    pub(crate) queue: Queue,
    /// The epoch in which something was last sent at once: what follows within it is kept back.
    pub(crate) burst: u64,
    /// The peer sends nothing any more, and may be gone.
    pub(crate) peer_has_left: bool,
    /// `Shared::staged` names this connection.
    listed: bool,
    /// The socket is full; `Shared::inbox` waits until it is not.
    blocked: bool,
}

pub(crate) enum State {
    /// Nobody has wanted it yet.
    Idle,
    /// The keeper makes a connection; what is sent waits in the queue.
    Wanted,
    Up(Arc<TcpStream>),
    /// The peer is gone, or has been taken leave of. What is sent goes nowhere.
    Down,
}

/// What the keeper, or a link, has for the port.
#[derive(Default)]
pub(crate) struct News {
    pub(crate) arrivals: Vec<(Arc<Connection>, Arc<TcpStream>)>,
    pub(crate) losses: Vec<(u32, String)>,
    pub(crate) done: Vec<(u32, Token)>,
}

pub(crate) struct Shared {
    pub(crate) identity: Identity,
    /// Who is told of what no peer is to blame for.
    pub(crate) bootstrap: Arc<dyn Bootstrap>,
    /// Established connections, and `bell`.
    pub(crate) inbox: Poller,
    /// What the keeper waits for; `inbox` is in it while this process sleeps elsewhere.
    pub(crate) gate: Poller,
    /// Wakes a thread that sleeps at `inbox`.
    pub(crate) bell: Doorbell,
    /// Wakes the keeper.
    pub(crate) kick: Doorbell,
    /// Wakes this process where it sleeps, if that is not at `inbox`.
    pub(crate) ring: OnceLock<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) refusals: Refusals,
    connections: Mutex<HashMap<u32, Arc<Connection>>>,
    /// Connections that keep something back.
    staged: Mutex<Vec<Arc<Connection>>>,
    /// Whether there are any.
    pub(crate) keeps_back: AtomicBool,
    /// Counts polls of the port: between two of them, what is sent to one peer is a burst.
    pub(crate) epoch: AtomicU64,
    /// Counts frames that were kept back, roughly: whoever sends so does not compute.
    pub(crate) kept_back: AtomicU64,
    news: Mutex<News>,
    pub(crate) has_news: AtomicBool,
    asleep: AtomicBool,
    /// Peers to be connected to.
    orders: Mutex<Vec<u32>>,
    /// The keeper looks after `staged` from time to time without being told to.
    pub(crate) is_watched: AtomicBool,
    pub(crate) is_closing: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(identity: Identity, bootstrap: Arc<dyn Bootstrap>) -> io::Result<Shared> {
        let shared = Shared {
            identity,
            bootstrap,
            inbox: Poller::new()?,
            gate: Poller::new()?,
            bell: Doorbell::new()?,
            kick: Doorbell::new()?,
            ring: OnceLock::new(),
            refusals: Refusals::default(),
            connections: Mutex::default(),
            staged: Mutex::default(),
            keeps_back: AtomicBool::new(false),
            epoch: AtomicU64::new(1),
            kept_back: AtomicU64::new(0),
            news: Mutex::default(),
            has_news: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            orders: Mutex::default(),
            is_watched: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
        };
        shared.inbox.add(&shared.bell, BELL, Interest::Read)?;
        Ok(shared)
    }

    /// The connection to a peer, which may have to be made.
    pub(crate) fn connection(&self, peer: u32) -> Arc<Connection> {
        let mut connections = lock(&self.connections);
        let made = connections.entry(peer).or_insert_with(|| {
            let sending = Sending {
                state: State::Idle,
                queue: Queue::default(),
                burst: 0,
                peer_has_left: false,
                listed: false,
                blocked: false,
            };
            Arc::new(Connection {
                peer,
                sending: Mutex::new(sending),
            })
        });
        made.clone()
    }

    /// All connections that anybody has wanted.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).values().cloned().collect()
    }

    /// Asks the keeper to connect to a peer.
    pub(crate) fn order(&self, peer: u32) {
        lock(&self.orders).push(peer);
        self.kick.ring();
    }

    pub(crate) fn take_orders(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.orders))
    }

    /// Sends what all connections keep back.
    pub(crate) fn flush(&self) {
        loop {
            let next = {
                let mut staged = lock(&self.staged);
                let next = staged.pop();
                if next.is_none() {
                    // Under the lock, as where it is set. Relaxed: who misses it is reminded by the
                    // keeper.
                    self.keeps_back.store(false, Ordering::Relaxed);
                }
                next
            };
            let Some(connection) = next else { return };
            let mut sending = connection.sending();
            sending.listed = false;
            sending.flush(self, &connection);
        }
    }

    /// Something for the port. Wakes a process that sleeps.
    pub(crate) fn tell(&self, add: impl FnOnce(&mut News)) {
        add(&mut lock(&self.news));
        // Release pairs with the acquire in `take_news`.
        self.has_news.store(true, Ordering::Release);
        // Partner: the fence in `fall_asleep`. Either the sleeper sees the news, or this sees that
        // it sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    pub(crate) fn take_news(&self) -> News {
        // Acquire pairs with the release in `tell`; before the news are taken, so that later ones
        // raise it again.
        self.has_news.swap(false, Ordering::Acquire);
        std::mem::take(&mut *lock(&self.news))
    }

    /// From now on `tell` wakes this process. `false`: there is news already.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        // Partner: the fence in `tell`.
        fence(Ordering::SeqCst);
        if self.has_news.load(Ordering::Relaxed) {
            self.asleep.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    pub(crate) fn be_awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Ends this process's sleep, wherever it sleeps.
    pub(crate) fn wake(&self) {
        match self.ring.get() {
            Some(ring) => ring(),
            None => self.bell.ring(),
        }
    }
}

impl Connection {
    pub(crate) fn sending(&self) -> MutexGuard<'_, Sending> {
        lock(&self.sending)
    }

    /// Begins to use a socket on which both ends have proved themselves, unless there is another
    /// one already, or there was.
    ///
    /// # Errors
    /// When the system cannot wait for the socket.
    pub(crate) fn attach(
        self: &Arc<Connection>,
        shared: &Shared,
        socket: TcpStream,
    ) -> io::Result<()> {
        let mut sending = self.sending();
        if matches!(sending.state, State::Up(_) | State::Down) {
            return Ok(());
        }
        let socket = Arc::new(socket);
        shared
            .inbox
            .add(&*socket, self.peer.into(), Interest::Read)?;
        sending.state = State::Up(socket.clone());
        shared.tell(|news| news.arrivals.push((self.clone(), socket)));
        sending.flush(shared, self);
        Ok(())
    }

    /// Gives the peer up. What was lent is not touched any more.
    pub(crate) fn lose(&self, shared: &Shared, reason: String) {
        let mut sending = self.sending();
        if sending.end(shared) {
            shared.tell(|news| news.losses.push((self.peer, reason)));
        }
    }

    /// The socket, if the connection is up and the peer has not taken leave.
    pub(crate) fn live_socket(&self) -> Option<Arc<TcpStream>> {
        let sending = self.sending();
        match &sending.state {
            State::Up(socket) if !sending.peer_has_left => Some(socket.clone()),
            _ => None,
        }
    }
}

impl Sending {
    /// Ends the use of the connection. Returns whether it was not ended before.
    pub(crate) fn end(&mut self, shared: &Shared) -> bool {
        self.queue.clear();
        match std::mem::replace(&mut self.state, State::Down) {
            State::Down => false,
            State::Up(socket) => {
                shared.inbox.remove(&*socket);
                true
            }
            State::Idle | State::Wanted => true,
        }
    }

    /// Something was put into the queue that may wait a little.
    #[inline]
    pub(crate) fn keep_back(&mut self, shared: &Shared, connection: &Arc<Connection>) {
        // Relaxed, and not at once: it is enough that it changes.
        let count = shared.kept_back.load(Ordering::Relaxed);
        shared
            .kept_back
            .store(count.wrapping_add(1), Ordering::Relaxed);
        if self.listed || self.blocked || !matches!(self.state, State::Up(_)) {
            // It goes with the rest, when the socket has room, or when there is a socket.
            return;
        }
        self.listed = true;
        let mut staged = lock(&shared.staged);
        staged.push(connection.clone());
        shared.keeps_back.store(true, Ordering::Relaxed);
        drop(staged);
        // Partner: the fence in `Keeper::stop_watching`. Either the keeper sees what is staged, or
        // this sees that it does not watch.
        fence(Ordering::SeqCst);
        if !shared.is_watched.load(Ordering::Relaxed) {
            shared.kick.ring();
        }
    }

    /// Writes what the queue holds, as far as the socket takes it.
    pub(crate) fn flush(&mut self, shared: &Shared, connection: &Connection) {
        let peer = connection.peer;
        while !self.queue.is_empty() {
            let State::Up(socket) = &self.state else {
                return;
            };
            let mut front = [RawBuf::EMPTY; PIECES];
            let count = self.queue.front(&mut front);
            let wanted: usize = front[..count].iter().map(|piece| piece.len).sum();
            // SAFETY: the queue's own bytes, and bodies that their owners keep until they are
            // written.
            match unsafe { sys::send(socket, &front[..count]) } {
                Ok(written) => {
                    let mut done = Vec::new();
                    self.queue
                        .advance(written, |token| done.push((peer, token)));
                    if !done.is_empty() {
                        shared.tell(|news| news.done.extend(done));
                    }
                    if written < wanted {
                        return self.block(shared, peer);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return self.block(shared, peer),
                Err(e) => {
                    end_if_bad_memory(&e, shared, &format!("a send to rank {peer}"));
                    let reason = why_lost(&e);
                    self.end(shared);
                    return shared.tell(|news| news.losses.push((peer, reason)));
                }
            }
        }
        if self.blocked {
            self.blocked = false;
            self.watch(shared, peer, Interest::Read);
        }
    }

    /// The same, but leaves a socket alone that is known to be full.
    pub(crate) fn flush_unless_blocked(&mut self, shared: &Shared, connection: &Connection) {
        if !self.blocked {
            self.flush(shared, connection);
        }
    }

    /// Tries a socket again that was full.
    pub(crate) fn push_on(&mut self, shared: &Shared, connection: &Connection) {
        if self.blocked {
            self.flush(shared, connection);
        }
    }

    /// Waits for room in the socket.
    pub(crate) fn block(&mut self, shared: &Shared, peer: u32) {
        if !self.blocked {
            self.blocked = true;
            self.watch(shared, peer, Interest::ReadWrite);
        }
    }

    fn watch(&self, shared: &Shared, peer: u32, interest: Interest) {
        if let State::Up(socket) = &self.state {
            // It cannot fail for a descriptor that is in the set, and it is while the connection is
            // up.
            let changed = shared.inbox.change(&**socket, peer.into(), interest);
            debug_assert!(changed.is_ok(), "{changed:?}");
        }
    }
}

/// What an error of a socket means to the person who runs the job.
pub(crate) fn why_lost(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "its connection was closed: the process has ended".into()
        }
        io::ErrorKind::TimedOut => "its host does not answer any more".into(),
        _ => format!("its connection failed: {e}"),
    }
}
