//! Random numbers that a seed repeats.

use ferrite_fabric::Header;

/// Random numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn choose<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// Random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// A header; `len` and `seq` are left to the link.
    pub(super) fn header(&mut self) -> Header {
        let [a, b] = [self.bits(), self.bits()];
        let (kind, flags) = (a as u8, (a >> 8) as u8);
        let (tag, source) = ((a >> 32) as i32, b as i32);
        Header {
            kind,
            flags,
            seq: 0,
            len: 0,
            context: self.bits(),
            tag,
            source,
        }
    }

    /// A length that is more interesting than others.
    pub(super) fn len(&mut self, inline: usize, frame: usize) -> usize {
        match self.below(4) {
            0 => self.below(inline + 2).min(frame),
            1 => self.below(frame.min(256) + 1),
            2 => self.below(frame + 1),
            _ => frame - self.below(3).min(frame),
        }
    }
}
