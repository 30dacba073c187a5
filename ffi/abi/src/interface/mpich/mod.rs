//! MPICH's binary interface, `libmpi.so.12`, which Intel MPI and others have, too: handles are
//! `int`, and most numbers are its own.

mod exports;
mod handles;

pub(crate) use handles::*;

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicI32, Ordering};

use ferrite_engine::attribute::{self, Keyval};
use ferrite_engine::{ErrorClass, Status};

use crate::generated::names::predefined;
use crate::generated::numbers;
use crate::types::SUCCESS;

/// A count of the partitioned functions, which MPICH has in the width of MPI 4.0 still.
pub(crate) type PartitionCount = i64;

/// What `MPI_Get_library_version` says of the binary interface.
pub(crate) const NAME: &str = "MPICH ABI";

/// The name of this library.
pub(crate) const LIBRARY: &str = "libmpi.so.12";

/// The other header that programs may have been built with, and the library that it belongs to.
pub(crate) const OTHER_HEADER: &str = "the mpi.h of the standard ABI";
pub(crate) const OTHER_LIBRARY: &str = "libmpi_abi.so.1";

/// The name of a predefined handle in the other header. All of them are below what any handle is
/// here, so the error's class tells no more.
pub(crate) fn name_in_other_header(_class: ErrorClass, handle: u32) -> Option<&'static str> {
    predefined(handle)
}

/// It is no version of the standard's binary interface.
pub(crate) const ABI_VERSION: [c_int; 2] = [-1, -1];

/// `MPI_MAX_PROCESSOR_NAME`
pub(crate) const MAX_PROCESSOR_NAME: usize = 128;

/// Whether an address stands for copying an attribute's value: `MPI_COMM_DUP_FN` and its siblings
/// are a function here, which is called.
pub(crate) fn stands_for_dup(_function: usize) -> bool {
    false
}

/// `MPI_Status`: 20 bytes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct MPI_Status {
    /// The low half of the bytes received.
    low: u32,
    /// The high half, above a bit that says whether the operation was cancelled.
    high_and_cancelled: u32,
    source: c_int,
    tag: c_int,
    error: c_int,
}

const _: () = assert!(size_of::<MPI_Status>() == 20);

impl MPI_Status {
    /// The engine's view of it.
    pub(crate) fn read(&self) -> Status {
        Status {
            error: error_in(self.error),
            ..self.without_error()
        }
    }

    /// The same without `MPI_ERROR`, which a single completion does not set: looking at it would be
    /// a use of memory that was never written.
    pub(crate) fn without_error(&self) -> Status {
        Status {
            source: rank_in(self.source),
            tag: tag_in(self.tag),
            error: SUCCESS,
            bytes: i64::from(self.high_and_cancelled >> 1) << 32 | i64::from(self.low),
            cancelled: self.high_and_cancelled & 1 != 0,
        }
    }

    /// Takes over what the engine says, but for `MPI_ERROR`, which stays as it was.
    #[inline(always)]
    pub(crate) fn write(&mut self, status: &Status) {
        self.source = rank_out(status.source);
        self.tag = tag_out(status.tag);
        self.low = status.bytes as u32;
        self.high_and_cancelled = ((status.bytes >> 32) as u32) << 1 | u32::from(status.cancelled);
    }

    /// Sets `MPI_SOURCE`.
    pub(crate) fn set_source(&mut self, source: c_int) {
        self.source = rank_out(source);
    }

    /// Sets `MPI_TAG`.
    pub(crate) fn set_tag(&mut self, tag: c_int) {
        self.tag = tag_out(tag);
    }

    /// Sets how many bytes were received.
    pub(crate) fn set_bytes(&mut self, bytes: u64) {
        self.low = bytes as u32;
        self.high_and_cancelled = ((bytes >> 32) as u32) << 1 | self.high_and_cancelled & 1;
    }

    /// Sets whether the operation was cancelled.
    pub(crate) fn set_cancelled(&mut self, cancelled: bool) {
        self.high_and_cancelled = self.high_and_cancelled & !1 | u32::from(cancelled);
    }

    /// Sets `MPI_ERROR`.
    #[inline(always)]
    pub(crate) fn set_error(&mut self, code: c_int) {
        self.error = error_out(code);
    }
}

