//! PMI-1, the dialogue between processes and a launcher that the MPICH family speaks: hydra's and Intel's mpiexec, `srun --mpi=pmi2`,
//! and many more.
//!
//! What both ends of it need stands here: lines and the placement of ranks. mpiexec's end builds on it.

pub mod line;
pub mod mapping;
