//! Where a process sleeps that has several networks and no memory in common with others.

use core::time::Duration;
use std::sync::{Condvar, Mutex, PoisonError};

/// A bell that stays rung until somebody has heard it, so that a ring between the last look and the
/// sleep is not lost.
pub(in crate::engine) struct Doorbell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Doorbell {
    pub(in crate::engine) fn new() -> Doorbell {
        Doorbell {
            rung: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    pub(in crate::engine) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Sleeps until it was rung since the last time, or `timeout` is over.
    pub(in crate::engine) fn wait(&self, timeout: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |rung: &mut bool| !*rung;
        let mut rung = match timeout {
            None => {
                let woken = self.changed.wait_while(rung, silent);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                let woken = self.changed.wait_timeout_while(rung, timeout, silent);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *rung = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_ring_before_the_sleep_ends_it() {
        let bell = Doorbell::new();
        bell.ring();
        bell.wait(None);
        // Heard: the next one waits.
        bell.wait(Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_ring_during_the_sleep_ends_it() {
        let bell = Arc::new(Doorbell::new());
        let other = bell.clone();
        let ringer = std::thread::spawn(move || other.ring());
        bell.wait(None);
        ringer.join().unwrap();
    }
}
