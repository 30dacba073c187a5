//! How the sender of a cold ring gets its receiver's attention.

use core::time::Duration;

use crate::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::{fence, sys};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

/// Words of the bit map.
const WORDS: usize = 63;

/// One bit for every sender, and the word on which the receiver sleeps. Zeroed memory is a bell of
/// a receiver that is awake and was not called.
#[repr(C, align(128))]
#[derive(Debug)]
pub struct Bell {
    sleeper: AtomicU32,
    pending: [AtomicU64; WORDS],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bell>() == 512);

impl Bell {
    /// The number of senders that a bell can tell apart.
    pub const SENDERS: u32 = WORDS as u32 * 64;

    /// A bell that was not rung.
    #[expect(
        clippy::new_without_default,
        reason = "usually it is found in memory, not made"
    )]
    pub fn new() -> Bell {
        Bell {
            sleeper: AtomicU32::new(AWAKE),
            pending: [const { 0 }; WORDS].map(AtomicU64::new),
        }
    }

    /// The sender says: sender `index` has written to a cold ring. Wakes the receiver if it sleeps.
    #[cold]
    pub fn raise(&self, index: u32) {
        // The word of the ring's slot was stored before; whoever takes this bit sees it.
        // Sequentially consistent with the load in `wake`: pairs with `arm` and the fence after it,
        // so either the receiver sees the bit or we see it asleep.
        self.pending[index as usize / 64].fetch_or(1 << (index % 64), Ordering::SeqCst);
        fence::sequential();
        self.wake();
    }

    /// Wakes the receiver if it sleeps or is about to.
    pub fn wake(&self) {
        if self.sleeper.load(Ordering::SeqCst) == ASLEEP
            && self.sleeper.swap(AWAKE, Ordering::SeqCst) == ASLEEP
        {
            sys::wake(&self.sleeper);
        }
    }

    /// The receiver says: from now on wake me. A fence must follow, then a last look at everything
    /// that may have arrived.
    pub(crate) fn arm(&self) {
        self.sleeper.store(ASLEEP, Ordering::SeqCst);
    }

    /// The receiver says: I am awake.
    #[inline]
    pub(crate) fn disarm(&self) {
        self.sleeper.store(AWAKE, Ordering::SeqCst);
    }

    /// Sleeps until someone wakes the receiver, a signal arrives, or `timeout` is over; returns at
    /// once unless the bell is armed. May return for no reason.
    pub fn wait(&self, timeout: Option<Duration>) {
        sys::wait(&self.sleeper, ASLEEP, timeout);
    }

    /// Whether one of the first `words` words has a bit set.
    #[inline(always)]
    pub(crate) fn rung(&self, words: usize) -> bool {
        // Relaxed: `take` gives the order. When this is the last look before sleep, the fence
        // before it does.
        self.pending[..words]
            .iter()
            .any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Takes the bits of a word.
    pub(crate) fn take(&self, word: usize) -> u64 {
        // Pairs with `raise`: the frames of those who raised the bits are visible now.
        self.pending[word].swap(0, Ordering::SeqCst)
    }
}
