//! What a process holds of a network that lies within one program: its place, its links and its
//! port, all of which hand on to the one [`World`] that knows everything.

use std::sync::Arc;
use std::time::Duration;

use crate::registry::What;
use ferrite_fabric::{
    Atomic, Caps, Header, Limits, Link, Network, Port, RawBuf, RawBufMut, Refused, Region,
    Registration, Sent, Sink, Token, Transfer, Uses, Width,
};

/// Two processes: who acts, and the other one.
pub(crate) type Pair = (usize, usize);

/// An operation on a part of a peer's region.
pub(crate) struct Access<'a> {
    pub(crate) what: What,
    pub(crate) region: &'a Region,
    pub(crate) offset: u64,
}

/// All processes of a network and what is between them. Every method is that of [`Network`],
/// [`Link`] or [`Port`], for the process or pair of processes that is named.
pub(crate) trait World: Send + Sync + 'static {
    /// What cards begin with.
    const NAME: &'static str;

    fn limits(&self, pair: Pair) -> Limits;

    /// # Safety
    /// As [`Link::try_send`].
    unsafe fn try_send(&self, pair: Pair, header: &Header, body: RawBuf, token: Token) -> Sent;

    fn flush(&self, _pair: Pair) {}

    /// # Safety
    /// As [`Link::register`].
    unsafe fn register(
        &self,
        rank: usize,
        memory: RawBufMut,
        uses: Uses,
    ) -> Result<Region, Refused>;

    /// The registration is dropped.
    fn unregister(&self, region: &Region);

    /// # Safety
    /// As [`Link::read`], [`Link::write`] and [`Link::atomic`].
    unsafe fn access(&self, pair: Pair, access: Access<'_>, token: Token) -> Transfer;

    fn flush_writes(&self, pair: Pair, token: Token) -> Transfer;

    fn keeps_back(&self, _rank: usize) -> bool {
        false
    }

    fn flush_all(&self, _rank: usize) {}

    fn ring(&self, rank: usize, bell: Arc<dyn Fn() + Send + Sync>);

    fn sleep(&self, rank: usize, timeout: Option<Duration>);

    fn wake(&self, rank: usize);

    fn close(&self, rank: usize);

    fn poll(&self, rank: usize, sink: &mut dyn Sink) -> usize;

    fn prepare_sleep(&self, rank: usize) -> bool;

    fn awake(&self, rank: usize);

    /// The process's port is dropped: the process is no more.
    fn leave(&self, rank: usize);
}

/// The places of all processes.
pub(crate) fn places<W: World>(world: &Arc<W>, processes: usize) -> Vec<Arc<dyn Network>> {
    (0..processes)
        .map(|rank| place(world.clone(), rank))
        .collect()
}

/// The place of one process.
pub(crate) fn place<W: World>(world: Arc<W>, rank: usize) -> Arc<dyn Network> {
    Arc::new(Place { world, rank })
}

struct Place<W> {
    world: Arc<W>,
    rank: usize,
}

impl<W: World> Network for Place<W> {
    fn card(&self) -> String {
        format!("{}:{}", W::NAME, self.rank)
    }

    fn port(&self) -> Box<dyn Port> {
        Box::new(PlacePort {
            world: self.world.clone(),
            rank: self.rank,
        })
    }

    fn link(&self, peer: u32) -> Box<dyn Link> {
        Box::new(PlaceLink {
            world: self.world.clone(),
            pair: (self.rank, peer as usize),
            had: self.world.limits((self.rank, peer as usize)).caps,
        })
    }

    fn keeps_back(&self) -> bool {
        self.world.keeps_back(self.rank)
    }

    fn flush(&self) {
        self.world.flush_all(self.rank);
    }

    fn ring(&self, bell: Arc<dyn Fn() + Send + Sync>) {
        self.world.ring(self.rank, bell);
    }

    fn sleep(&self, timeout: Option<Duration>) {
        self.world.sleep(self.rank, timeout);
    }

    fn wake(&self) {
        self.world.wake(self.rank);
    }

    fn close(&self) {
        self.world.close(self.rank);
    }
}

struct PlaceLink<W> {
    world: Arc<W>,
    pair: Pair,
    /// Its capabilities before it lost any.
    had: Caps,
}

impl<W: World> Link for PlaceLink<W> {
    fn limits(&self) -> Limits {
        self.world.limits(self.pair)
    }

    unsafe fn try_send(&mut self, header: &Header, body: RawBuf, token: Token) -> Sent {
        // SAFETY: the caller's promise.
        unsafe { self.world.try_send(self.pair, header, body, token) }
    }

    fn flush(&mut self) {
        self.world.flush(self.pair);
    }

    unsafe fn register(&mut self, memory: RawBufMut, uses: Uses) -> Result<Registration, Refused> {
        // SAFETY: the caller's promise.
        let region = unsafe { self.world.register(self.pair.0, memory, uses) }?;
        let held = Held {
            world: self.world.clone(),
            region,
        };
        Ok(Registration::new(region, Some(Box::new(held))))
    }

    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe { self.access(What::Read(into), from, offset, token) }
    }

    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, token: Token) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe { self.access(What::Write(from), to, offset, token) }
    }

    unsafe fn atomic(
        &mut self,
        operation: Atomic,
        width: Width,
        result: RawBufMut,
        on: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        let has = if operation.has_result() {
            width.bytes()
        } else {
            0
        };
        assert_eq!(result.len, has, "as many bytes as the result has");
        let what = What::Atomic {
            operation,
            width,
            result,
        };
        // SAFETY: the caller's promise.
        unsafe { self.access(what, on, offset, token) }
    }

    fn flush_writes(&mut self, token: Token) -> Transfer {
        if !self.had.write && !self.had.atomics.any() {
            return Transfer::Unavailable;
        }
        self.world.flush_writes(self.pair, token)
    }
}

impl<W: World> PlaceLink<W> {
    /// # Safety
    /// As [`World::access`].
    unsafe fn access(
        &mut self,
        what: What,
        region: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        let Limits { caps, rma, .. } = self.world.limits(self.pair);
        let is_there = match what {
            What::Read(_) => caps.read,
            What::Write(_) => caps.write,
            What::Atomic {
                operation, width, ..
            } => caps.atomics.have(operation, width),
        };
        if !is_there {
            return Transfer::Unavailable;
        }
        let (len, most) = (what.len(), rma.transfer);
        let is_short = len <= most || matches!(what, What::Atomic { .. });
        assert!(is_short, "a transfer of {len} bytes, but at most {most}");
        let access = Access {
            what,
            region,
            offset,
        };
        // SAFETY: the caller's promise.
        unsafe { self.world.access(self.pair, access, token) }
    }
}

/// Memory that is unregistered when this is dropped.
struct Held<W: World> {
    world: Arc<W>,
    region: Region,
}

impl<W: World> Drop for Held<W> {
    fn drop(&mut self) {
        self.world.unregister(&self.region);
    }
}

struct PlacePort<W: World> {
    world: Arc<W>,
    rank: usize,
}

impl<W: World> Port for PlacePort<W> {
    fn poll(&mut self, sink: &mut dyn Sink) -> usize {
        self.world.poll(self.rank, sink)
    }

    fn prepare_sleep(&mut self) -> bool {
        self.world.prepare_sleep(self.rank)
    }

    fn awake(&mut self) {
        self.world.awake(self.rank);
    }
}

impl<W: World> Drop for PlacePort<W> {
    fn drop(&mut self) {
        self.world.leave(self.rank);
    }
}
