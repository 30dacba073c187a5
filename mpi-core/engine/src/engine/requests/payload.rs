//! The data of a message, as its request has them: bytes in a row, or items of a type with gaps.
//!
//! Items are packed and unpacked piece by piece, out of and into what a transport moves, so that a
//! long message never has a second copy of its whole length.

use core::ops::Range;

use ferrite_fabric::{OwnedBuf, RawBuf};

use super::request::Body;
use crate::datatype::Type;

/// Bytes of a piece of a message with gaps, in shared memory. Measured on two processors with 8, 16
/// and 32 KiB: the best at 64 KiB of data, within a tenth of the best from 1 MiB on.
pub(in crate::engine) const PACKED_PIECE: usize = 16 << 10;
/// The same over a network, which keeps a piece until it has left, so that short ones would wait
/// for each other: over TCP 4 MiB take 0.82 ms in pieces of 64 KiB, 0.55 in these, 0.53 in 512 KiB.
pub(in crate::engine) const NET_PIECE: usize = 256 << 10;

/// Items of a type with gaps.
pub(crate) struct Spread {
    items: Type,
    count: usize,
    at: *mut u8,
    /// Where in the items' data the message begins.
    begin: usize,
    /// Bytes of the message that were packed last: those `range` of it.
    packed: Vec<u8>,
    range: Range<usize>,
}

impl Spread {
    /// # Safety
    /// As of [`Type::pack`], for a range of the message.
    unsafe fn pack(&self, range: Range<usize>, to: *mut u8) {
        let range = self.begin + range.start..self.begin + range.end;
        // SAFETY: the caller's promise.
        unsafe { self.items.pack(self.count, self.at, range, to) };
    }
}

impl Spread {
    #[cold]
    fn ends_within_an_element(&self, len: usize) -> bool {
        self.begin == 0 && self.items.elements_in(len as u64).is_none()
    }
}

impl Body {
    /// Says that `buf` has `count` items of this type.
    #[cold]
    pub(in crate::engine) fn set_items(&mut self, count: i64, items: Type) {
        self.set_part(count, items, 0);
    }

    /// Says that the message is some bytes of `count` items of this type at `buf`, from byte
    /// `begin` of their data on.
    #[cold]
    pub(super) fn set_part(&mut self, count: i64, items: Type, begin: usize) {
        if let Some(offset) = items.as_run(count as u64) {
            self.buf = self
                .buf
                .wrapping_offset(offset as isize)
                .wrapping_add(begin);
            return;
        }
        let at = std::mem::replace(&mut self.buf, core::ptr::null_mut());
        self.extra().spread = Some(Spread {
            items,
            count: count as usize,
            at,
            begin,
            packed: Vec::new(),
            range: 0..0,
        });
    }

    fn spread(&mut self) -> Option<&mut Spread> {
        self.extra.as_mut()?.spread.as_mut()
    }

    /// Whether a message of `len` bytes, shorter than the buffer, cannot be what the buffer's items
    /// are made of. Only items with gaps are looked at: what lies in a row is taken as bytes.
    #[inline]
    pub(in crate::engine) fn ends_within_an_element(&self, len: usize) -> bool {
        let extra = self.extra.as_deref();
        let spread = extra.and_then(|extra| extra.spread.as_ref());
        spread.is_some_and(|spread| spread.ends_within_an_element(len))
    }

    /// Where the data lie, if that is in a row.
    #[inline]
    pub(in crate::engine) fn run(&self) -> Option<RawBuf> {
        let extra = self.extra.as_deref();
        let is_spread = extra.is_some_and(|extra| extra.spread.is_some());
        (!is_spread).then_some(RawBuf {
            ptr: self.buf,
            len: self.len,
        })
    }

    /// Copies the bytes `range` of the message to `to`.
    ///
    /// # Safety
    /// The program's buffer is readable, `to` writable for the bytes of `range`, which lies within
    /// the message.
    pub(in crate::engine) unsafe fn load(&mut self, range: Range<usize>, to: *mut u8) {
        let run = RawBuf {
            ptr: self.buf,
            len: self.len,
        };
        // SAFETY: the caller's promise.
        unsafe {
            match self.spread() {
                Some(spread) => spread.pack(range, to),
                None => run.part(range.start, range.len()).copy_to(to),
            }
        }
    }

