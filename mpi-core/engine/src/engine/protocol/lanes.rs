//! Contexts are spread over lanes, each with a lock of its own.

use super::unexpected::Unexpected;
use crate::engine::Engine;
use crate::engine::matching::Matcher;
use crate::engine::requests::RequestRef;
use crate::sync::{Class, ClassLock};

/// How many lanes there are. A power of two.
const LANES: usize = 16;

/// The receives and unexpected messages of some contexts.
pub(in crate::engine) type Lane = Matcher<RequestRef, Unexpected>;

/// All receives and unexpected messages.
pub(in crate::engine) struct Lanes([ClassLock<Lane>; LANES]);

impl Lanes {
    pub(in crate::engine) fn new() -> Lanes {
        Lanes([(); LANES].map(|()| ClassLock::new(Class::Lane, Matcher::new())))
    }

    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = &ClassLock<Lane>> {
        self.0.iter()
    }
}

impl Engine {
    #[inline]
    pub(in crate::engine) fn lane(&self, context: u64) -> &ClassLock<Lane> {
        // The lowest bit tells collectives from point-to-point: both of one communicator share a
        // lane.
        &self.lanes.0[(context >> 1) as usize & (LANES - 1)]
    }
}
