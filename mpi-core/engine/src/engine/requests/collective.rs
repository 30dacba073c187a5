//! What a nonblocking or persistent collective operation has more than other requests.

use std::sync::Arc;

use super::request::RequestRef;
use crate::collective::{Call, Running, Scratch};
use crate::engine::Engine;
use crate::engine::communicators::Calls;

/// What is done with the result of an operation of the engine's own.
pub(in crate::engine) type Then = Box<dyn FnOnce(&Engine) + Send>;

/// A nonblocking or persistent collective operation.
pub(crate) struct Collective {
    pub(in crate::engine) then: Option<Then>,
    pub(in crate::engine) call: Call,
    pub(in crate::engine) tag: i32,
    pub(in crate::engine) calls: Arc<Calls>,
    /// The call's number among those of its communicator.
    pub(in crate::engine) number: u32,
    pub(in crate::engine) persistent: bool,
    pub(in crate::engine) running: Option<Running<RequestRef>>,
    pub(in crate::engine) scratch: Scratch,
}

impl Drop for Collective {
    fn drop(&mut self) {
        if self.persistent {
            self.calls.end_persistent(self.number);
        }
    }
}
