//! Raw buffers: memory of the user or of another process, of which no Rust reference may ever be
//! made.

use core::ptr::{NonNull, copy_nonoverlapping};

/// Bytes to read. May be user memory or memory shared with other processes, so it is never a
/// `&[u8]`.
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
    pub unsafe fn to_vec(self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(self.len);
        // SAFETY: readable by the caller's promise; the copy has room for `len` bytes and is filled
        // with them.
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

/// Bytes on the heap that raw buffers point into, wherever this itself is moved to. A `Box` would
/// not do: moving one says that it alone reaches its memory, so what was derived from it before may
/// not be used afterwards.
#[derive(Debug)]
pub struct OwnedBuf(NonNull<[u8]>);

// SAFETY: the bytes are this one's alone; raw buffers into them are unsafe to use.
unsafe impl Send for OwnedBuf {}
// SAFETY: as for `Send`; a shared reference gives nothing but addresses.
unsafe impl Sync for OwnedBuf {}

impl OwnedBuf {
    /// This many bytes, all zero.
    pub fn zeroed(len: usize) -> OwnedBuf {
        vec![0; len].into_boxed_slice().into()
    }

    /// The bytes, to read as long as this lives.
    pub fn buf(&self) -> RawBuf {
        self.buf_mut().as_buf()
    }

    /// The bytes, to write as long as this lives.
    pub fn buf_mut(&self) -> RawBufMut {
        RawBufMut {
            ptr: self.0.as_ptr().cast(),
            len: self.0.len(),
        }
    }
}

impl From<Box<[u8]>> for OwnedBuf {
    fn from(bytes: Box<[u8]>) -> OwnedBuf {
        OwnedBuf(NonNull::from(Box::leak(bytes)))
    }
}

impl From<OwnedBuf> for Box<[u8]> {
    fn from(bytes: OwnedBuf) -> Box<[u8]> {
        let bytes = core::mem::ManuallyDrop::new(bytes);
        // SAFETY: came from a box, which is made again once.
        unsafe { Box::from_raw(bytes.0.as_ptr()) }
    }
}

impl Drop for OwnedBuf {
    fn drop(&mut self) {
        // SAFETY: came from a box, which is made again once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
