//! The types of the C interface (MPI 5.0, chapter 20).

#![allow(non_camel_case_types, reason = "the names are those of mpi.h")]

pub(crate) use core::ffi::{c_char, c_int, c_void};

/// An address, or a difference of addresses.
pub(crate) type MPI_Aint = isize;
/// A position in a file.
pub(crate) type MPI_Offset = i64;
/// A number of elements.
pub(crate) type MPI_Count = i64;

pub(crate) use crate::interface::{Handle, MPI_Status, PointerHandle};

/// Declares the handle types.
macro_rules! handle_types {
    ($($handle:ident: $($name:ident),* $(,)?;)*) => {$($(
        #[doc = concat!("`", stringify!($name), "`")]
        pub(crate) type $name = $handle;
    )*)*};
}

handle_types! {
    Handle:
        MPI_Comm, MPI_Datatype, MPI_Errhandler, MPI_Group, MPI_Info, MPI_Message, MPI_Op, MPI_Request, MPI_Session, MPI_Win;
    PointerHandle:
        MPI_File, MPI_T_cvar_handle, MPI_T_enum, MPI_T_event_instance, MPI_T_event_registration, MPI_T_pvar_handle, MPI_T_pvar_session;
}

/// `MPI_SUCCESS`
pub(crate) const SUCCESS: c_int = 0;
