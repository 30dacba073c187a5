//! Moving the data of a type between their places and bytes in a row.
//!
//! A copy may begin and end at any byte of the packed data: where that lies follows from divisions
//! on the way down the tree, so nothing has to be kept between two pieces of one message.

use core::ops::Range;
use core::ptr::copy_nonoverlapping;

use super::layout::{Kind, Node, Placed};

/// Which way the bytes go.
trait Direction {
    /// Copies `len` bytes between a place and the packed data.
    ///
    /// # Safety
    /// The side that is read is readable, the other writable, for `len` bytes; they do not overlap.
    unsafe fn copy(place: *mut u8, packed: *mut u8, len: usize);
}

struct Pack;
struct Unpack;

impl Direction for Pack {
    #[inline(always)]
    unsafe fn copy(place: *mut u8, packed: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { copy_nonoverlapping(place, packed, len) };
    }
}

impl Direction for Unpack {
    #[inline(always)]
    unsafe fn copy(place: *mut u8, packed: *mut u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { copy_nonoverlapping(packed, place, len) };
    }
}

/// Items of one layout, `extent` bytes apart.
#[derive(Clone, Copy)]
pub(super) struct Items<'a> {
    pub(super) count: u64,
    pub(super) extent: i64,
    pub(super) layout: &'a Placed,
}

impl Items<'_> {
    /// Copies the bytes `range` of the packed data of the items at `user` to `out`.
    ///
    /// # Safety
    /// Every byte of data of the items at `user` that lies in `range` is readable, `out` is
    /// writable for as many bytes as `range` has; they do not overlap. `range` ends within the data
    /// of the items.
    pub(super) unsafe fn pack(&self, user: *const u8, range: Range<u64>, out: *mut u8) {
        // SAFETY: the caller's promise; packing reads from the places and writes to the packed side
        // only.
        unsafe { self.transfer::<Pack>(user.cast_mut(), range, out) };
    }

    /// Copies from `from`, which holds the bytes `range` of the packed data, to their places in the
    /// items at `user`.
    ///
    /// # Safety
    /// As of [`Items::pack`], with reading and writing exchanged.
    pub(super) unsafe fn unpack(&self, user: *mut u8, range: Range<u64>, from: *const u8) {
        // SAFETY: the caller's promise; unpacking reads from the packed side and writes to the
        // places only.
        unsafe { self.transfer::<Unpack>(user, range, from.cast_mut()) };
    }

    /// # Safety
    /// As of [`Items::pack`] or [`Items::unpack`].
    unsafe fn transfer<D: Direction>(&self, user: *mut u8, range: Range<u64>, packed: *mut u8) {
        if range.is_empty() {
            return;
        }
        let Placed { offset, node } = self.layout;
        let at = user.wrapping_offset(*offset as isize);
        // SAFETY: the caller's promise.
        unsafe {
            if self.layout.is_run() && (self.count == 1 || node.size as i64 == self.extent) {
                let len = (range.end - range.start) as usize;
                return D::copy(at.wrapping_add(range.start as usize), packed, len);
            }
            repeated::<D>(node, self.extent, at, range, packed);
        }
    }
}

/// All data of a node at `at`, without the divisions that finding a part of them takes.
///
/// # Safety
/// As of [`Items::pack`] or [`Items::unpack`].
unsafe fn whole<D: Direction>(node: &Node, at: *mut u8, packed: *mut u8) {
    // SAFETY: the caller's promise, for the parts of it.
    unsafe {
        match &node.kind {
            Kind::Run => D::copy(at, packed, node.size as usize),
            Kind::Loop {
                count,
                stride,
                body,
            } => each::<D>(body, *count, *stride, at, packed),
            Kind::Equal { length, offsets } => listed::<D>(*length as usize, offsets, at, packed),
            Kind::Runs { offsets, ends } => {
                let mut start = 0;
                for (offset, end) in offsets.iter().zip(ends) {
                    let place = at.wrapping_offset(*offset as isize);
                    short::<D>(
                        place,
                        packed.wrapping_add(start as usize),
                        (end - start) as usize,
                    );
                    start = *end;
                }
            }
            Kind::List(parts) => {
                for part in parts {
                    let begin = part.end - part.node.size;
                    let place = at.wrapping_offset(part.offset as isize);
                    whole::<D>(&part.node, place, packed.wrapping_add(begin as usize));
                }
            }
        }
    }
}

/// A whole body `count` times, every `stride` bytes from `at`.
///
/// # Safety
/// As of [`whole`].
unsafe fn each<D: Direction>(body: &Node, count: u64, stride: i64, at: *mut u8, packed: *mut u8) {
    let (count, size, stride) = (count as usize, body.size as usize, stride as isize);
    // SAFETY: the caller's promise, for the parts of it.
    unsafe {
        if matches!(body.kind, Kind::Run) {
            return strided::<D>(size, count, at, stride, packed);
        }
        for i in 0..count {
            let place = at.wrapping_offset(i as isize * stride);
            whole::<D>(body, place, packed.wrapping_add(i * size));
        }
    }
}

