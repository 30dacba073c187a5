//! Lengths at which the protocol of a message changes, which tools may change while MPI runs.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::peer::Path;
use crate::settings::Settings;

/// Lengths in bytes at which protocols change. Advice, not synchronisation: relaxed everywhere.
pub(in crate::engine) struct ProtocolLimits {
    eager_limit: AtomicUsize,
    net_eager_limit: AtomicUsize,
    eager_budget: AtomicUsize,
}

impl ProtocolLimits {
    pub(in crate::engine) fn new(settings: &Settings) -> ProtocolLimits {
        ProtocolLimits {
            eager_limit: settings.eager_limit.into(),
            net_eager_limit: settings.net_eager_limit.into(),
            eager_budget: settings.eager_budget.into(),
        }
    }

    /// Takes over what a tool has set.
    pub(in crate::engine) fn set(&self, settings: &Settings) {
        self.eager_limit
            .store(settings.eager_limit, Ordering::Relaxed);
        self.net_eager_limit
            .store(settings.net_eager_limit, Ordering::Relaxed);
        self.eager_budget
            .store(settings.eager_budget, Ordering::Relaxed);
    }

    /// Of the longest message that is sent eagerly on a path.
    pub(in crate::engine) fn eager_limit(&self, path: &Path) -> usize {
        let limit = match path {
            Path::Loopback | Path::Shm(_) => &self.eager_limit,
            Path::Net(_) => &self.net_eager_limit,
        };
        limit.load(Ordering::Relaxed)
    }

    /// Of the eager messages outstanding per peer, beyond which a sender uses rendezvous.
    pub(super) fn eager_budget(&self) -> usize {
        self.eager_budget.load(Ordering::Relaxed)
    }
}
