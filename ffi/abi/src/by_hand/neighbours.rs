//! Neighbourhood collectives with arrays of counts, displacements and types (chapter 8).

use ferrite_engine::collective::Call;
use ferrite_engine::{Engine, Result};
use ferrite_engine::{Types, Vectors, Waits};

use super::collectives::{comm_of, entries, forms, types};
use super::datatypes::handle;
use super::{Count, null, set_handle};
use crate::types::{MPI_Aint, MPI_Comm, MPI_Datatype, MPI_Info, MPI_Request, c_void};

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_neighbor_allgatherv<C: Count, D: Count>(
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
    let comm = comm_of(comm);
    let (sources, _) = engine.degrees(comm)?;
    // SAFETY: the program's arrays.
    let (counts, displacements) = unsafe {
        (
            entries(recvcounts, sources, "recvcounts")?,
            entries(displs, sources, "displs")?,
        )
    };
    let received = Vectors {
        buf: recvbuf.cast(),
        counts: &counts,
        displacements: &displacements,
        types: Types::One(handle(recvtype)),
    };
    let (count, datatype) = (sendcount.wide(), handle(sendtype));
    engine.plan_neighbor_allgatherv(waits, sendbuf.cast(), count, datatype, received, comm)
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_neighbor_alltoallv<C: Count, D: Count>(
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
    let comm = comm_of(comm);
    let (sources, destinations) = engine.degrees(comm)?;
    // SAFETY: the program's arrays.
    unsafe {
        let sent = Vectors {
            buf: sendbuf.cast_mut().cast(),
            counts: &entries(sendcounts, destinations, "sendcounts")?,
            displacements: &entries(sdispls, destinations, "sdispls")?,
            types: Types::One(handle(sendtype)),
        };
        let received = Vectors {
            buf: recvbuf.cast(),
            counts: &entries(recvcounts, sources, "recvcounts")?,
            displacements: &entries(rdispls, sources, "rdispls")?,
            types: Types::One(handle(recvtype)),
        };
        engine.plan_neighbor_alltoallv(waits, sent, received, comm)
    }
}

#[allow(clippy::too_many_arguments)] // MPI's own list.
unsafe fn plan_neighbor_alltoallw<C: Count>(
    engine: &Engine,
    waits: Waits,
    sendbuf: *const c_void,
    sendcounts: *const C,
    sdispls: *const MPI_Aint,
    sendtypes: *const MPI_Datatype,
    recvbuf: *mut c_void,
    recvcounts: *const C,
    rdispls: *const MPI_Aint,
    recvtypes: *const MPI_Datatype,
    comm: MPI_Comm,
) -> Result<Call> {
    let comm = comm_of(comm);
    let (sources, destinations) = engine.degrees(comm)?;
    // SAFETY: the program's arrays.
    unsafe {
        let sent = Vectors {
            buf: sendbuf.cast_mut().cast(),
            counts: &entries(sendcounts, destinations, "sendcounts")?,
            displacements: &entries(sdispls, destinations, "sdispls")?,
            types: Types::Each(&types(sendtypes, destinations, "sendtypes")?),
        };
        let received = Vectors {
            buf: recvbuf.cast(),
            counts: &entries(recvcounts, sources, "recvcounts")?,
            displacements: &entries(rdispls, sources, "rdispls")?,
            types: Types::Each(&types(recvtypes, sources, "recvtypes")?),
        };
        engine.plan_neighbor_alltoallv(waits, sent, received, comm)
    }
}

forms! {
    plan_neighbor_allgatherv: neighbor_allgatherv, ineighbor_allgatherv, neighbor_allgatherv_init<C, D>(
        sendbuf: *const c_void, sendcount: C, sendtype: MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, displs: *const D, recvtype: MPI_Datatype,
    );
    plan_neighbor_alltoallv: neighbor_alltoallv, ineighbor_alltoallv, neighbor_alltoallv_init<C, D>(
        sendbuf: *const c_void, sendcounts: *const C, sdispls: *const D, sendtype: MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, rdispls: *const D, recvtype: MPI_Datatype,
    );
    plan_neighbor_alltoallw: neighbor_alltoallw, ineighbor_alltoallw, neighbor_alltoallw_init<C>(
        sendbuf: *const c_void, sendcounts: *const C, sdispls: *const MPI_Aint, sendtypes: *const MPI_Datatype,
        recvbuf: *mut c_void, recvcounts: *const C, rdispls: *const MPI_Aint, recvtypes: *const MPI_Datatype,
    );
}
