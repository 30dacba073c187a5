//! Which collective function a call is of, and what its arguments have to have in common on all
//! ranks.

/// A collective function, whatever its form (blocking, nonblocking, persistent). The values travel
/// in frames.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// `MPI_Barrier`
    Barrier,
    /// `MPI_Bcast`
    Bcast,
    /// `MPI_Gather`
    Gather,
    /// `MPI_Gatherv`
    Gatherv,
    /// `MPI_Scatter`
    Scatter,
    /// `MPI_Scatterv`
    Scatterv,
    /// `MPI_Allgather`
    Allgather,
    /// `MPI_Allgatherv`
    Allgatherv,
    /// `MPI_Alltoall`
    Alltoall,
    /// `MPI_Alltoallv`, `MPI_Alltoallw`
    Alltoallv,
    /// `MPI_Reduce`
    Reduce,
    /// `MPI_Allreduce`
    Allreduce,
    /// `MPI_Reduce_scatter`, `MPI_Reduce_scatter_block`
    ReduceScatter,
    /// `MPI_Scan`
    Scan,
    /// `MPI_Exscan`
    Exscan,
    /// `MPI_Neighbor_allgather`, `MPI_Neighbor_allgatherv`
    NeighborAllgather,
    /// `MPI_Neighbor_alltoall`, `MPI_Neighbor_alltoallv`, `MPI_Neighbor_alltoallw`
    NeighborAlltoall,
    /// Any that makes a communicator.
    Making,
    /// `MPI_Finalize`
    Finalize,
}

impl Function {
    const ALL: [Function; 19] = [
        Function::Barrier,
        Function::Bcast,
        Function::Gather,
        Function::Gatherv,
        Function::Scatter,
        Function::Scatterv,
        Function::Allgather,
        Function::Allgatherv,
        Function::Alltoall,
        Function::Alltoallv,
        Function::Reduce,
        Function::Allreduce,
        Function::ReduceScatter,
        Function::Scan,
        Function::Exscan,
        Function::NeighborAllgather,
        Function::NeighborAlltoall,
        Function::Making,
        Function::Finalize,
    ];

    /// The function of a received byte, or `None` where there is none.
    pub(crate) fn from_u8(byte: u8) -> Option<Function> {
        Function::ALL.get(usize::from(byte)).copied()
    }

    /// What a person calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::Barrier => "MPI_Barrier",
            Function::Bcast => "MPI_Bcast",
            Function::Gather => "MPI_Gather",
            Function::Gatherv => "MPI_Gatherv",
            Function::Scatter => "MPI_Scatter",
            Function::Scatterv => "MPI_Scatterv",
            Function::Allgather => "MPI_Allgather",
            Function::Allgatherv => "MPI_Allgatherv",
            Function::Alltoall => "MPI_Alltoall",
            Function::Alltoallv => "MPI_Alltoallv or MPI_Alltoallw",
            Function::Reduce => "MPI_Reduce",
            Function::Allreduce => "MPI_Allreduce",
            Function::ReduceScatter => "MPI_Reduce_scatter or MPI_Reduce_scatter_block",
            Function::Scan => "MPI_Scan",
            Function::Exscan => "MPI_Exscan",
            Function::NeighborAllgather => "MPI_Neighbor_allgather or MPI_Neighbor_allgatherv",
            Function::NeighborAlltoall => {
                "MPI_Neighbor_alltoall, MPI_Neighbor_alltoallv or MPI_Neighbor_alltoallw"
            }
            Function::Making => "a call that makes a communicator",
            Function::Finalize => "MPI_Finalize",
        }
    }

    /// Whether one rank gives or gets everything, the same one by the arguments of all.
    pub(crate) fn has_root(self) -> bool {
        matches!(
            self,
            Function::Bcast
                | Function::Gather
                | Function::Gatherv
                | Function::Scatter
                | Function::Scatterv
                | Function::Reduce
        )
    }

    /// Whether the lengths of all ranks' data are the same, but for how they are made of items.
    pub(crate) fn has_one_length(self) -> bool {
        matches!(
            self,
            Function::Bcast
                | Function::Gather
                | Function::Scatter
                | Function::Allgather
                | Function::Alltoall
                | Function::Making
        ) || self.reduces()
    }

    /// Whether the ranks' data are combined.
    pub(crate) fn reduces(self) -> bool {
        matches!(
            self,
            Function::Reduce
                | Function::Allreduce
                | Function::ReduceScatter
                | Function::Scan
                | Function::Exscan
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_known_by_its_number() {
        for function in Function::ALL {
            assert_eq!(Function::from_u8(function as u8), Some(function));
        }
        assert_eq!(Function::from_u8(Function::ALL.len() as u8), None);
    }
}
