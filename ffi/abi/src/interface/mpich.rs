//! MPICH's binary interface, `libmpi.so.12`, which Intel MPI and others have, too: handles are `int`, and most numbers are its own.
//!
//! | handle outside | what it is |
//! |---|---|
//! | below [`OBJECTS`] | predefined, by a table |
//! | from [`OBJECTS`] | the engine's handle and [`OBJECTS`] |

use core::ffi::{c_int, c_void};

use core::sync::atomic::{AtomicI32, Ordering};

use ferrite_engine::attribute::{self, Keyval};
use ferrite_engine::{Datatype, Status};

use crate::generated::numbers;

/// A handle. It looks as MPICH's do only where a program may look: the predefined ones.
pub(crate) type Handle = c_int;

/// A handle of a file or of the tool interface: a pointer that is never followed.
pub(crate) type PointerHandle = usize;

/// What `MPI_Get_library_version` says of the binary interface.
pub(crate) const NAME: &str = "MPICH ABI";

/// It is no version of the standard's binary interface.
pub(crate) const ABI_VERSION: [c_int; 2] = [-1, -1];

/// `MPI_MAX_PROCESSOR_NAME`
pub(crate) const MAX_PROCESSOR_NAME: usize = 128;

/// `MPI_COMM_DUP_FN` and its siblings are functions here, not addresses that stand for one.
pub(crate) const DUP_FN: usize = 1;

/// No object's handle: bit 31 of the engine's handles is zero.
const INVALID: u32 = u32::MAX;

/// What the handles of the program's objects have more than the engine's, which lie between 0x0800_0000 and 0x6000_0000. No predefined
/// handle is that large.
const OBJECTS: u32 = 0xa000_0000;

/// The engine's predefined handles lie below.
const PREDEFINED: usize = 0x300;

/// Outside, a predefined handle's kind is in the six bits from 26 on, and its number among those of its kind in the lowest seven.
const PLACES: usize = 1 << 13;

/// Those thirteen bits.
#[inline(always)]
const fn place(handle: u32) -> usize {
    handle.rotate_left(6) as usize % PLACES
}

/// What MPICH has beside the standard: `MPIX_C_FLOAT16`.
const EXTENSION: (u32, u32) = (Datatype::C_FLOAT16.0, 0x4c00_0246);

/// Predefined handles outside, by the engine's.
static OUTSIDE: [u32; PREDEFINED] = {
    let mut table = [INVALID; PREDEFINED];
    table[EXTENSION.0 as usize] = EXTENSION.1;
    let mut at = 0;
    while at < numbers::HANDLES.len() {
        let (inside, outside) = numbers::HANDLES[at];
        table[inside as usize] = outside;
        at += 1;
    }
    table
};

/// A predefined handle outside, and the engine's.
#[derive(Clone, Copy)]
struct Predefined {
    outside: u32,
    inside: u32,
}

/// By their place. Where two are one outside, the null request and the null message, it is the request.
static INSIDE: [Predefined; PLACES] = {
    let nothing = Predefined {
        outside: INVALID,
        inside: INVALID,
    };
    let mut table = [nothing; PLACES];
    let mut at = 0;
    while at <= numbers::HANDLES.len() {
        let (inside, outside) = match at < numbers::HANDLES.len() {
            true => numbers::HANDLES[at],
            false => EXTENSION,
        };
        let entry = &mut table[place(outside)];
        assert!(
            entry.outside == INVALID || entry.outside == outside,
            "each has a place of its own"
        );
        if entry.outside == INVALID || entry.inside < inside {
            *entry = Predefined { outside, inside };
        }
        at += 1;
    }
    table
};

/// The engine's handle in a C handle.
#[inline(always)]
pub(crate) fn narrow(handle: Handle) -> u32 {
    let handle = handle as u32;
    let predefined = &INSIDE[place(handle)];
    if predefined.outside == handle {
        predefined.inside
    } else if handle >= OBJECTS {
        handle - OBJECTS
    } else {
        INVALID
    }
}

/// The C handle of an engine's handle.
#[inline(always)]
pub(crate) fn widen(handle: u32) -> Handle {
    match OUTSIDE.get(handle as usize) {
        Some(&predefined) => predefined as Handle,
        None => handle.wrapping_add(OBJECTS) as Handle,
    }
}

/// The number behind a handle that is a pointer: it is the engine's.
#[inline(always)]
pub(crate) fn narrow_pointer(handle: PointerHandle) -> u32 {
    u32::try_from(handle).unwrap_or(INVALID)
}

/// The `int` of a handle: Fortran's are C's.
pub(crate) fn as_int(handle: Handle) -> c_int {
    handle
}

/// The handle of an `int`.
pub(crate) fn of_int(number: c_int) -> Handle {
    number
}

