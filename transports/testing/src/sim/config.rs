//! What a simulated network is like.

use crate::conformance::Random;
use crate::moods;
use ferrite_fabric::{CONTROL, Caps, RmaLimits};

/// What a simulated network is like. Lengths in bytes; `once_in` means once in so many times, 0
/// never.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bodies up to this length are never kept.
    pub inline: usize,
    /// The longest body of a frame.
    pub frame: usize,
    /// Frames on their way from one process to another.
    pub frames: usize,
    /// The longest time from one process to another, in virtual nanoseconds; each pair has its own,
    /// up to this.
    pub latency: usize,
    /// How often a body that may be kept is.
    pub lend_once_in: usize,
    /// Bodies longer than this ask for a place to land.
    pub place_from: usize,
    /// The most pieces in which a body comes.
    pub pieces: usize,
    /// How often a link is full for no reason.
    pub full_once_in: usize,
    /// How often a frame is kept back until it is flushed.
    pub keep_once_in: usize,
    /// What can be done with a peer's memory.
    pub caps: Caps,
    /// Messages of at least this length are to be accessed directly.
    pub direct_from: usize,
    /// How much of that.
    pub rma: RmaLimits,
    /// How often an operation on it is done at once.
    pub direct_once_in: usize,
    /// How often a link turns out to be unable to do one.
    pub unavailable_once_in: usize,
    /// How often memory is not registered for no reason.
    pub refuse_once_in: usize,
    /// Length of a region's key.
    pub key: usize,
    /// A link that dies: after so many frames altogether, and between whom.
    pub cut: Option<(u64, u32, u32)>,
    /// Tells what happens on standard error.
    pub tell: bool,
}

impl Config {
    /// A network without moods, for a start.
    pub const PLAIN: Config = Config {
        inline: 40,
        frame: 4096,
        frames: 16,
        latency: 1000,
        lend_once_in: 0,
        place_from: usize::MAX,
        pieces: 1,
        full_once_in: 0,
        keep_once_in: 0,
        direct_from: 0,
        caps: Caps::NONE,
        rma: RmaLimits::NONE,
        direct_once_in: 0,
        unavailable_once_in: 0,
        refuse_once_in: 0,
        key: 0,
        cut: None,
        tell: false,
    };

    /// A network as a seed wants it; nothing dies in it.
    pub fn of(seed: u64) -> Config {
        let mut random = Random(seed ^ 0xc0f1);
        let (caps, rma) = moods::rma(&mut random);
        let frame = random.choose(&[CONTROL, 100, 1000, 4096, 10_000, 65_536, 1 << 20]);
        Config {
            inline: random
                .choose(&[0, 16, 40, CONTROL, 1000, 20_000])
                .min(frame),
            frame,
            frames: random.choose(&[1, 2, 3, 8, 32]),
            latency: random.choose(&[1, 50, 1000, 50_000]),
            lend_once_in: random.choose(&[0, 1, 2, 4]),
            place_from: random.choose(&[0, CONTROL, 1000, 8192, usize::MAX]),
            pieces: random.choose(&[1, 2, 6]),
            full_once_in: random.choose(&[0, 0, 8, 2]),
            keep_once_in: random.choose(&[0, 4, 2, 1]),
            direct_from: random.choose(&[0, 64, 2048, 65_536]),
            caps,
            rma,
            direct_once_in: random.choose(&[0, 1, 3]),
            unavailable_once_in: random.choose(&[0, 0, 4]),
            refuse_once_in: random.choose(&[0, 0, 4]),
            key: random.choose(&[0, 1, 8, 33, 64]),
            ..Config::PLAIN
        }
    }

    /// The same with a link that dies within so many frames.
    pub fn with_cut(mut self, seed: u64, processes: u32, within: u64) -> Config {
        let mut random = Random(seed ^ 0xc07);
        let one = random.below(processes as usize) as u32;
        let other = (one + 1 + random.below(processes as usize - 1) as u32) % processes;
        self.cut = Some((1 + random.bits() % within, one, other));
        self
    }
}