/// The bytes `range` of the data of a node at `at`.
///
/// # Safety
/// As of [`Items::pack`] or [`Items::unpack`]; `range` is not empty.
unsafe fn transfer<D: Direction>(node: &Node, at: *mut u8, range: Range<u64>, packed: *mut u8) {
    // SAFETY: the caller's promise, for the parts of it that `range` covers.
    unsafe {
        if range == (0..node.size) {
            return whole::<D>(node, at, packed);
        }
        match &node.kind {
            Kind::Run => {
                let len = (range.end - range.start) as usize;
                D::copy(at.wrapping_add(range.start as usize), packed, len);
            }
            Kind::Loop { stride, body, .. } => repeated::<D>(body, *stride, at, range, packed),
            Kind::Equal { length, offsets } => {
                equal::<D>(*length, offsets, at, range, packed);
            }
            Kind::Runs { offsets, ends } => {
                let mut packed = packed;
                let mut start = range.start;
                let first = ends.partition_point(|end| *end <= start);
                let begin = if first == 0 { 0 } else { ends[first - 1] };
                // Where in the first run to begin; nowhere else in the others.
                let mut skip = start - begin;
                for (offset, end) in offsets[first..].iter().zip(&ends[first..]) {
                    let end = range.end.min(*end);
                    let len = (end - start) as usize;
                    let place = at.wrapping_offset(*offset as isize);
                    short::<D>(place.wrapping_add(skip as usize), packed, len);
                    packed = packed.wrapping_add(len);
                    skip = 0;
                    start = end;
                    if start == range.end {
                        break;
                    }
                }
            }
            Kind::List(parts) => {
                let mut packed = packed;
                let mut start = range.start;
                let first = parts.partition_point(|part| part.end <= start);
                for part in &parts[first..] {
                    let begin = part.end - part.node.size;
                    let end = range.end.min(part.end);
                    let place = at.wrapping_offset(part.offset as isize);
                    transfer::<D>(&part.node, place, start - begin..end - begin, packed);
                    packed = packed.wrapping_add((end - start) as usize);
                    start = end;
                    if start == range.end {
                        break;
                    }
                }
            }
        }
    }
}

/// The bytes `range` of a body that repeats every `stride` bytes from `at`.
///
/// # Safety
/// As of [`transfer`].
unsafe fn repeated<D: Direction>(
    body: &Node,
    stride: i64,
    at: *mut u8,
    range: Range<u64>,
    packed: *mut u8,
) {
    let size = body.size;
    let mut place = at.wrapping_offset((range.start / size) as isize * stride as isize);
    let (mut left, mut packed) = (range.end - range.start, packed);
    let skip = range.start % size;
    // SAFETY: the caller's promise, for the parts of it that `range` covers.
    unsafe {
        if skip > 0 {
            let len = left.min(size - skip);
            transfer::<D>(body, place, skip..skip + len, packed);
            place = place.wrapping_offset(stride as isize);
            packed = packed.wrapping_add(len as usize);
            left -= len;
        }
        let bodies = left / size;
        each::<D>(body, bodies, stride, place, packed);
        place = place.wrapping_offset(bodies as isize * stride as isize);
        packed = packed.wrapping_add((bodies * size) as usize);
        left %= size;
        if left > 0 {
            transfer::<D>(body, place, 0..left, packed);
        }
    }
}

/// Calls a function generic over a number of bytes with the length of a run, if there is a version
/// for it.
macro_rules! by_length {
    ($length:expr, $function:ident::<$direction:ident>($($argument:expr),*), $other:expr) => {
        match $length {
            1 => $function::<$direction, 1>($($argument),*),
            2 => $function::<$direction, 2>($($argument),*),
            4 => $function::<$direction, 4>($($argument),*),
            8 => $function::<$direction, 8>($($argument),*),
            12 => $function::<$direction, 12>($($argument),*),
            16 => $function::<$direction, 16>($($argument),*),
            24 => $function::<$direction, 24>($($argument),*),
            32 => $function::<$direction, 32>($($argument),*),
            48 => $function::<$direction, 48>($($argument),*),
            64 => $function::<$direction, 64>($($argument),*),
            128 => $function::<$direction, 128>($($argument),*),
            _ => $other,
        }
    };
}

