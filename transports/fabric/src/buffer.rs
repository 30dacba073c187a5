//! Raw buffers: memory of the user or of another process, of which no Rust reference may ever be made.

use core::ptr::copy_nonoverlapping;

/// Bytes to read. May be user memory or memory shared with other processes, so it is never a `&[u8]`.
#[derive(Clone, Copy, Debug)]
pub struct RawBuf {
    /// First byte; may be anything when `len` is 0.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

/// Bytes to write, otherwise as [`RawBuf`].
#[derive(Clone, Copy, Debug)]
pub struct RawBufMut {
    /// First byte; may be anything when `len` is 0.
    pub ptr: *mut u8,
    /// Length in bytes.
    pub len: usize,
}

// SAFETY: a raw buffer is an address and a length; whoever dereferences it answers for the memory.
unsafe impl Send for RawBuf {}
// SAFETY: as for `RawBuf`.
unsafe impl Send for RawBufMut {}

impl RawBuf {
    /// No bytes.
    pub const EMPTY: RawBuf = RawBuf {
        ptr: core::ptr::null(),
        len: 0,
    };

    /// The bytes of a Rust slice, for messages that the engine itself makes up.
    pub fn of(bytes: &[u8]) -> RawBuf {
        RawBuf {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// The part from byte `at`, `len` bytes long. Panics when it does not lie within the buffer.
    pub fn part(self, at: usize, len: usize) -> RawBuf {
        assert!(at <= self.len && len <= self.len - at);
        RawBuf {
            ptr: self.ptr.wrapping_add(at),
            len,
        }
    }

    /// Copies all bytes to `to`.
    ///
    /// # Safety
    /// `self` is readable and `to` writable for `self.len` bytes, and they do not overlap.
    #[inline]
    pub unsafe fn copy_to(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { copy_nonoverlapping(self.ptr, to, self.len) }
    }

    /// A copy of the bytes.
    ///
    /// # Safety
    /// `self` is readable.
    pub(crate) unsafe fn to_vec(self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(self.len);
        // SAFETY: readable by the caller's promise; the copy has room for `len` bytes and is filled with them.
        unsafe {
            self.copy_to(copy.as_mut_ptr());
            copy.set_len(self.len);
        }
        copy
    }
}

impl RawBufMut {
    /// No bytes.
    pub const EMPTY: RawBufMut = RawBufMut {
        ptr: core::ptr::null_mut(),
        len: 0,
    };

    /// The bytes of a Rust slice, for messages that the engine itself makes up.
    pub fn of(bytes: &mut [u8]) -> RawBufMut {
        RawBufMut {
            ptr: bytes.as_mut_ptr(),
            len: bytes.len(),
        }
    }

    /// The part from byte `at`, `len` bytes long. Panics when it does not lie within the buffer.
    pub fn part(self, at: usize, len: usize) -> RawBufMut {
        assert!(at <= self.len && len <= self.len - at);
        RawBufMut {
            ptr: self.ptr.wrapping_add(at),
            len,
        }
    }

    /// The same bytes, to read.
    pub fn as_buf(self) -> RawBuf {
        RawBuf {
            ptr: self.ptr,
            len: self.len,
        }
    }
}