/// As [`as_int`].
pub(crate) fn file_as_int(handle: PointerHandle) -> c_int {
    handle as c_int
}

/// As [`of_int`].
pub(crate) fn file_of_int(number: c_int) -> PointerHandle {
    number as PointerHandle
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
            source: rank_in(self.source),
            tag: tag_in(self.tag),
            error: error_in(self.error),
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

    /// Sets `MPI_ERROR`.
    #[inline(always)]
    pub(crate) fn set_error(&mut self, code: c_int) {
        self.error = error_out(code);
    }
}

/// No rank, tag or other number with a meaning.
const NONE: c_int = c_int::MIN;

/// A rank, or one of `MPI_PROC_NULL`, `MPI_ANY_SOURCE` and `MPI_ROOT`.
#[inline(always)]
pub(crate) fn rank_in(rank: c_int) -> c_int {
    if rank >= 0 {
        rank
    } else {
        special_rank_in(rank)
    }
}

#[cold]
fn special_rank_in(rank: c_int) -> c_int {
    match rank {
        -1 => -3,
        -2 => -1,
        -3 => -4,
        UNDEFINED => UNDEFINED,
        _ => NONE,
    }
}

/// As [`rank_in`], to the program.
#[inline(always)]
pub(crate) fn rank_out(rank: c_int) -> c_int {
    if rank >= 0 {
        rank
    } else {
        special_rank_out(rank)
    }
}

#[cold]
fn special_rank_out(rank: c_int) -> c_int {
    match rank {
        -3 => -1,
        -1 => -2,
        -4 => -3,
        other => other,
    }
}

/// `MPI_UNDEFINED` is the same in both.
const UNDEFINED: c_int = crate::convert::UNDEFINED;

/// A tag, or `MPI_ANY_TAG`.
#[inline(always)]
pub(crate) fn tag_in(tag: c_int) -> c_int {
    if tag >= 0 { tag } else { special_tag_in(tag) }
}

#[cold]
fn special_tag_in(tag: c_int) -> c_int {
    if tag == -1 { -2 } else { NONE }
}

/// As [`tag_in`], to the program.
#[inline(always)]
pub(crate) fn tag_out(tag: c_int) -> c_int {
    match tag {
        -2 => -1,
        other => other,
    }
}

/// `MPI_ERR_LASTCODE`, inside and outside. Classes and codes that the program or the library made lie above.
const LASTCODE: [c_int; 2] = [16383, 0x3fff_ffff];

/// What a number that is no error class outside has more inside, so that it is none there, and comes back as it was.
const NO_CLASS: c_int = 0x4000_0000;

/// An error class or code.
#[cold]
pub(crate) fn error_in(code: c_int) -> c_int {
    if code >= LASTCODE[1] {
        return code - LASTCODE[1] + LASTCODE[0];
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
    if code >= LASTCODE[0] {
        return code - LASTCODE[0] + LASTCODE[1];
    }
    let found = numbers::ERROR.iter().find(|(inside, _)| *inside == code);
    found.map_or(code, |(_, outside)| *outside)
}

/// The value of an attribute. Of the predefined ones some point to numbers with a meaning: what they point to is the program's number then.
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

/// Numbers of an enumeration. What is no member stays what it is, unless that is a member on the other side.
macro_rules! enumerated {
    ($($into:ident, $out:ident: $table:ident;)*) => {$(
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
        #[allow(dead_code, reason = "not every number goes both ways")]
        pub(crate) fn $out(value: c_int) -> c_int {
            let found = numbers::$table.iter().find(|(inside, _)| *inside == value);
            found.map_or(value, |(_, outside)| *outside)
        }
    )*};
}

enumerated! {
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

/// `MPI_DISTRIBUTE_DFLT_DARG`, inside and outside.
const DEFAULT_ARGUMENT: [c_int; 2] = [19, -49767];

/// The argument of a distribution: a size, or `MPI_DISTRIBUTE_DFLT_DARG`, which is a possible size inside.
pub(crate) fn argument_in(size: c_int) -> c_int {
    if size == DEFAULT_ARGUMENT[1] {
        DEFAULT_ARGUMENT[0]
    } else {
        size
    }
}

/// As [`argument_in`], to the program.
pub(crate) fn argument_out(size: c_int) -> c_int {
    if size == DEFAULT_ARGUMENT[0] {
        DEFAULT_ARGUMENT[1]
    } else {
        size
    }
}

/// What the attribute keys of the program have more than the engine's, which lie between 0x6000_0000 and 0x6800_0000.
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

/// A buffer, or `MPI_BOTTOM`, `MPI_IN_PLACE` or `MPI_BUFFER_AUTOMATIC`: the last two are negative here.
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
