//! One receiver and the rings of all its senders.
//!
//! A ring is *hot* (in the list that `poll` goes through, its flag set) or *cold* (parked, its flag
//! clear, its sender raises a bit in the bell). It becomes hot when its bit is found, and cold in
//! two cases: the receiver goes to sleep, or it has been silent for long while many rings are hot.
//! Either way the order is: clear the flags, heavy fence, look once more.

use core::ptr::NonNull;

use crate::bell::Bell;
use crate::consumer::{Consumer, Popped};
use crate::fence;
use crate::layout::Ring;

/// Frames taken from one ring before the next one has its turn.
const TURN: usize = 16;
/// Frames taken in one poll.
const POLL: usize = 64;
/// Looks at rings between two sweeps for silent ones: a sweep costs a system call of microseconds,
/// a look a nanosecond.
const SWEEP: usize = if cfg!(loom) { 2 } else { 1 << 20 };

/// Takes what an inbox finds.
pub trait Receive {
    /// A frame from sender `from`: three words of head, of which the first holds the length of the
    /// body in its upper half, and the body, readable during the call only and possibly still
    /// writable by the sender.
    fn frame(&mut self, from: u32, head: [u64; 3], body: *const u8, len: usize);

    /// The ring of sender `from` holds nonsense and is not looked at any more.
    fn broken(&mut self, from: u32);
}

#[derive(Debug)]
struct Source {
    consumer: Consumer,
    from: u32,
    /// Whether a frame was found since the last sweep.
    active: bool,
}

/// One receiver and the rings of all its senders.
#[derive(Debug)]
pub struct Inbox {
    hot: Vec<Source>,
    /// Index into `hot` of the ring whose turn it is.
    next: usize,
    bell: NonNull<Bell>,
    /// Words of the bell that senders of this inbox use.
    words: usize,
    /// Cold rings by sender. `None`: hot, broken, or no such sender.
    parked: Vec<Option<Source>>,
    /// Whether heavy fences work. Without them a ring that was hot once stays in `hot`, flag clear
    /// during sleep, and sleeps must be short.
    fenced: bool,
    looks: usize,
}

// SAFETY: `bell` outlives the inbox, see `new`, and is made of atomics.
unsafe impl Send for Inbox {}

impl Inbox {
    /// The inbox of the rings of senders 0, 1, ...; `None` where there is no such sender. `fenced`
    /// is what [`fence::register`] returned; if false, the receiver must not sleep for longer than
    /// it can bear a frame to be late.
    ///
    /// # Safety
    /// `bell` and the memory of the rings outlive the inbox, and this is their only receiver ever.
    pub unsafe fn new(
        bell: NonNull<Bell>,
        rings: impl Iterator<Item = Option<Ring>>,
        fenced: bool,
    ) -> Inbox {
        let source = |(from, ring): (usize, Option<Ring>)| {
            // SAFETY: the caller's promise.
            let consumer = unsafe { Consumer::new(ring?) };
            Some(Source {
                consumer,
                from: from as u32,
                active: true,
            })
        };
        let parked: Vec<_> = rings.enumerate().map(source).collect();
        assert!(parked.len() <= Bell::SENDERS as usize);
        let words = parked.len().div_ceil(64);
        Inbox {
            hot: Vec::new(),
            next: 0,
            bell,
            words,
            parked,
            fenced,
            looks: 0,
        }
    }

    #[inline(always)]
    fn bell(&self) -> &Bell {
        // SAFETY: see `new`.
        unsafe { self.bell.as_ref() }
    }

    /// Hands frames that have arrived to `to`, from each sender in order, some dozens at most.
    /// Returns how many frames (and broken rings) there were.
    #[inline]
    pub fn poll(&mut self, to: &mut impl Receive) -> usize {
        if self.bell().rung(self.words) {
            self.heat();
        }
        let mut found = 0;
        for _ in 0..self.hot.len() {
            if self.next >= self.hot.len() {
                self.next = 0;
            }
            let source = &mut self.hot[self.next];
            if source.consumer.ready() {
                source.active = true;
                let (frames, broken) = source.drain(to);
                found += frames;
                if broken {
                    found += 1;
                    self.discard(self.next, to);
                    continue;
                }
            }
            self.next += 1;
            if found >= POLL {
                break;
            }
        }
        if self.hot.len() > 1 {
            self.looks += self.hot.len();
            if self.looks > SWEEP {
                self.sweep();
            }
        }
        found
    }

