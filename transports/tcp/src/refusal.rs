//! Callers that were refused are told to the user, each kind once: a port scanner must not fill the
//! log.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use crate::handshake::Refusal;

#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashSet<Refusal>>);

impl Refusals {
    /// Takes note of one, for the process of this rank.
    pub(crate) fn note(&self, rank: u32, caller: impl Display, why: Refusal) {
        if why == Refusal::Withdrawn {
            return;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(why) {
            eprintln!(
                "ferrite: rank {rank} refused a connection from {caller}: {}; the job goes on, and \
                 more of this kind are not reported",
                why.reason()
            );
        }
    }
}
