//! Copying within a process.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long a measurement takes at least.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_millis(20);

/// Bytes per second of `memcpy` from one block of `bytes` bytes to another, over and over.
pub fn copy(bytes: usize) -> f64 {
    let source = vec![1u8; bytes];
    let mut target = vec![0u8; bytes];
    repeat(bytes, || {
        black_box(&mut target[..]).copy_from_slice(black_box(&source[..]));
    })
}

/// Bytes per second of a `transfer` that moves `bytes` bytes.
pub(crate) fn repeat(bytes: usize, mut transfer: impl FnMut()) -> f64 {
    transfer();
    let batch = ((1 << 20) / bytes.max(1)).max(1);
    let start = Instant::now();
    let mut transfers = 0;
    loop {
        for _ in 0..batch {
            transfer();
        }
        transfers += batch;
        let elapsed = start.elapsed();
        if elapsed >= LONG_ENOUGH {
            return (bytes * transfers) as f64 / elapsed.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted() {
        let mut calls = 0usize;
        let rate = repeat(1 << 20, || calls += 1);
        assert!(calls > 1 && rate > 0.0);
        assert!(copy(4096) > 0.0);
    }
}
