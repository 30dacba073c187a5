//! The bytes that a validated message carries.

/// The content of one message: every byte depends on its place, the message's size and the
/// iteration, so that a message that is stale, shifted or cut differs from the expected one.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    seed: usize,
}

impl Pattern {
    /// The pattern of message `index` of a size.
    pub fn new(bytes: usize, index: usize) -> Self {
        Self {
            seed: bytes.wrapping_mul(31).wrapping_add(index.wrapping_mul(101)),
        }
    }

    /// The byte at `place`, never 0: a receive buffer is cleared to that.
    #[inline]
    pub fn byte(self, place: usize) -> u8 {
        (self.seed.wrapping_add(place.wrapping_mul(7)) % 255) as u8 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_sizes_and_iterations_differ() {
        let first = Pattern::new(64, 0);
        assert!((0..64).all(|i| first.byte(i) != 0));
        assert!((0..63).all(|i| first.byte(i) != first.byte(i + 1)));
        assert_ne!(first.byte(0), Pattern::new(64, 1).byte(0));
        assert_ne!(first.byte(0), Pattern::new(128, 0).byte(0));
    }
}
