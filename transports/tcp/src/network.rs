//! A process's place in the network: from listening to taking leave.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ferrite_fabric::{Bootstrap, Header, Job, Link, Network, Options, Port, RawBuf, RawBufMut};

use crate::card::Card;
use crate::handshake::Identity;
use crate::inflow::GOODBYE;
use crate::interfaces;
use crate::keeper::Keeper;
use crate::link::TcpLink;
use crate::port::TcpPort;
use crate::shared::{Shared, State};
use crate::sys::{self, Interface};

/// How long taking leave may take: the peers do the same at the same time.
const LEAVE: Duration = Duration::from_secs(10);

pub(crate) struct TcpNetwork {
    shared: Arc<Shared>,
    card: String,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl TcpNetwork {
    pub(crate) fn open(
        job: &Job,
        bootstrap: Arc<dyn Bootstrap>,
        options: &Options,
    ) -> Result<TcpNetwork, String> {
        let up = sys::interfaces()
            .map_err(|e| format!("the kernel does not tell this host's interfaces: {e}"))?;
        let mut chosen = interfaces::choose(up, &options.interfaces)?;
        if job.neighbours + 1 == job.local.len() as u32 {
            // Every rank of this host is reached through memory.
            let elsewhere: Vec<Interface> =
                chosen.iter().filter(|i| !i.is_loopback).cloned().collect();
            if !elsewhere.is_empty() {
                chosen = elsewhere;
            }
        }
        if chosen.is_empty() {
            return Err("this host has no network interface that is up".into());
        }
        // Two for each peer, as both ends may call at the same time, and the callers at the door.
        sys::make_room_for_descriptors(u64::from(job.size) * 2);
        let listeners = listen(&chosen, options.ports, job.rank)?;
        let addresses = listeners.iter().map(TcpListener::local_addr);
        let addresses: io::Result<Vec<SocketAddr>> = addresses.collect();
        let stack = stack();
        let card = Card {
            host: sys::host_name(),
            stack: stack.clone(),
            addresses: addresses.map_err(|e| format!("a socket has no address: {e}"))?,
        };
        let identity = Identity {
            job: job.id,
            secret: job.secret,
            rank: job.rank,
            size: job.size,
        };
        let failed = |e: io::Error| format!("no thread for connections can be had: {e}");
        let shared = Arc::new(Shared::new(identity, bootstrap).map_err(failed)?);
        let keeper = Keeper::new(shared.clone(), stack, listeners).map_err(failed)?;
        let keeper = std::thread::Builder::new()
            .name("ferrite-tcp".into())
            .stack_size(256 << 10)
            .spawn(move || keeper.run())
            .map_err(failed)?;
        Ok(TcpNetwork {
            shared,
            card: card.encode(options.card),
            keeper: Mutex::new(Some(keeper)),
        })
    }

    /// Sends what waits, connections that are still being made included.
    fn drain(&self, until: Instant) {
        while self.shared.all().iter().any(|connection| {
            let mut sending = connection.sending();
            sending.flush(&self.shared, connection);
            !sending.queue.is_empty()
        }) && Instant::now() < until
        {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn dismiss_keeper(&self) {
        // Release pairs with the acquire in `Keeper::run`.
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.kick.ring();
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeper.take() {
            // It has no result, and its panic is its own message.
            let _ = keeper.join();
        }
    }

    /// Says goodbye to all peers. Returns their sockets.
    fn say_goodbye(&self) -> Vec<Arc<TcpStream>> {
        let goodbye = Header {
            kind: 0,
            flags: 0,
            seq: GOODBYE,
            len: 0,
            context: 0,
            tag: 0,
            source: 0,
        }
        .to_bytes();
        let mut sockets = Vec::new();
        for connection in self.shared.all() {
            let mut sending = connection.sending();
            if let State::Up(socket) = &sending.state {
                let socket = socket.clone();
                // SAFETY: a local array.
                unsafe { sending.queue.copy(RawBuf::of(&goodbye)) };
                sending.flush(&self.shared, &connection);
                sockets.push(socket);
            }
        }
        sockets
    }
}

impl Network for TcpNetwork {
    fn card(&self) -> String {
        self.card.clone()
    }

    fn port(&self) -> Box<dyn Port> {
        Box::new(TcpPort::new(self.shared.clone()))
    }

    fn link(&self, peer: u32) -> Box<dyn Link> {
        Box::new(TcpLink::new(self.shared.clone(), peer))
    }

    #[inline]
    fn keeps_back(&self) -> bool {
        self.shared.keeps_back.load(Ordering::Relaxed)
    }

    fn flush(&self) {
        self.shared.flush();
    }

    fn ring(&self, bell: Arc<dyn Fn() + Send + Sync>) {
        // A second bell is refused: the first one is the place where this process sleeps.
        let _ = self.shared.ring.set(bell);
    }

    fn sleep(&self, timeout: Option<Duration>) {
        self.shared.inbox.wait(timeout);
        // Only here, by whom it was for: another thread that polls meanwhile must not take it away
        // from one that is about to sleep.
        self.shared.bell.reset();
    }

    fn wake(&self) {
        self.shared.bell.ring();
    }

    fn threads(&self) -> u32 {
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        keeper
            .as_ref()
            .is_some_and(|keeper| !keeper.is_finished())
            .into()
    }

    fn close(&self) {
        let until = Instant::now() + LEAVE;
        self.drain(until);
        let mut open = self.say_goodbye();
        self.drain(until);
        for socket in &open {
            // Who is gone already need not be told.
            let _ = socket.shutdown(std::net::Shutdown::Write);
        }
        // A socket that is closed with something unread in it resets the connection, and the peer
        // may lose the end of what was sent to it. So each is read until its peer has taken leave.
        let mut rest = vec![0; 64 << 10];
        while !open.is_empty() && Instant::now() < until {
            open.retain(|socket| {
                loop {
                    let into = RawBufMut::of(&mut rest);
                    // SAFETY: the vector's memory.
                    match unsafe { sys::receive(socket, RawBufMut::EMPTY, into) } {
                        Ok(0) => return false,
                        Ok(_) => {}
                        Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
                    }
                }
            });
            let waiting: Vec<&TcpStream> = open.iter().map(|socket| &**socket).collect();
            if !waiting.is_empty() {
                sys::wait_readable(&waiting, Duration::from_millis(100));
            }
        }
        self.dismiss_keeper();
        for connection in self.shared.all() {
            connection.sending().end(&self.shared);
        }
    }
}

impl Drop for TcpNetwork {
    fn drop(&mut self) {
        self.dismiss_keeper();
    }
}

/// Listens on every interface, on the same port if possible: a firewall is easier to set up then.
fn listen(
    interfaces: &[Interface],
    ports: Option<(u16, u16)>,
    rank: u32,
) -> Result<Vec<TcpListener>, String> {
    let addresses: Vec<IpAddr> = interfaces.iter().map(|i| i.address).collect();
    let Some((first, last)) = ports else {
        let mut port = 0;
        let mut listeners = Vec::new();
        for &address in &addresses {
            let listener = sys::listen((address, port).into())
                .or_else(|_| sys::listen((address, 0).into()))
                .map_err(|e| format!("cannot listen on {address}: {e}"))?;
            port = listener.local_addr().map_or(0, |address| address.port());
            listeners.push(listener);
        }
        return Ok(listeners);
    };
    let count = u32::from(last - first) + 1;
    let mut why = String::new();
    for step in 0..count {
        // Ranks of one host begin at different places, so that they rarely meet.
        let port = first + ((rank + step) % count) as u16;
        let all: io::Result<Vec<TcpListener>> = addresses
            .iter()
            .map(|&address| sys::listen((address, port).into()))
            .collect();
        match all {
            Ok(listeners) => return Ok(listeners),
            Err(e) => why = e.to_string(),
        }
    }
    Err(format!(
        "none of the ports {first} to {last} (FERRITE_PORT_RANGE) can be listened on: {why}; every \
         rank of a host needs one"
    ))
}

/// A text that is equal for processes that share a loopback interface: the same boot of the same
/// kernel, and the same network namespace.
fn stack() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let both = format!("{}{}", boot.trim(), namespace.display());
    let hash = blake3::hash(both.as_bytes());
    hash.to_hex()[..16].to_owned()
}
