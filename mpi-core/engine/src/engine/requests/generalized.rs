//! Generalized requests: operations of the program that are waited for like those of MPI (MPI 5.0,
//! section 13.2).

use super::request::{Body, Kind, RequestRef, idle_body};
use crate::callback::{Callback, CancelFunction, FreeFunction, QueryFunction};
use crate::engine::Engine;
use crate::engine::matching::Envelope;
use crate::handle::Request;
use crate::status::Status;
use crate::sync::threaded;
use crate::{Error, ErrorClass, Result};

/// The program's functions, and what they get.
#[derive(Clone, Copy)]
pub struct Generalized {
    /// Tells the status of the operation.
    pub query: Callback<QueryFunction>,
    /// Is told that the request goes.
    pub free: Callback<FreeFunction>,
    /// Is asked to cancel the operation.
    pub cancel: Callback<CancelFunction>,
    /// The program's own.
    pub extra_state: usize,
}

/// What a function of the program has returned.
fn answered(code: i32, which: &str) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(Error::with_code(
            code,
            format!("the {which} function of the generalized request returned this code"),
        )),
    }
}

impl Generalized {
    pub(in crate::engine) fn status(&self) -> Result<Status> {
        let mut status = Status::EMPTY;
        answered(self.query.call(self.extra_state, &mut status), "query")?;
        Ok(status)
    }

    /// The program lets go of what it has for the request.
    pub(in crate::engine) fn release(&self) -> Result<()> {
        answered(self.free.call(self.extra_state), "free")
    }

    pub(in crate::engine) fn cancel(&self, is_complete: bool) -> Result<()> {
        answered(self.cancel.call(self.extra_state, is_complete), "cancel")
    }
}

impl Engine {
    /// `MPI_Grequest_start`
    pub fn grequest_start(&self, generalized: Generalized) -> Result<Request> {
        let mut body = idle_body(Kind::Generalized, Envelope::NOWHERE);
        body.extra().generalized = Some(generalized);
        Ok(self.add_request(self.comms.itself(), || body)?.handle())
    }

    /// `MPI_Grequest_complete`: the operation has ended.
    pub fn grequest_complete(&self, request: Request) -> Result<()> {
        let data = self.request(request)?;
        let request = RequestRef::new(data);
        // SAFETY: what is read is written when the request is made, and stays until it is removed,
        // which the program does not do meanwhile.
        let generalized = unsafe { request.body() }.generalized();
        let Some(generalized) = generalized.filter(|_| !data.is_done()) else {
            return Err(Error::new(
                ErrorClass::REQUEST,
                "the request is not a generalized one, or is complete already",
            ));
        };
        if request.finish() {
            // Freed before: nobody will come for it.
            self.remove_request(request);
            return generalized.release();
        }
        if threaded() {
            self.progress.waiting().something_finished();
        }
        Ok(())
    }

    /// The end of a request that is complete: its status, and the program lets go of what it has
    /// for it.
    pub(in crate::engine) fn finish_generalized(
        &self,
        request: &mut Request,
        generalized: Generalized,
    ) -> Result<Status> {
        let status = generalized.status();
        self.requests.discard(request.0);
        *request = Request::NULL;
        generalized.release()?;
        status
    }
}

impl Body {
    /// The functions of a generalized request.
    pub(in crate::engine) fn generalized(&self) -> Option<Generalized> {
        self.extra.as_ref()?.generalized
    }
}
