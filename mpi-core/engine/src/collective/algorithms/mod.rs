//! The algorithms of collective operations: pure generators of operations.

pub(in crate::collective) mod across;
pub(in crate::collective) mod allgather;
pub(in crate::collective) mod allreduce;
pub(in crate::collective) mod alltoall;
pub(in crate::collective) mod barrier;
pub(in crate::collective) mod bcast;
pub(in crate::collective) mod binomial;
pub(in crate::collective) mod by_nodes;
pub(in crate::collective) mod exchange;
pub(in crate::collective) mod gather;
pub(in crate::collective) mod reduce;
pub(in crate::collective) mod reduce_scatter;
pub(in crate::collective) mod scan;
pub(in crate::collective) mod scatter;
