//! Doors for fuzzers: what bytes of other processes reach, as functions of bytes. Not part of the
//! interface.
#![doc(hidden)]

/// A frame of another engine.
pub fn frame(bytes: &[u8]) {
    crate::engine::fuzz_frame(bytes);
}

/// Frames to begin with.
pub fn frames() -> Vec<Vec<u8>> {
    crate::engine::frame_seeds()
}
