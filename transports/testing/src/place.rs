//! What a process holds of a network that lies within one program: its place, its links and its port, all of which
//! hand on to the one [`World`] that knows everything.

use std::sync::Arc;
use std::time::Duration;

use ferrite_fabric::{
    Header, Limits, Link, Network, Port, RawBuf, RawBufMut, Region, Sent, Sink, Token, Transfer,
};

/// Two processes: who acts, and the other one.
pub(crate) type Pair = (usize, usize);

/// A direct access to a peer's memory.
pub(crate) struct Access<'a> {
    /// This process's memory; of a write it is only read.
    pub(crate) own: RawBufMut,
    pub(crate) region: &'a Region,
    pub(crate) offset: u64,
    pub(crate) writes: bool,
}

/// All processes of a network and what is between them. Every method is that of [`Network`], [`Link`] or [`Port`], for the
/// process or pair of processes that is named.
pub(crate) trait World: Send + Sync + 'static {
    /// What cards begin with.
    const NAME: &'static str;

    fn limits(&self, pair: Pair) -> Limits;

    /// # Safety
    /// As [`Link::try_send`].
    unsafe fn try_send(&self, pair: Pair, header: &Header, body: RawBuf, token: Token) -> Sent;

    fn flush(&self, _pair: Pair) {}

    /// # Safety
    /// As [`Link::expose`].
    unsafe fn expose(&self, rank: usize, buffer: RawBuf) -> Option<Region>;

    /// # Safety
    /// As [`Link::read`] and [`Link::write`].
    unsafe fn access(&self, pair: Pair, access: Access<'_>, token: Token) -> Transfer;

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

    unsafe fn expose(&mut self, buffer: RawBuf) -> Option<Region> {
        // SAFETY: the caller's promise.
        unsafe { self.world.expose(self.pair.0, buffer) }
    }

    unsafe fn read(
        &mut self,
        into: RawBufMut,
        from: &Region,
        offset: u64,
        token: Token,
    ) -> Transfer {
        let access = Access {
            own: into,
            region: from,
            offset,
            writes: false,
        };
        // SAFETY: the caller's promise.
        unsafe { self.world.access(self.pair, access, token) }
    }

    unsafe fn write(&mut self, from: RawBuf, to: &Region, offset: u64, token: Token) -> Transfer {
        let access = Access {
            own: RawBufMut {
                ptr: from.ptr.cast_mut(),
                len: from.len,
            },
            region: to,
            offset,
            writes: true,
        };
        // SAFETY: the caller's promise; the memory is only read.
        unsafe { self.world.access(self.pair, access, token) }
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
