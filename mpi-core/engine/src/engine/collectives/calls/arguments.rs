//! What the arguments of collective calls have in common, and what is wrong with wrong ones.
//!
//! What can be found wrong without asking another rank is found before anything is sent.

use ferrite_fabric::{RawBuf, RawBufMut};

use crate::collective::IN_PLACE;
use crate::engine::communicators::CommData;
use crate::{Error, ErrorClass, Result};

#[inline]
pub(super) fn check_root(comm: &CommData, root: i32) -> Result<u32> {
    if root < 0 || root >= comm.size() {
        return Err(bad_root(root, comm.size()));
    }
    Ok(root as u32)
}

/// A buffer that cannot be `MPI_IN_PLACE`, of this many bytes.
#[inline]
pub(super) fn check_buffer(name: &str, ptr: *const u8, len: usize) -> Result<()> {
    if ptr == IN_PLACE || ptr.is_null() && len > 0 {
        Err(bad_buffer(name, ptr, len))
    } else {
        Ok(())
    }
}

/// Buffers of one rank must not overlap. The rank's own contribution has its place at byte `own` of
/// the receive buffer.
#[inline]
pub(super) fn check_overlap(send: RawBuf, recv: RawBufMut, own: usize) -> Result<()> {
    let (from, into) = (send.ptr.addr(), recv.ptr.addr());
    if send.len > 0 && recv.len > 0 && from < into + recv.len && into < from + send.len {
        return Err(overlap(from, into, own));
    }
    Ok(())
}

/// `count * width` bytes can be. `what` ("send ", "receive ", or nothing) says which count it is.
#[inline]
pub(super) fn check_count(what: &str, count: i64, width: usize) -> Result<()> {
    match usize::try_from(count) {
        Ok(count) if count <= isize::MAX as usize / width.max(1) => Ok(()),
        _ => Err(bad_count(what, count, width)),
    }
}

/// The items of all ranks together.
#[inline]
pub(super) fn all_counts(count: i64, size: i32) -> Result<i64> {
    count.checked_mul(size.into()).ok_or_else(|| {
        Error::new(
            ErrorClass::COUNT,
            format!("count {count} for each of {size} ranks is more than memory can hold"),
        )
    })
}

/// What a rank sends to itself is what it receives from itself.
#[inline]
pub(super) fn check_own(sent: usize, received: usize) -> Result<()> {
    match sent == received {
        true => Ok(()),
        false => Err(unequal(sent, received)),
    }
}

#[cold]
fn bad_root(root: i32, size: i32) -> Error {
    let last = size - 1;
    let what = format!("root {root} is not in the communicator, whose ranks are 0 to {last}");
    Error::new(ErrorClass::ROOT, what)
}

#[cold]
fn bad_count(what: &str, count: i64, width: usize) -> Error {
    let sentence = if count < 0 {
        format!("the {what}count {count} is negative")
    } else {
        format!("the {what}count {count} of items of {width} bytes is more than memory can hold")
    };
    Error::new(ErrorClass::COUNT, sentence)
}

#[cold]
fn unequal(sent: usize, received: usize) -> Error {
    let sentence = format!(
        "this rank sends {sent} bytes to itself but receives {received}: \
         counts and types must describe as much on both sides"
    );
    let class = if sent > received {
        ErrorClass::TRUNCATE
    } else {
        ErrorClass::COUNT
    };
    Error::new(class, sentence)
}

#[cold]
fn bad_buffer(name: &str, ptr: *const u8, len: usize) -> Error {
    let sentence = if ptr.is_null() {
        format!("the {name} is a null pointer, but has to have {len} bytes")
    } else {
        format!("the {name} cannot be MPI_IN_PLACE on this rank and in this call")
    };
    Error::new(ErrorClass::BUFFER, sentence)
}

#[cold]
fn overlap(from: usize, into: usize, own: usize) -> Error {
    let mut sentence =
        format!("the send buffer ({from:#x}) and the receive buffer ({into:#x}) overlap");
    if from == into + own {
        sentence += ": give MPI_IN_PLACE as the send buffer";
    }
    Error::new(ErrorClass::BUFFER, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class<T: core::fmt::Debug>(result: Result<T>) -> ErrorClass {
        result.unwrap_err().class()
    }

    #[test]
    fn counts() {
        assert!(check_count("", 3, 8).is_ok());
        assert_eq!(class(check_count("send ", -1, 1)), ErrorClass::COUNT);
        assert_eq!(class(check_count("", i64::MAX, 4)), ErrorClass::COUNT);
        assert_eq!(class(all_counts(i64::MAX, 2)), ErrorClass::COUNT);
        let error = check_count("receive ", -5, 1).unwrap_err();
        assert_eq!(error.sentence(), "the receive count -5 is negative");
    }

    #[test]
    fn buffers() {
        let mut memory = [0u8; 32];
        let base = memory.as_mut_ptr();
        let check = |from: (usize, usize), into: (usize, usize), own| {
            let send = RawBuf {
                ptr: base.wrapping_add(from.0),
                len: from.1,
            };
            let recv = RawBufMut {
                ptr: base.wrapping_add(into.0),
                len: into.1,
            };
            check_overlap(send, recv, own)
        };
        for (from, into) in [((0, 16), (16, 16)), ((16, 16), (0, 16)), ((0, 0), (0, 16))] {
            assert!(check(from, into, 0).is_ok());
        }
        for (from, into) in [((0, 17), (16, 16)), ((15, 16), (0, 16))] {
            assert_eq!(class(check(from, into, 0)), ErrorClass::BUFFER);
        }
        let same = check((8, 8), (0, 32), 8).unwrap_err();
        assert!(
            same.sentence()
                .ends_with("give MPI_IN_PLACE as the send buffer"),
            "{same}"
        );
        let other = check((8, 8), (0, 32), 0).unwrap_err();
        assert!(other.sentence().ends_with("overlap"), "{other}");
        assert_eq!(
            class(check_buffer("b", core::ptr::null(), 1)),
            ErrorClass::BUFFER
        );
        assert_eq!(class(check_buffer("b", IN_PLACE, 0)), ErrorClass::BUFFER);
        assert!(check_buffer("b", core::ptr::null(), 0).is_ok());
    }
}
