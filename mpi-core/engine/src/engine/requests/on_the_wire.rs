//! Requests as frames name them: handles, apart by whose they are.

use super::request::RequestRef;

/// A request of the process that sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct SendersRequest(pub(in crate::engine) u32);

/// A request of the process that receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct ReceiversRequest(pub(in crate::engine) u32);

impl RequestRef {
    /// A send of this process, as its frames name it.
    pub(in crate::engine) fn as_sender(self) -> SendersRequest {
        SendersRequest(self.handle().0)
    }

    /// A receive of this process, as its frames name it.
    pub(in crate::engine) fn as_receiver(self) -> ReceiversRequest {
        ReceiversRequest(self.handle().0)
    }
}
