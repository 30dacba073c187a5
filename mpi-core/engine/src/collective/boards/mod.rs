//! Collectives of a node's ranks over a [board](ferrite_shm::Board), memory that all of them reach.
//!
//! A call of any length is generated ([`OnBoard`]), one of a single turn is straight code
//! ([`Turn::play`]), and blocks of unequal lengths are straight code, too ([`Unequal`]).

mod fused;
mod on_board;
mod thresholds;
mod unequal;

pub(crate) use fused::{Turn, Watch};
pub(in crate::collective) use on_board::{IN_DISAGREEMENT, OnBoard, in_agreement};
pub use thresholds::{BoardLengths, BoardThresholds};
pub(crate) use unequal::Unequal;
pub(in crate::collective) use unequal::Way;
