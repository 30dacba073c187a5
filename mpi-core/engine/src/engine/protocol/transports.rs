//! The transports that this process has joined.

use std::sync::Arc;

use ferrite_fabric::Network;
use ferrite_shm::Attachment;

/// What carries frames to other processes.
pub(in crate::engine) struct Transports {
    memory: Option<Attachment>,
    network: Option<Arc<dyn Network>>,
}

impl Transports {
    pub(in crate::engine) fn new(
        memory: Option<Attachment>,
        network: Option<Arc<dyn Network>>,
    ) -> Transports {
        Transports { memory, network }
    }

    /// The node's segment, where other ranks of the node share it.
    #[inline]
    pub(in crate::engine) fn memory(&self) -> Option<&Attachment> {
        self.memory.as_ref()
    }

    /// The network, where ranks are on other nodes.
    #[inline]
    pub(in crate::engine) fn network(&self) -> Option<&Arc<dyn Network>> {
        self.network.as_ref()
    }
}
