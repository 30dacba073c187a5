//! The part of the MPI 5.0 standard ABI that the programs use: types, constants, functions.
//!
//! Handles are pointers to types that nobody defines; the predefined ones are small integers (MPI
//! 5.0, chapter 20).
//! `build.rs` reads the functions' names from the lines of this file that declare them.

#![allow(non_snake_case)]

use std::ffi::{c_char, c_double, c_int, c_void};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(*mut c_void);

        impl $name {
            const fn predefined(value: usize) -> Self {
                Self(std::ptr::without_provenance_mut(value))
            }
        }
    };
}

handle!(
    /// `MPI_Comm`
    Comm
);
handle!(
    /// `MPI_Datatype`
    Datatype
);
handle!(
    /// `MPI_Op`
    Op
);
handle!(
    /// `MPI_Request`
    Request
);

/// `MPI_Status`: 32 bytes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Status {
    source: c_int,
    tag: c_int,
    error: c_int,
    internal: [c_int; 5],
}

pub(crate) const SUCCESS: c_int = 0;
pub(crate) const MAX_ERROR_STRING: usize = 512;
pub(crate) const MAX_OBJECT_NAME: usize = 128;
pub(crate) const STATUS_IGNORE: *mut Status = std::ptr::null_mut();

pub(crate) const COMM_NULL: Comm = Comm::predefined(0x100);
pub(crate) const COMM_WORLD: Comm = Comm::predefined(0x101);
pub(crate) const REQUEST_NULL: Request = Request::predefined(0x180);

pub(crate) const SUM: Op = Op::predefined(0x21);
pub(crate) const MIN: Op = Op::predefined(0x22);
pub(crate) const MAX: Op = Op::predefined(0x23);

pub(crate) const INT: Datatype = Datatype::predefined(0x209);
pub(crate) const FLOAT: Datatype = Datatype::predefined(0x210);
pub(crate) const DOUBLE: Datatype = Datatype::predefined(0x214);
pub(crate) const CHAR: Datatype = Datatype::predefined(0x243);
pub(crate) const INT64: Datatype = Datatype::predefined(0x258);

#[rustfmt::skip] // one function a line: build.rs reads them
unsafe extern "C" {
    pub(crate) fn MPI_Init(argc: *mut c_int, argv: *mut *mut *mut c_char) -> c_int;
    pub(crate) fn MPI_Finalize() -> c_int;
    pub(crate) fn MPI_Abort(comm: Comm, code: c_int) -> c_int;
    pub(crate) fn MPI_Wtime() -> c_double;
    pub(crate) fn MPI_Error_string(code: c_int, text: *mut c_char, len: *mut c_int) -> c_int;
    pub(crate) fn MPI_Comm_rank(comm: Comm, rank: *mut c_int) -> c_int;
    pub(crate) fn MPI_Comm_size(comm: Comm, size: *mut c_int) -> c_int;
    pub(crate) fn MPI_Comm_split(comm: Comm, color: c_int, key: c_int, new: *mut Comm) -> c_int;
    pub(crate) fn MPI_Comm_free(comm: *mut Comm) -> c_int;
    pub(crate) fn MPI_Type_get_name(datatype: Datatype, name: *mut c_char, len: *mut c_int) -> c_int;
    pub(crate) fn MPI_Barrier(comm: Comm) -> c_int;
    pub(crate) fn MPI_Bcast(buffer: *mut c_void, count: c_int, datatype: Datatype, root: c_int, comm: Comm) -> c_int;
    pub(crate) fn MPI_Reduce(send: *const c_void, recv: *mut c_void, count: c_int, datatype: Datatype, op: Op, root: c_int, comm: Comm) -> c_int;
    pub(crate) fn MPI_Allreduce(send: *const c_void, recv: *mut c_void, count: c_int, datatype: Datatype, op: Op, comm: Comm) -> c_int;
    pub(crate) fn MPI_Allgather(send: *const c_void, sends: c_int, sent: Datatype, recv: *mut c_void, recvs: c_int, received: Datatype, comm: Comm) -> c_int;
    pub(crate) fn MPI_Alltoall(send: *const c_void, sends: c_int, sent: Datatype, recv: *mut c_void, recvs: c_int, received: Datatype, comm: Comm) -> c_int;
    pub(crate) fn MPI_Ibcast(buffer: *mut c_void, count: c_int, datatype: Datatype, root: c_int, comm: Comm, request: *mut Request) -> c_int;
    pub(crate) fn MPI_Iallreduce(send: *const c_void, recv: *mut c_void, count: c_int, datatype: Datatype, op: Op, comm: Comm, request: *mut Request) -> c_int;
    pub(crate) fn MPI_Testall(count: c_int, requests: *mut Request, flag: *mut c_int, statuses: *mut Status) -> c_int;
    pub(crate) fn MPI_Send(buffer: *const c_void, count: c_int, datatype: Datatype, dest: c_int, tag: c_int, comm: Comm) -> c_int;
    pub(crate) fn MPI_Recv(buffer: *mut c_void, count: c_int, datatype: Datatype, source: c_int, tag: c_int, comm: Comm, status: *mut Status) -> c_int;
    pub(crate) fn MPI_Isend(buffer: *const c_void, count: c_int, datatype: Datatype, dest: c_int, tag: c_int, comm: Comm, request: *mut Request) -> c_int;
    pub(crate) fn MPI_Irecv(buffer: *mut c_void, count: c_int, datatype: Datatype, source: c_int, tag: c_int, comm: Comm, request: *mut Request) -> c_int;
    pub(crate) fn MPI_Waitall(count: c_int, requests: *mut Request, statuses: *mut Status) -> c_int;
}