/// No rank, tag or other number with a meaning.
const NONE: c_int = c_int::MIN;

/// Ranks and tags: those that are not negative are the same on both sides, the others are
/// enumerated.
macro_rules! mostly_same {
    ($($into:ident, $out:ident: $special_in:ident, $special_out:ident;)*) => {$(
        #[inline(always)]
        pub(crate) fn $into(value: c_int) -> c_int {
            if value >= 0 { value } else { $special_in(value) }
        }
        #[inline(always)]
        pub(crate) fn $out(value: c_int) -> c_int {
            if value >= 0 { value } else { $special_out(value) }
        }
    )*};
}

mostly_same! {
    rank_in, rank_out: special_rank_in, special_rank_out;
    tag_in, tag_out: special_tag_in, special_tag_out;
}

/// `MPI_ERR_LASTCODE`, inside and outside. Classes and codes that the program or the library made
/// lie above.
const LASTCODE: (c_int, c_int) = numbers::LASTCODE[0];

/// What a number that is no error class outside has more inside, so that it is none there, and
/// comes back as it was.
const NO_CLASS: c_int = 0x4000_0000;

/// An error class or code.
#[cold]
pub(crate) fn error_in(code: c_int) -> c_int {
    if code >= LASTCODE.1 {
        return code - LASTCODE.1 + LASTCODE.0;
    }
    let found = numbers::ERROR.iter().find(|(_, outside)| *outside == code);
    match found {
        Some((inside, _)) => *inside,
        None if code > 0 => code + NO_CLASS,
        None => code,
    }
}

/// As [`error_in`], to the program.
#[cold]
pub(crate) fn error_out(code: c_int) -> c_int {
    if code > NO_CLASS {
        return code - NO_CLASS;
    }
    if code >= LASTCODE.0 {
        return code - LASTCODE.0 + LASTCODE.1;
    }
    let found = numbers::ERROR.iter().find(|(inside, _)| *inside == code);
    found.map_or(code, |(_, outside)| *outside)
}

/// The value of an attribute. Of the predefined ones some point to numbers with a meaning: what
/// they point to is the program's number then.
pub(crate) fn attribute_out(keyval: Keyval, value: usize) -> usize {
    static IO: AtomicI32 = AtomicI32::new(0);
    static HOST: AtomicI32 = AtomicI32::new(0);
    static LASTUSEDCODE: AtomicI32 = AtomicI32::new(0);
    let (shown, outward): (_, fn(c_int) -> c_int) = match keyval {
        Keyval::IO => (&IO, rank_out),
        Keyval::HOST => (&HOST, rank_out),
        Keyval::LASTUSEDCODE => (&LASTUSEDCODE, error_out),
        _ => return value,
    };
    if let Some(inside) = attribute::predefined(keyval) {
        // A number alone: whoever reads it needs nothing else that was written before.
        shown.store(outward(inside.load(Ordering::Relaxed)), Ordering::Relaxed);
    }
    shown.as_ptr() as usize
}

/// Numbers of an enumeration. What is no member stays what it is, unless that is a member on the
/// other side.
macro_rules! enumerated {
    ($($into:ident, $out:ident: $table:ident;)*) => {$(
        #[cold]
        #[allow(dead_code, reason = "not every number goes both ways")]
        pub(crate) fn $into(value: c_int) -> c_int {
            let found = numbers::$table.iter().find(|(_, outside)| *outside == value);
            let is_taken = || numbers::$table.iter().any(|(inside, _)| *inside == value);
            match found {
                Some((inside, _)) => *inside,
                None if is_taken() => NONE,
                None => value,
            }
        }
        #[cold]
        #[allow(dead_code, reason = "not every number goes both ways")]
        pub(crate) fn $out(value: c_int) -> c_int {
            let found = numbers::$table.iter().find(|(inside, _)| *inside == value);
            found.map_or(value, |(_, outside)| *outside)
        }
    )*};
}

