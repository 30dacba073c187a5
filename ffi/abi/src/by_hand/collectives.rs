//! Collective operations with arrays of counts, displacements and types (chapter 6).

use ferrite_engine::collective::{Call, IN_PLACE};
use ferrite_engine::{Comm, Datatype, Engine, Op, Result};
use ferrite_engine::{Types, Vectors, Waits};

use super::datatypes::handle;
use super::{Count, null, set_handle};
use crate::convert::narrow;
use crate::types::{MPI_Comm, MPI_Datatype, MPI_Info, MPI_Op, MPI_Request, c_int, c_void};

/// An array with an entry for each rank, in 64 bits.
///
/// # Safety
/// `from` is null or points to `length` values.
pub(super) unsafe fn entries<C: Count>(
    from: *const C,
    length: usize,
    name: &str,
) -> Result<Vec<i64>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    if from.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the caller's promise.
    let all = unsafe { core::slice::from_raw_parts(from, length) };
    Ok(all.iter().map(|value| value.wide()).collect())
}

/// An array of types with an entry for each rank.
///
/// # Safety
/// As of [`entries`].
pub(super) unsafe fn types(
    from: *const MPI_Datatype,
    length: usize,
    name: &str,
) -> Result<Vec<Datatype>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    if from.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the caller's promise.
    let all = unsafe { core::slice::from_raw_parts(from, length) };
    Ok(all.iter().map(|datatype| handle(*datatype)).collect())
}

pub(super) fn comm_of(comm: MPI_Comm) -> Comm {
    Comm(narrow(comm))
}

