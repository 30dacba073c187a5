//! The types of the C interface (MPI 5.0, chapter 20).

#![allow(non_camel_case_types, reason = "the names are those of mpi.h")]

pub(crate) use core::ffi::{c_char, c_int, c_void};

/// An address, or a difference of addresses.
pub(crate) type MPI_Aint = isize;
/// A position in a file.
pub(crate) type MPI_Offset = i64;
/// A number of elements.
pub(crate) type MPI_Count = i64;

/// A handle: in C a pointer to a structure that nobody defines. It is never followed. The low 32 bits are the engine's
/// handle; the predefined ones have the engine's values by construction.
pub(crate) type Handle = usize;

/// Declares the handle types.
macro_rules! handle_types {
    ($($name:ident),* $(,)?) => {$(
        #[doc = concat!("`", stringify!($name), "`")]
        pub(crate) type $name = Handle;
    )*};
}

handle_types! {
    MPI_Comm,
    MPI_Datatype,
    MPI_Errhandler,
    MPI_File,
    MPI_Group,
    MPI_Info,
    MPI_Message,
    MPI_Op,
    MPI_Request,
    MPI_Session,
    MPI_Win,
    MPI_T_cvar_handle,
    MPI_T_enum,
    MPI_T_event_instance,
    MPI_T_event_registration,
    MPI_T_pvar_handle,
    MPI_T_pvar_session,
}

/// `MPI_Status`: 32 bytes, of which the last 20 are the library's own.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct MPI_Status {
    pub(crate) source: c_int,
    pub(crate) tag: c_int,
    pub(crate) error: c_int,
    /// Whether the operation was cancelled: 0 or 1.
    pub(crate) cancelled: c_int,
    /// Bytes received: the low half, then the high half, because 64 bits would raise the structure's alignment.
    pub(crate) bytes: [u32; 2],
    pub(crate) reserved: [c_int; 2],
}

const _: () = assert!(size_of::<MPI_Status>() == 32 && align_of::<MPI_Status>() == 4);

/// `MPI_SUCCESS`
pub(crate) const SUCCESS: c_int = 0;