/// `count` whole runs, `stride` bytes apart.
///
/// # Safety
/// As of [`transfer`].
unsafe fn strided<D: Direction>(
    length: usize,
    count: usize,
    place: *mut u8,
    stride: isize,
    packed: *mut u8,
) {
    /// # Safety
    /// As of [`transfer`].
    unsafe fn of<D: Direction, const N: usize>(
        count: usize,
        mut place: *mut u8,
        stride: isize,
        mut packed: *mut u8,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if N <= 16 && stride == 2 * N as isize {
                // With a stride that it knows, the compiler moves several at a time.
                for i in 0..count {
                    D::copy(place.wrapping_add(2 * N * i), packed.wrapping_add(N * i), N);
                }
                return;
            }
            for _ in 0..count / 4 {
                for i in 0..4 {
                    let from = place.wrapping_offset(i * stride);
                    D::copy(from, packed.wrapping_add(i as usize * N), N);
                }
                place = place.wrapping_offset(4 * stride);
                packed = packed.wrapping_add(4 * N);
            }
            for _ in 0..count % 4 {
                D::copy(place, packed, N);
                place = place.wrapping_offset(stride);
                packed = packed.wrapping_add(N);
            }
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        by_length!(length, of::<D>(count, place, stride, packed), {
            for i in 0..count {
                let place = place.wrapping_offset(i as isize * stride);
                medium::<D>(place, packed.wrapping_add(i * length), length);
            }
        });
    }
}

/// Whole runs of one length at listed places.
///
/// # Safety
/// As of [`transfer`].
unsafe fn listed<D: Direction>(length: usize, offsets: &[i64], at: *mut u8, packed: *mut u8) {
    /// # Safety
    /// As of [`transfer`].
    unsafe fn of<D: Direction, const N: usize>(offsets: &[i64], at: *mut u8, mut packed: *mut u8) {
        for offset in offsets {
            // SAFETY: the caller's promise.
            unsafe { D::copy(at.wrapping_offset(*offset as isize), packed, N) };
            packed = packed.wrapping_add(N);
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        by_length!(length, of::<D>(offsets, at, packed), {
            for (i, offset) in offsets.iter().enumerate() {
                let place = at.wrapping_offset(*offset as isize);
                medium::<D>(place, packed.wrapping_add(i * length), length);
            }
        });
    }
}

/// The bytes `range` of runs of one length at listed places.
///
/// # Safety
/// As of [`transfer`].
unsafe fn equal<D: Direction>(
    length: u64,
    offsets: &[i64],
    at: *mut u8,
    range: Range<u64>,
    packed: *mut u8,
) {
    let mut first = (range.start / length) as usize;
    let skip = range.start % length;
    let (mut left, mut packed) = (range.end - range.start, packed);
    // SAFETY: the caller's promise, for the parts of it that `range` covers.
    unsafe {
        if skip > 0 {
            let len = left.min(length - skip) as usize;
            let place = at.wrapping_offset(offsets[first] as isize);
            D::copy(place.wrapping_add(skip as usize), packed, len);
            packed = packed.wrapping_add(len);
            left -= len as u64;
            first += 1;
        }
        let runs = &offsets[first..first + (left / length) as usize];
        listed::<D>(length as usize, runs, at, packed);
        let done = runs.len() as u64 * length;
        left -= done;
        if left > 0 {
            let place = at.wrapping_offset(offsets[first + runs.len()] as isize);
            D::copy(place, packed.wrapping_add(done as usize), left as usize);
        }
    }
}

/// A run that is too short to be worth a call: by 64 bytes at a time, the last ones of which may
/// overlap.
///
/// # Safety
/// As of [`transfer`].
#[inline(always)]
unsafe fn medium<D: Direction>(place: *mut u8, packed: *mut u8, len: usize) {
    const STEP: usize = 64;
    // SAFETY: the caller's promise; all steps lie within the run.
    unsafe {
        if !(STEP..=1024).contains(&len) {
            return short::<D>(place, packed, len);
        }
        let mut at = 0;
        while at + STEP < len {
            D::copy(place.wrapping_add(at), packed.wrapping_add(at), STEP);
            at += STEP;
        }
        let last = len - STEP;
        D::copy(place.wrapping_add(last), packed.wrapping_add(last), STEP);
    }
}

/// One run, most likely a short one: by two copies that may overlap, instead of a branch for every
/// length.
///
/// # Safety
/// As of [`transfer`].
#[inline(always)]
unsafe fn short<D: Direction>(place: *mut u8, packed: *mut u8, len: usize) {
    /// # Safety
    /// As of [`transfer`]; `len` is at least `N`.
    #[inline(always)]
    unsafe fn both_ends<D: Direction, const N: usize>(place: *mut u8, packed: *mut u8, len: usize) {
        let last = len - N;
        // SAFETY: the caller's promise: both ends lie within the run.
        unsafe {
            D::copy(place, packed, N);
            D::copy(place.wrapping_add(last), packed.wrapping_add(last), N);
        }
    }
    // SAFETY: the caller's promise, and the lengths.
    unsafe {
        match len {
            4..=8 => both_ends::<D, 4>(place, packed, len),
            9..=16 => both_ends::<D, 8>(place, packed, len),
            17..=32 => both_ends::<D, 16>(place, packed, len),
            _ => D::copy(place, packed, len),
        }
    }
}