enumerated! {
    special_rank_in, special_rank_out: RANK;
    special_tag_in, special_tag_out: TAG;
    comparison_in, comparison_out: COMPARISON;
    topology_in, topology_out: TOPOLOGY;
    split_type_in, split_type_out: SPLIT_TYPE;
    order_in, order_out: ORDER;
    distribution_in, distribution_out: DISTRIBUTION;
    combiner_in, combiner_out: COMBINER;
    type_class_in, type_class_out: TYPE_CLASS;
    t_verbosity_in, t_verbosity_out: T_VERBOSITY;
    t_bind_in, t_bind_out: T_BIND;
    t_scope_in, t_scope_out: T_SCOPE;
    t_class_in, t_class_out: T_CLASS;
    t_safety_in, t_safety_out: T_SAFETY;
    t_order_in, t_order_out: T_ORDER;
}

/// `MPI_DISTRIBUTE_DFLT_DARG`
pub(crate) const DEFAULT_ARGUMENT: c_int = numbers::ARGUMENT[0].1;

/// What the attribute keys of the program have more than the engine's, which lie between
/// 0x6000_0000 and 0x6800_0000.
const KEYS: c_int = 0x2000_0000;

/// An attribute key.
pub(crate) fn keyval_in(keyval: c_int) -> c_int {
    let found = numbers::KEYVAL
        .iter()
        .find(|(_, outside)| *outside == keyval);
    match found {
        Some((inside, _)) => *inside,
        None if keyval < 0 => keyval.wrapping_sub(KEYS),
        None => NONE,
    }
}

/// As [`keyval_in`], to the program.
pub(crate) fn keyval_out(keyval: c_int) -> c_int {
    let found = numbers::KEYVAL.iter().find(|(inside, _)| *inside == keyval);
    found.map_or(keyval.wrapping_add(KEYS), |(_, outside)| *outside)
}

/// The lowest level that offers what was asked for.
pub(crate) fn thread_level_in(level: c_int) -> c_int {
    let found = numbers::THREAD_LEVEL
        .iter()
        .find(|(_, outside)| *outside >= level);
    found.map_or(c_int::MAX, |(inside, _)| *inside)
}

/// A thread level to the program.
pub(crate) fn thread_level_out(level: c_int) -> c_int {
    let found = numbers::THREAD_LEVEL
        .iter()
        .find(|(inside, _)| *inside == level);
    found.map_or(level, |(_, outside)| *outside)
}

/// A pointer of the program, whatever it points to.
pub(crate) trait Pointer: Copy {
    /// The address as a number.
    fn number(self) -> isize;
    /// A pointer to no object.
    fn to_number(number: isize) -> Self;
}

impl Pointer for *const c_void {
    fn number(self) -> isize {
        self as isize
    }
    fn to_number(number: isize) -> Self {
        core::ptr::without_provenance(number as usize)
    }
}

impl Pointer for *mut c_void {
    fn number(self) -> isize {
        self as isize
    }
    fn to_number(number: isize) -> Self {
        core::ptr::without_provenance_mut(number as usize)
    }
}

/// A buffer, or `MPI_BOTTOM`, `MPI_IN_PLACE` or `MPI_BUFFER_AUTOMATIC`: the last two are negative
/// here.
#[inline(always)]
pub(crate) fn buffer_in<P: Pointer>(buffer: P) -> P {
    let number = buffer.number();
    // One comparison for both: all other addresses are smaller as unsigned numbers.
    match (number as usize) < (-2_isize) as usize {
        true => buffer,
        false => P::to_number(-number),
    }
}

/// As [`buffer_in`], to the program.
#[inline(always)]
pub(crate) fn buffer_out<P: Pointer>(buffer: P) -> P {
    match buffer.number() {
        number @ (1 | 2) => P::to_number(-number),
        _ => buffer,
    }
}

/// A place for statuses; null for `MPI_STATUS_IGNORE` and `MPI_STATUSES_IGNORE`, which are 1 here.
pub(crate) trait StatusPointer: Copy {
    /// Null for the one that stands for nothing.
    fn or_null(self) -> Self;
}

impl StatusPointer for *const MPI_Status {
    #[inline(always)]
    fn or_null(self) -> Self {
        if self as usize == 1 {
            core::ptr::null()
        } else {
            self
        }
    }
}

impl StatusPointer for *mut MPI_Status {
    #[inline(always)]
    fn or_null(self) -> Self {
        if self as usize == 1 {
            core::ptr::null_mut()
        } else {
            self
        }
    }
}

/// As [`StatusPointer::or_null`].
#[inline(always)]
pub(crate) fn status_in<P: StatusPointer>(status: P) -> P {
    status.or_null()
}
