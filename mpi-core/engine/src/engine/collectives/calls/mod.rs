//! From the arguments of MPI to a [`Call`](crate::collective::Call): a plan for each collective
//! operation, which serves its blocking, nonblocking and persistent forms.

mod arguments;
mod between_groups;
mod builder;
mod equal_blocks;
mod neighbourhood;
mod operand;
mod reductions;
mod unequal_blocks;
mod vectors;

pub use reductions::check_reduce_local;
pub use vectors::{Types, Vectors};

/// Who waits for a collective operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The call itself, with nothing else to do: it may use the communicator's board, which only a
    /// caller that keeps looking drives.
    Here,
    /// A request.
    Later,
}
