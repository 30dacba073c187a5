//! Collectives of a node's ranks over a [board](ferrite_shm::Board), memory that all of them reach.

pub(in crate::collective) mod fused;
pub(in crate::collective) mod on_board;
pub(in crate::collective) mod unequal;
