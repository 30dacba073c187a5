//! Proofs of every algorithm, by reading its schedules and by running all ranks in one process.

mod case;
mod case_list;
mod check;
pub(in crate::collective) mod simulate;