    /// Makes rings hot whose bits are set.
    #[cold]
    fn heat(&mut self) {
        for word in 0..self.words {
            let mut bits = self.bell().take(word);
            while bits != 0 {
                let from = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // A bit may be stale (its ring is hot already) or invented.
                if let Some(mut source) = self.parked.get_mut(from).and_then(Option::take) {
                    source.consumer.set_hot(true);
                    source.active = true;
                    self.hot.push(source);
                }
            }
        }
    }

    #[cold]
    fn discard(&mut self, index: usize, to: &mut impl Receive) {
        let source = self.hot.remove(index);
        source.consumer.set_hot(false);
        to.broken(source.from);
    }

    /// Makes rings cold that have been silent since the last sweep.
    #[cold]
    fn sweep(&mut self) {
        self.looks = 0;
        if self.fenced && self.hot.iter().any(|source| !source.active) {
            let silent = self.hot.iter().filter(|source| !source.active);
            silent.for_each(|source| source.consumer.set_hot(false));
            fence::heavy();
            self.park_if(|source| !source.active && !source.consumer.ready());
            self.hot
                .iter()
                .for_each(|source| source.consumer.set_hot(true));
        }
        self.hot.iter_mut().for_each(|source| source.active = false);
    }

    /// Parks those of `which`. Their flags are clear, and a heavy fence has passed since.
    fn park_if(&mut self, which: impl Fn(&Source) -> bool) {
        for i in (0..self.hot.len()).rev() {
            if which(&self.hot[i]) {
                let source = self.hot.remove(i);
                let from = source.from as usize;
                self.parked[from] = Some(source);
            }
        }
    }

    /// Gets ready to sleep: makes all rings cold and arms the bell. Returns `false`, awake, if
    /// there is something to poll. After `true` the caller sleeps in [`Bell::wait`] (or not) and
    /// then calls [`Inbox::awake`].
    ///
    /// What another process stored before a light fence and a look at the bell is visible when this
    /// returns, unless that look found the bell armed.
    pub fn prepare_sleep(&mut self) -> bool {
        self.hot
            .iter()
            .for_each(|source| source.consumer.set_hot(false));
        self.bell().arm();
        if self.fenced {
            // Also where no ring is hot: whoever works with this process in other memory looks at
            // the bell after a light fence.
            fence::heavy();
        } else {
            // Pairs with the read-modify-write in `Bell::raise`, a full barrier by itself.
            crate::atomic::fence(crate::atomic::Ordering::SeqCst);
        }
        let found =
            self.bell().rung(self.words) | self.hot.iter().any(|source| source.consumer.ready());
        if found {
            if self.fenced {
                self.park_if(|source| !source.consumer.ready());
            }
            self.bell().disarm();
            self.hot
                .iter()
                .for_each(|source| source.consumer.set_hot(true));
        } else if self.fenced {
            // All, even one that has a frame by now: its sender has seen the clear flag and wakes
            // us. If its ring became hot again here, the sender could see that instead, and we
            // would sleep.
            self.park_if(|_| true);
        }
        !found
    }

    /// Back from sleep.
    pub fn awake(&mut self) {
        self.bell().disarm();
        if !self.fenced {
            self.hot
                .iter()
                .for_each(|source| source.consumer.set_hot(true));
        }
    }
}

impl Source {
    #[inline(always)]
    fn drain(&mut self, to: &mut impl Receive) -> (usize, bool) {
        let from = self.from;
        for frames in 0..TURN {
            match self
                .consumer
                .pop(|head, body, len| to.frame(from, head, body, len))
            {
                Popped::Frame => {}
                Popped::Empty => return (frames, false),
                Popped::Broken => return (frames, true),
            }
        }
        (TURN, false)
    }
}