/// How many ranks a rank exchanges blocks with.
fn ranks(engine: &Engine, comm: MPI_Comm) -> Result<usize> {
    Ok(engine.comm_peers(comm_of(comm))? as usize)
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_gatherv<C: Count, D: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    sendcount: C,
    sendtype: MPI_Datatype,
    recvbuf: *mut c_void,
    recvcounts: *const C,
    displs: *const D,
    recvtype: MPI_Datatype,
    root: c_int,
    comm: MPI_Comm,
) -> Result<Call> {
    // The arrays count at the root only.
    let length = match engine.is_root(comm_of(comm), root)? {
        true => ranks(engine, comm)?,
        false => 0,
    };
    // SAFETY: the program's arrays.
    let (counts, displacements) = unsafe {
        (
            entries(recvcounts, length, "recvcounts")?,
            entries(displs, length, "displs")?,
        )
    };
    let received = Vectors {
        buf: recvbuf.cast(),
        counts: &counts,
        displacements: &displacements,
        types: Types::One(handle(recvtype)),
    };
    let (count, datatype) = (sendcount.wide(), handle(sendtype));
    let comm = comm_of(comm);
    engine.plan_gatherv(waits, sendbuf.cast(), count, datatype, received, root, comm)
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_scatterv<C: Count, D: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    sendcounts: *const C,
    displs: *const D,
    sendtype: MPI_Datatype,
    recvbuf: *mut c_void,
    recvcount: C,
    recvtype: MPI_Datatype,
    root: c_int,
    comm: MPI_Comm,
) -> Result<Call> {
    // The arrays count at the root only.
    let length = match engine.is_root(comm_of(comm), root)? {
        true => ranks(engine, comm)?,
        false => 0,
    };
    // SAFETY: the program's arrays.
    let (counts, displacements) = unsafe {
        (
            entries(sendcounts, length, "sendcounts")?,
            entries(displs, length, "displs")?,
        )
    };
    let sent = Vectors {
        buf: sendbuf.cast_mut().cast(),
        counts: &counts,
        displacements: &displacements,
        types: Types::One(handle(sendtype)),
    };
    let (count, datatype) = (recvcount.wide(), handle(recvtype));
    let comm = comm_of(comm);
    engine.plan_scatterv(waits, sent, recvbuf.cast(), count, datatype, root, comm)
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_allgatherv<C: Count, D: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    sendcount: C,
    sendtype: MPI_Datatype,
    recvbuf: *mut c_void,
    recvcounts: *const C,
    displs: *const D,
    recvtype: MPI_Datatype,
    comm: MPI_Comm,
) -> Result<Call> {
    let length = ranks(engine, comm)?;
    // SAFETY: the program's arrays.
    let (counts, displacements) = unsafe {
        (
            entries(recvcounts, length, "recvcounts")?,
            entries(displs, length, "displs")?,
        )
    };
    let received = Vectors {
        buf: recvbuf.cast(),
        counts: &counts,
        displacements: &displacements,
        types: Types::One(handle(recvtype)),
    };
    let (count, datatype) = (sendcount.wide(), handle(sendtype));
    engine.plan_allgatherv(
        waits,
        sendbuf.cast(),
        count,
        datatype,
        received,
        comm_of(comm),
    )
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_alltoallv<C: Count, D: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    sendcounts: *const C,
    sdispls: *const D,
    sendtype: MPI_Datatype,
    recvbuf: *mut c_void,
    recvcounts: *const C,
    rdispls: *const D,
    recvtype: MPI_Datatype,
    comm: MPI_Comm,
) -> Result<Call> {
    let in_place = sendbuf.cast() == IN_PLACE;
    let length = ranks(engine, comm)?;
    let sends = if in_place { 0 } else { length };
    // SAFETY: the program's arrays; those of the send side count unless it is in place.
    unsafe {
        let sendcounts = entries(sendcounts, sends, "sendcounts")?;
        let sdispls = entries(sdispls, sends, "sdispls")?;
        let recvcounts = entries(recvcounts, length, "recvcounts")?;
        let rdispls = entries(rdispls, length, "rdispls")?;
        let sent = Vectors {
            buf: sendbuf.cast_mut().cast(),
            counts: &sendcounts,
            displacements: &sdispls,
            types: Types::One(handle(sendtype)),
        };
        let received = Vectors {
            buf: recvbuf.cast(),
            counts: &recvcounts,
            displacements: &rdispls,
            types: Types::One(handle(recvtype)),
        };
        engine.plan_alltoallv(waits, (!in_place).then_some(sent), received, comm_of(comm))
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_alltoallw<C: Count, D: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    sendcounts: *const C,
    sdispls: *const D,
    sendtypes: *const MPI_Datatype,
    recvbuf: *mut c_void,
    recvcounts: *const C,
    rdispls: *const D,
    recvtypes: *const MPI_Datatype,
    comm: MPI_Comm,
) -> Result<Call> {
    let in_place = sendbuf.cast() == IN_PLACE;
    let length = ranks(engine, comm)?;
    let sends = if in_place { 0 } else { length };
    // SAFETY: the program's arrays; those of the send side count unless it is in place.
    unsafe {
        let sendcounts = entries(sendcounts, sends, "sendcounts")?;
        let sdispls = entries(sdispls, sends, "sdispls")?;
        let sendtypes = types(sendtypes, sends, "sendtypes")?;
        let recvcounts = entries(recvcounts, length, "recvcounts")?;
        let rdispls = entries(rdispls, length, "rdispls")?;
        let recvtypes = types(recvtypes, length, "recvtypes")?;
        let sent = Vectors {
            buf: sendbuf.cast_mut().cast(),
            counts: &sendcounts,
            displacements: &sdispls,
            types: Types::Each(&sendtypes),
        };
        let received = Vectors {
            buf: recvbuf.cast(),
            counts: &recvcounts,
            displacements: &rdispls,
            types: Types::Each(&recvtypes),
        };
        engine.plan_alltoallv(waits, (!in_place).then_some(sent), received, comm_of(comm))
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_reduce_scatter<C: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    recvbuf: *mut c_void,
    recvcounts: *const C,
    datatype: MPI_Datatype,
    op: MPI_Op,
    comm: MPI_Comm,
) -> Result<Call> {
    // SAFETY: the program's array.
    let counts = unsafe {
        // For the ranks of this process's own group.
        let length = engine.comm_size(comm_of(comm))? as usize;
        entries(recvcounts, length, "recvcounts")?
    };
    let (datatype, op) = (handle(datatype), Op(narrow(op)));
    engine.plan_reduce_scatter(
        waits,
        sendbuf.cast(),
        recvbuf.cast(),
        &counts,
        datatype,
        op,
        comm_of(comm),
    )
}

/// The three forms of each collective, from its plan.
macro_rules! forms {
    ($($plan:ident: $now:ident, $later:ident, $init:ident <$($count:ident),*> ($($argument:ident: $type:ty),* $(,)?);)*) => {$(
        #[allow(clippy::too_many_arguments)] // MPI's own list.
        pub(crate) unsafe fn $now<$($count: Count),*>(
            engine: &Engine,
            $($argument: $type,)*
            comm: MPI_Comm,
        ) -> Result<()> {
            // SAFETY: the program's arrays and buffers.
            unsafe {
                let call = $plan(engine, Waits::Here, $($argument,)* comm)?;
                engine.run_to_end(comm_of(comm), call)
            }
        }

        #[allow(clippy::too_many_arguments)] // MPI's own list.
        pub(crate) unsafe fn $later<$($count: Count),*>(
            engine: &Engine,
            $($argument: $type,)*
            comm: MPI_Comm,
            request: *mut MPI_Request,
        ) -> Result<()> {
            if request.is_null() {
                return Err(null("request"));
            }
            // SAFETY: the program's arrays, buffers and pointer.
            unsafe {
                let call = $plan(engine, Waits::Later, $($argument,)* comm)?;
                set_handle(request, engine.start_call(comm_of(comm), call)?.0, "request")
            }
        }

        #[allow(clippy::too_many_arguments)] // MPI's own list.
        pub(crate) unsafe fn $init<$($count: Count),*>(
            engine: &Engine,
            $($argument: $type,)*
            comm: MPI_Comm,
            _info: MPI_Info,
            request: *mut MPI_Request,
        ) -> Result<()> {
            if request.is_null() {
                return Err(null("request"));
            }
            // SAFETY: the program's arrays, buffers and pointer.
            unsafe {
                let call = $plan(engine, Waits::Later, $($argument,)* comm)?;
                set_handle(request, engine.init_call(comm_of(comm), call)?.0, "request")
            }
        }
    )*};
}

pub(super) use forms;

forms! {
    plan_gatherv: gatherv, igatherv, gatherv_init<C, D>(
        sendbuf: *const c_void, sendcount: C, sendtype: MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, displs: *const D, recvtype: MPI_Datatype, root: c_int,
    );
    plan_scatterv: scatterv, iscatterv, scatterv_init<C, D>(
        sendbuf: *const c_void, sendcounts: *const C, displs: *const D, sendtype: MPI_Datatype,
        recvbuf: *mut c_void, recvcount: C, recvtype: MPI_Datatype, root: c_int,
    );
    plan_allgatherv: allgatherv, iallgatherv, allgatherv_init<C, D>(
        sendbuf: *const c_void, sendcount: C, sendtype: MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, displs: *const D, recvtype: MPI_Datatype,
    );
    plan_alltoallv: alltoallv, ialltoallv, alltoallv_init<C, D>(
        sendbuf: *const c_void, sendcounts: *const C, sdispls: *const D, sendtype: MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, rdispls: *const D, recvtype: MPI_Datatype,
    );
    plan_alltoallw: alltoallw, ialltoallw, alltoallw_init<C, D>(
        sendbuf: *const c_void, sendcounts: *const C, sdispls: *const D, sendtypes: *const MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, rdispls: *const D, recvtypes: *const MPI_Datatype,
    );
    plan_reduce_scatter: reduce_scatter, ireduce_scatter, reduce_scatter_init<C>(
        sendbuf: *const c_void, recvbuf: *mut c_void, recvcounts: *const C, datatype: MPI_Datatype, op: MPI_Op,
    );
}
