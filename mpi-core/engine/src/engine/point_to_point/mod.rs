//! The calls of point-to-point communication (MPI 5.0, chapters 3 and 4).

mod buffered;
mod partitioned;
mod probe;
mod receive;
mod returnable;
mod send;
mod sendrecv;

pub(in crate::engine) use buffered::Flush;
pub(crate) use buffered::SharedBuffers;
pub use buffered::{BSEND_OVERHEAD, BUFFER_AUTOMATIC};
pub(in crate::engine) use partitioned::Partitioned;
pub(in crate::engine) use probe::MessageData;
pub(in crate::engine) use receive::idle_body;
pub(in crate::engine) use returnable::Returnable;
pub(in crate::engine) use send::header;
pub(in crate::engine) use sendrecv::Whole;