    /// The bytes `range` of the message in a row: where they lie, or packed, in memory of the
    /// message's own until the next such call.
    ///
    /// # Safety
    /// The program's buffer is readable, and `range` lies within the message.
    pub(in crate::engine) unsafe fn packed(&mut self, range: Range<usize>) -> RawBuf {
        if let Some(run) = self.run() {
            return run.part(range.start, range.len());
        }
        let spread = self.spread().expect("not a run");
        if spread.range != range {
            spread.packed.clear();
            spread.packed.reserve_exact(range.len());
            let to = spread.packed.as_mut_ptr();
            // SAFETY: the caller's promise; there is room for the bytes of `range`, all of which
            // are written.
            unsafe {
                spread.pack(range.clone(), to);
                spread.packed.set_len(range.len());
            }
            spread.range = range;
        }
        RawBuf::of(&spread.packed)
    }

    /// Has the message's data copied to memory of its own, so that the program's buffer is not
    /// needed any more.
    ///
    /// # Safety
    /// The program's buffer is readable.
    pub(in crate::engine) unsafe fn keep_copy(&mut self) {
        let mut copy = Box::<[u8]>::new_uninit_slice(self.len);
        // SAFETY: the caller's promise; all of `copy` is written.
        let copy = unsafe {
            self.load(0..self.len, copy.as_mut_ptr().cast());
            copy.assume_init()
        };
        let copy = OwnedBuf::from(copy);
        self.buf = copy.buf_mut().ptr;
        let extra = self.extra();
        extra.spread = None;
        extra.copy = Some(copy);
    }

    /// Puts bytes that have arrived to their place: `data` from byte `at` of the message.
    ///
    /// # Safety
    /// `data` is readable, the program's buffer writable, and they lie within the room that the
    /// receive has.
    #[inline(always)]
    pub(in crate::engine) unsafe fn store(&mut self, at: usize, data: RawBuf) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.extra.is_none() {
                copy(data, self.buf.wrapping_add(at));
            } else {
                self.store_anywhere(at, data);
            }
        }
    }

    /// # Safety
    /// As of [`Body::store`].
    #[cold]
    unsafe fn store_anywhere(&mut self, at: usize, data: RawBuf) {
        let run = self.buf;
        // SAFETY: the caller's promise.
        unsafe {
            match self.spread() {
                Some(Spread {
                    items,
                    count,
                    at: buf,
                    begin,
                    ..
                }) => {
                    let at = *begin + at;
                    items.unpack(*count, *buf, at..at + data.len, data.ptr);
                }
                None => data.copy_to(run.wrapping_add(at)),
            }
        }
    }

    /// Puts the first `len` bytes of another message of this process to their place.
    ///
    /// # Safety
    /// The sender's buffer is readable, the receiver's writable, and both have as many bytes.
    pub(in crate::engine) unsafe fn store_from(&mut self, send: &mut Body, len: usize) {
        // SAFETY: the caller's promise, for the parts of it.
        unsafe {
            match (send.run(), self.run()) {
                (Some(run), _) => self.store(0, run.part(0, len)),
                (None, Some(_)) => send.load(0..len, self.buf),
                (None, None) => {
                    for at in (0..len).step_by(PACKED_PIECE) {
                        let piece = send.packed(at..len.min(at + PACKED_PIECE));
                        self.store(at, piece);
                    }
                }
            }
        }
    }
}

/// Copies a message; the short ones, which are most, without a call.
///
/// # Safety
/// As [`RawBuf::copy_to`].
#[inline(always)]
unsafe fn copy(data: RawBuf, to: *mut u8) {
    let (from, len) = (data.ptr, data.len);
    // SAFETY: the caller's promise. Two accesses that overlap in the middle cover a length between
    // two powers of two.
    unsafe {
        match len {
            0 => {}
            1 => to.write(from.read()),
            8 => to.cast::<[u8; 8]>().write(from.cast::<[u8; 8]>().read()),
            4..=7 => {
                let ends = (
                    from.cast::<[u8; 4]>().read(),
                    from.add(len - 4).cast::<[u8; 4]>().read(),
                );
                to.cast::<[u8; 4]>().write(ends.0);
                to.add(len - 4).cast::<[u8; 4]>().write(ends.1);
            }
            9..=16 => {
                let ends = (
                    from.cast::<[u8; 8]>().read(),
                    from.add(len - 8).cast::<[u8; 8]>().read(),
                );
                to.cast::<[u8; 8]>().write(ends.0);
                to.add(len - 8).cast::<[u8; 8]>().write(ends.1);
            }
            _ => data.copy_to(to),
        }
    }
}
