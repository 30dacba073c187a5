//! All requests of the process, by handle.

use super::request::{Body, RequestData, RequestRef};
use crate::engine::Engine;
use crate::engine::communicators::CommData;
use crate::handle::Request;
use crate::{Error, ErrorClass, Result};

impl Engine {
    /// The request that a handle names.
    #[inline]
    pub(in crate::engine) fn request(&self, request: Request) -> Result<&RequestData> {
        match self.requests.get(request.0) {
            Some(data) => Ok(data),
            None => Err(bad_request(request)),
        }
    }

    /// Puts a request of a communicator in the slab. No lock is held.
    #[inline(always)]
    pub(in crate::engine) fn add_request(
        &self,
        comm: &CommData,
        body: impl FnOnce() -> Body,
    ) -> Result<RequestRef> {
        let make = |handle| RequestData::new(Request(handle), comm, body());
        match self.requests.insert_with(make) {
            Ok(data) => Ok(RequestRef::new(data)),
            Err(make) => {
                self.make_room();
                let made = self.requests.insert_with(make);
                made.map(RequestRef::new).map_err(|_| too_many_requests())
            }
        }
    }

    /// Takes a request out of the slab that is done, or that nobody else has learnt of.
    #[cold]
    pub(in crate::engine) fn remove_request(&self, request: RequestRef) {
        // SAFETY: done, or known to nobody else, so the body is the caller's.
        let body = unsafe { request.body() };
        // What is in these may be the last that refers to something, and is dropped while the slab
        // is not locked.
        let rest = (body.extra.take(), body.error.take());
        self.requests.discard(request.handle().0);
        drop(rest);
    }
}

#[cold]
pub(in crate::engine) fn bad_request(request: Request) -> Error {
    Error::new(
        ErrorClass::REQUEST,
        format!(
            "{:#x} is not a request; it may have been completed or freed already",
            request.0
        ),
    )
}

#[cold]
fn too_many_requests() -> Error {
    Error::new(
        ErrorClass::NO_MEM,
        "4,194,047 requests are outstanding, the most there can be: wait for some of them",
    )
}
