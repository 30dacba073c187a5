//! What tests of and above transports need, and no product has.
//!
//! [`conformance`] is the suite that every transport passes. Three networks pass it, too, on which
//! the engine's tests run: [`memory`] (threads of one process, queues behind locks), [`sim`] (a
//! network that delays, refuses, reorders and breaks by a seed) and [`completion`] (adapters with a
//! shared receive queue, credits and registered memory). [`depth`] says how much of everything a
//! run goes through.

pub mod completion;
pub mod conformance;
pub mod depth;
pub mod memory;
mod moods;
mod place;
mod registry;
pub mod sim;
