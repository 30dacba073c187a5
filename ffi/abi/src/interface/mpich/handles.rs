//! Handles of MPICH's binary interface.
//!
//! | handle outside | what it is |
//! |---|---|
//! | below [`OBJECTS`] | predefined, by a table |
//! | from [`OBJECTS`] | the engine's handle and [`OBJECTS`] |

use core::ffi::c_int;

use ferrite_engine::Datatype;

use crate::generated::numbers;
use crate::interface::INVALID;

/// A handle. It looks as MPICH's do only where a program may look: the predefined ones.
pub(crate) type Handle = c_int;

/// A handle of a file or of the tool interface: a pointer that is never followed.
pub(crate) type PointerHandle = usize;

/// What the handles of the program's objects have more than the engine's, which lie between
/// 0x0800_0000 and 0x6000_0000. No predefined handle is that large.
const OBJECTS: u32 = 0xa000_0000;

/// The engine's predefined handles lie below.
const PREDEFINED: usize = 0x300;

/// Outside, a predefined handle's kind is in the six bits from 26 on, and its number among those of
/// its kind in the lowest seven.
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

/// By their place. Where two are one outside, the null request and the null message, it is the
/// request.
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
