//! The MPI 5.0 standard ABI (chapter 20): its values are the engine's, so that nothing has to be
//! converted.

use core::ffi::c_int;

use ferrite_engine::attribute::Keyval;
use ferrite_engine::{ErrorClass, Status};

use super::INVALID;
use crate::generated::names::MPICHS;

/// A handle: in C a pointer to a structure that nobody defines. It is never followed. The low 32
/// bits are the engine's handle; the predefined ones have the engine's values by construction.
pub(crate) type Handle = usize;

/// A handle of a file or of the tool interface.
pub(crate) type PointerHandle = usize;

/// A count of the partitioned functions' small form.
pub(crate) type PartitionCount = c_int;

/// What `MPI_Get_library_version` says of the binary interface.
pub(crate) const NAME: &str = "standard ABI 1.0";

/// The name of this library.
pub(crate) const LIBRARY: &str = "libmpi_abi.so.1";

/// The other header that programs may have been built with, and the library that it belongs to.
pub(crate) const OTHER_HEADER: &str = "MPICH's mpi.h";
pub(crate) const OTHER_LIBRARY: &str = "libmpi.so.12";

/// The name of a predefined handle in the other header, which is wrong here with an error of this
/// class.
pub(crate) fn name_in_other_header(class: ErrorClass, handle: u32) -> Option<&'static str> {
    let mut all = MPICHS.iter();
    let found = all.find(|(of, value, _)| (*of, *value) == (class, handle));
    found.map(|(_, _, name)| *name)
}

/// Versions of the binary interface: `MPI_ABI_VERSION` and `MPI_ABI_SUBVERSION`.
pub(crate) const ABI_VERSION: [c_int; 2] = [1, 0];

/// `MPI_MAX_PROCESSOR_NAME`
pub(crate) const MAX_PROCESSOR_NAME: usize = 256;

/// Whether an address stands for copying an attribute's value: `MPI_COMM_DUP_FN` and its siblings.
pub(crate) fn stands_for_dup(function: usize) -> bool {
    function == 1
}

/// `MPI_DISTRIBUTE_DFLT_DARG`
pub(crate) const DEFAULT_ARGUMENT: c_int = 19;

/// The engine's handle in a C handle. What does not fit is no object's handle.
#[inline(always)]
pub(crate) fn narrow(handle: Handle) -> u32 {
    u32::try_from(handle).unwrap_or(INVALID)
}

/// The C handle of an engine's handle.
#[inline(always)]
pub(crate) fn widen(handle: u32) -> Handle {
    handle as Handle
}

/// As [`narrow`].
#[inline(always)]
pub(crate) fn narrow_pointer(handle: PointerHandle) -> u32 {
    narrow(handle)
}

/// The `int` of a handle (MPI 5.0, section 19.3.4).
pub(crate) fn as_int(handle: Handle) -> c_int {
    narrow(handle) as c_int
}

/// The handle of an `int`.
pub(crate) fn of_int(number: c_int) -> Handle {
    widen(number as u32)
}

pub(crate) use {as_int as file_as_int, of_int as file_of_int};

/// `MPI_Status`: 32 bytes, of which the last 20 are the library's own.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct MPI_Status {
    source: c_int,
    tag: c_int,
    error: c_int,
    /// Whether the operation was cancelled: 0 or 1.
    cancelled: c_int,
    /// Bytes received: the low half, then the high half, because 64 bits would raise the
    /// structure's alignment.
    bytes: [u32; 2],
    reserved: [c_int; 2],
}

const _: () = assert!(size_of::<MPI_Status>() == 32 && align_of::<MPI_Status>() == 4);

impl MPI_Status {
    /// The engine's view of it.
    pub(crate) fn read(&self) -> Status {
        Status {
            error: self.error,
            ..self.without_error()
        }
    }

    /// The same without `MPI_ERROR`, which a single completion does not set: looking at it would be
    /// a use of memory that was never written.
    pub(crate) fn without_error(&self) -> Status {
        Status {
            source: self.source,
            tag: self.tag,
            error: 0,
            bytes: i64::from(self.bytes[1]) << 32 | i64::from(self.bytes[0]),
            cancelled: self.cancelled != 0,
        }
    }

    /// Takes over what the engine says, but for `MPI_ERROR`, which stays as it was.
    #[inline(always)]
    pub(crate) fn write(&mut self, status: &Status) {
        self.source = status.source;
        self.tag = status.tag;
        self.cancelled = c_int::from(status.cancelled);
        self.bytes = [status.bytes as u32, (status.bytes >> 32) as u32];
    }

    /// Sets `MPI_SOURCE`.
    pub(crate) fn set_source(&mut self, source: c_int) {
        self.source = source;
    }

    /// Sets `MPI_TAG`.
    pub(crate) fn set_tag(&mut self, tag: c_int) {
        self.tag = tag;
    }

    /// Sets how many bytes were received.
    pub(crate) fn set_bytes(&mut self, bytes: u64) {
        self.bytes = [bytes as u32, (bytes >> 32) as u32];
    }

    /// Sets whether the operation was cancelled.
    pub(crate) fn set_cancelled(&mut self, cancelled: bool) {
        self.cancelled = c_int::from(cancelled);
    }

    /// Sets `MPI_ERROR`.
    #[inline(always)]
    pub(crate) fn set_error(&mut self, code: c_int) {
        self.error = code;
    }
}

/// Values that are the same inside and outside.
macro_rules! same {
    ($($into:ident, $out:ident;)*) => {$(
        #[inline(always)]
        #[allow(dead_code, reason = "not every number goes both ways")]
        pub(crate) fn $into(value: c_int) -> c_int {
            value
        }
        #[inline(always)]
        #[allow(dead_code, reason = "not every number goes both ways")]
        pub(crate) fn $out(value: c_int) -> c_int {
            value
        }
    )*};
}

same! {
    rank_in, rank_out;
    tag_in, tag_out;
    keyval_in, keyval_out;
    error_in, error_out;
    thread_level_in, thread_level_out;
    comparison_in, comparison_out;
    topology_in, topology_out;
    split_type_in, split_type_out;
    order_in, order_out;
    distribution_in, distribution_out;
    combiner_in, combiner_out;
    type_class_in, type_class_out;
    t_verbosity_in, t_verbosity_out;
    t_bind_in, t_bind_out;
    t_scope_in, t_scope_out;
    t_class_in, t_class_out;
    t_safety_in, t_safety_out;
    t_order_in, t_order_out;
}

/// The value of an attribute.
#[inline(always)]
pub(crate) fn attribute_out(_keyval: Keyval, value: usize) -> usize {
    value
}

/// A buffer, or `MPI_BOTTOM`, `MPI_IN_PLACE` or `MPI_BUFFER_AUTOMATIC`.
#[inline(always)]
pub(crate) fn buffer_in<P>(buffer: P) -> P {
    buffer
}

/// As [`buffer_in`], to the program.
#[inline(always)]
pub(crate) fn buffer_out<P>(buffer: P) -> P {
    buffer
}

/// A place for statuses; null for `MPI_STATUS_IGNORE` and `MPI_STATUSES_IGNORE`.
#[inline(always)]
pub(crate) fn status_in<P>(status: P) -> P {
    status
}
