//! Completion: every form of wait and test (MPI 5.0, sections 3.7.3 to 3.7.5).

use core::cmp::Reverse;

use crate::engine::Engine;
use crate::engine::requests::{Body, Kind, RequestData, RequestRef, SENT, bad_request};
use crate::handle::Request;
use crate::status::Status;
use crate::{Error, ErrorClass, Result};

/// An array of requests, as the caller has it. Other representations than ours are converted by
/// whoever implements this.
pub trait RequestArray {
    /// Number of requests.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The request at a place.
    fn get(&self, at: usize) -> Request;
    /// Replaces the request at a place.
    fn set(&mut self, at: usize, request: Request);
}

impl RequestArray for [Request] {
    fn len(&self) -> usize {
        <[Request]>::len(self)
    }
    fn get(&self, at: usize) -> Request {
        self[at]
    }
    fn set(&mut self, at: usize, request: Request) {
        self[at] = request;
    }
}

/// The answer of `MPI_Waitany` and `MPI_Testany`.
#[derive(Debug)]
pub enum Any {
    /// Some are active, none is done.
    Pending,
    /// None is active.
    Inactive,
    /// The request at this place is done, well or badly.
    Done(usize, Result<Status>),
}

/// What a look at a request tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Null, or persistent and not started.
    Inactive,
    Pending,
    /// The greater the number, the longer it has been done.
    Done(u32),
}

/// What an array of requests has to tell first.
enum Earliest {
    /// Some are active, none is done.
    Pending,
    /// None is active.
    Inactive,
    /// The request at this place.
    At(usize),
}

impl Engine {
    /// `MPI_Wait`: waits until the request is done, and lets go of it.
    #[inline]
    pub fn wait(&self, request: &mut Request) -> Result<Status> {
        self.flush();
        if *request == SENT {
            *request = Request::NULL;
            return Ok(Status::EMPTY);
        }
        if *request == Request::NULL {
            return Ok(Status::EMPTY);
        }
        let data = self.request(*request)?;
        if !data.is_done() {
            self.progress.departed().awaits(*request);
            self.wait_until(|| data.is_done() || self.progress.waiting().is_over());
            self.progress.departed().awaits_nothing();
            if !data.is_done() {
                self.end_in_vain(data);
            }
        }
        self.finish(request, data)
    }

    /// MPI is finalised, and a thread still waits for this request: a receive that nothing was
    /// matched with ends with an error. Anything else has a buffer that others use, and goes on.
    #[cold]
    fn end_in_vain(&self, data: &RequestData) {
        let request = RequestRef::new(data);
        // SAFETY: these fields are written before the operation starts and stay until it is done;
        // it cannot be removed, as only this caller could wait for it.
        let (kind, envelope, entry) = unsafe {
            let body = request.body();
            (body.kind, body.envelope, body.entry)
        };
        let mut lane = self.lane(envelope.context).lock();
        let is_ours = kind == Kind::Recv && lane.withdraw(entry, |it| *it == request).is_some();
        drop(lane);
        if is_ours {
            // SAFETY: withdrawn, so the receive is ours.
            unsafe { request.body() }.error = Some(in_vain());
            return self.complete(request);
        }
        self.wait_until(|| data.is_done());
    }

    /// `MPI_Test`: the status, if the request is done.
    #[inline]
    pub fn test(&self, request: &mut Request) -> Result<Option<Status>> {
        if *request == SENT || *request == Request::NULL {
            return self.wait(request).map(Some);
        }
        self.flush();
        let data = self.request(*request)?;
        if !data.is_done() && !self.glance(1, || data.is_done()) {
            self.tested_in_vain(*request);
            return Ok(None);
        }
        self.finish(request, data).map(Some)
    }

    /// `MPI_Waitall`: waits for all; `each` is told the status of every place. When operations have
    /// failed, the error is of class `MPI_ERR_IN_STATUS` and the statuses say which.
    pub fn waitall<A: RequestArray + ?Sized>(
        &self,
        requests: &mut A,
        mut each: impl FnMut(usize, Status),
    ) -> Result<()> {
        self.check_all(requests)?;
        let mut failed = None;
        for at in 0..requests.len() {
            let mut request = requests.get(at);
            let before = request;
            let status = self.status_or_error(&mut request, Engine::wait, &mut failed);
            if request != before {
                requests.set(at, request);
            }
            each(at, status);
        }
        failed.map_or(Ok(()), |failed| Err(in_status(failed)))
    }

    /// `MPI_Testall`: as [`Engine::waitall`], but only if all are done.
    pub fn testall<A: RequestArray + ?Sized>(
        &self,
        requests: &mut A,
        each: impl FnMut(usize, Status),
    ) -> Result<bool> {
        self.check_all(requests)?;
        if self.any_pending(requests)
            && !self.glance(requests.len(), || !self.any_pending(requests))
        {
            return Ok(false);
        }
        self.waitall(requests, each).map(|()| true)
    }

    /// `MPI_Waitany`: waits for one; of several that are done, the one that was done first. Not
    /// `Pending`.
    pub fn waitany<A: RequestArray + ?Sized>(&self, requests: &mut A) -> Result<Any> {
        self.check_all(requests)?;
        let mut answer = Any::Pending;
        self.wait_until(|| {
            answer = self.find_done(requests);
            !matches!(answer, Any::Pending)
        });
        Ok(answer)
    }

    /// `MPI_Testany`: as [`Engine::waitany`] without waiting.
    pub fn testany<A: RequestArray + ?Sized>(&self, requests: &mut A) -> Result<Any> {
        self.check_all(requests)?;
        let mut answer = self.find_done(requests);
        if matches!(answer, Any::Pending) {
            self.glance(requests.len(), || {
                answer = self.find_done(requests);
                !matches!(answer, Any::Pending)
            });
        }
        Ok(answer)
    }

    /// `MPI_Waitsome`: waits for at least one. `each` is told number, place and status of those
    /// that are done, in the order in which they were; returns how many, or `None` when none is
    /// active.
    pub fn waitsome<A: RequestArray + ?Sized>(
        &self,
        requests: &mut A,
        each: impl FnMut(usize, usize, Status),
    ) -> Result<Option<usize>> {
        self.check_all(requests)?;
        self.wait_until(|| !matches!(self.earliest(requests), Earliest::Pending));
        self.collect_done(requests, each)
    }

    /// `MPI_Testsome`: as [`Engine::waitsome`] without waiting.
    pub fn testsome<A: RequestArray + ?Sized>(
        &self,
        requests: &mut A,
        each: impl FnMut(usize, usize, Status),
    ) -> Result<Option<usize>> {
        self.check_all(requests)?;
        self.glance_at_all(requests);
        self.collect_done(requests, each)
    }

    /// `MPI_Request_get_status`: the status, if the request is done, without letting go of it.
    pub fn request_get_status(&self, request: Request) -> Result<Option<Status>> {
        if request != Request::NULL && request != SENT {
            let data = self.request(request)?;
            if !data.is_done() && !self.glance(1, || data.is_done()) {
                return Ok(None);
            }
        }
        self.status_of_done(request).map(Some)
    }

    /// `MPI_Request_get_status_any`: as [`Engine::testany`] without letting go.
    pub fn request_get_status_any<A: RequestArray + ?Sized>(&self, requests: &A) -> Result<Any> {
        self.check_all(requests)?;
        self.glance_at_all(requests);
        Ok(match self.earliest(requests) {
            Earliest::Pending => Any::Pending,
            Earliest::Inactive => Any::Inactive,
            Earliest::At(at) => Any::Done(at, self.status_of_done(requests.get(at))),
        })
    }

    /// `MPI_Request_get_status_some`: as [`Engine::testsome`] without letting go.
    pub fn request_get_status_some<A: RequestArray + ?Sized>(
        &self,
        requests: &A,
        mut each: impl FnMut(usize, usize, Status),
    ) -> Result<Option<usize>> {
        self.check_all(requests)?;
        self.glance_at_all(requests);
        let Some(done) = self.all_done(requests) else {
            return Ok(None);
        };
        for (number, at) in done.iter().enumerate() {
            each(number, *at, self.status_of_done(requests.get(*at))?);
        }
        Ok(Some(done.len()))
    }

    /// `MPI_Request_get_status_all`: as [`Engine::testall`] without letting go.
    pub fn request_get_status_all<A: RequestArray + ?Sized>(
        &self,
        requests: &A,
        mut each: impl FnMut(usize, Status),
    ) -> Result<bool> {
        self.check_all(requests)?;
        if self.any_pending(requests)
            && !self.glance(requests.len(), || !self.any_pending(requests))
        {
            return Ok(false);
        }
        for at in 0..requests.len() {
            each(at, self.status_of_done(requests.get(at))?);
        }
        Ok(true)
    }

    /// The status of a request that is done, or is none.
    fn status_of_done(&self, request: Request) -> Result<Status> {
        if request == Request::NULL || request == SENT {
            return Ok(Status::EMPTY);
        }
        // SAFETY: done, so the body is the caller's.
        let body = unsafe { RequestRef::new(self.request(request)?).body() };
        if !body.active {
            return Ok(Status::EMPTY);
        }
        if let Some(generalized) = body.generalized() {
            return generalized.status();
        }
        let error = body.error.as_ref().map_or(0, Error::code);
        Ok(Status {
            error,
            ..body.status
        })
    }

    /// Whether a request is done, or is none. Drives no progress and leaves the request's result
    /// alone, so another thread than the one that will wait for it may ask.
    pub fn is_done(&self, request: Request) -> bool {
        self.requests
            .get(request.0)
            .is_none_or(|data| data.is_done())
    }

    /// `MPI_Request_free`: lets go of a request. An operation under way goes on.
    pub fn request_free(&self, request: &mut Request) -> Result<()> {
        if *request == Request::NULL {
            return Err(Error::new(
                ErrorClass::REQUEST,
                "the request is MPI_REQUEST_NULL",
            ));
        }
        if *request != SENT {
            let data = self.request(*request)?;
            let abandoned = RequestRef::new(data);
            if abandoned.abandon() {
                // SAFETY: done, so the body is the caller's.
                let body = unsafe { abandoned.body() };
                let generalized = body.generalized();
                if let Some(what) = body.extra.as_ref().and_then(|it| it.partitioned.as_ref()) {
                    self.forget_announcement(what);
                }
                self.remove_request(abandoned);
                *request = Request::NULL;
                return generalized.map_or(Ok(()), |generalized| generalized.release());
            }
        }
        *request = Request::NULL;
        Ok(())
    }

    /// Lets go of a request that is done, and returns what became of it.
    #[inline]
    pub(super) fn finish(&self, request: &mut Request, data: &RequestData) -> Result<Status> {
        // SAFETY: done, so the body is the caller's.
        let body = unsafe { RequestRef::new(data).body() };
        if body.extra.is_some() {
            return self.finish_extra(request, data, body);
        }
        let status = body.status;
        let error = body.error.take().map(|error| failed(error, status, data));
        self.requests.discard(request.0);
        *request = Request::NULL;
        match error {
            None => Ok(status),
            Some(error) => Err(error),
        }
    }

    /// [`Engine::finish`] for a request with more to it.
    #[cold]
    fn finish_extra(
        &self,
        request: &mut Request,
        data: &RequestData,
        body: &mut Body,
    ) -> Result<Status> {
        if let Some(generalized) = body.generalized() {
            return self.finish_generalized(request, generalized);
        }
        let status = body.status;
        let error = body.error.take().map(|error| failed(error, status, data));
        if body.is_persistent() {
            let was_active = std::mem::replace(&mut body.active, false);
            if !was_active {
                return Ok(Status::EMPTY);
            }
            body.status = Status::EMPTY;
        } else {
            self.remove_request(RequestRef::new(data));
            *request = Request::NULL;
        }
        error.map_or(Ok(status), Err)
    }

    fn status_or_error(
        &self,
        request: &mut Request,
        operation: impl FnOnce(&Engine, &mut Request) -> Result<Status>,
        failed: &mut Option<Error>,
    ) -> Status {
        match operation(self, request) {
            Ok(status) => status,
            Err(error) => {
                let status = error.status().unwrap_or(Status::EMPTY);
                let status = Status {
                    error: error.code(),
                    ..status
                };
                failed.get_or_insert(error);
                status
            }
        }
    }

    /// Every handle must name a request before anything is done to any of them.
    fn check_all<A: RequestArray + ?Sized>(&self, requests: &A) -> Result<()> {
        for at in 0..requests.len() {
            let request = requests.get(at);
            if request != Request::NULL && request != SENT && self.requests.get(request.0).is_none()
            {
                return Err(bad_request(request).with_context(format_args!("request {at}")));
            }
        }
        Ok(())
    }

    /// What is known of a request of an array that was checked. One that another thread has freed
    /// since is none.
    fn look_at(&self, request: Request) -> Look {
        if request == Request::NULL {
            return Look::Inactive;
        }
        if request == SENT {
            return Look::Done(u32::MAX);
        }
        let Some(data) = self.requests.get(request.0) else {
            return Look::Inactive;
        };
        let Some(age) = data.age() else {
            return Look::Pending;
        };
        // SAFETY: done, so the body is the caller's.
        let active = unsafe { RequestRef::new(data).body() }.active;
        if active {
            Look::Done(age)
        } else {
            Look::Inactive
        }
    }

    fn any_pending<A: RequestArray + ?Sized>(&self, requests: &A) -> bool {
        (0..requests.len()).any(|at| self.look_at(requests.get(at)) == Look::Pending)
    }

    /// Drives the transports for a call that looks at all of `requests`.
    fn glance_at_all<A: RequestArray + ?Sized>(&self, requests: &A) {
        self.glance(requests.len(), || {
            !matches!(self.earliest(requests), Earliest::Pending)
        });
    }

    /// The request that was done first. A program may count on that order: what it is told last, it
    /// may take for the last that there is.
    fn earliest<A: RequestArray + ?Sized>(&self, requests: &A) -> Earliest {
        let mut answer = Earliest::Inactive;
        let mut oldest = None;
        for at in 0..requests.len() {
            match self.look_at(requests.get(at)) {
                Look::Pending if oldest.is_none() => answer = Earliest::Pending,
                Look::Done(age) if oldest.is_none_or(|oldest| age > oldest) => {
                    answer = Earliest::At(at);
                    oldest = Some(age);
                }
                _ => {}
            }
        }
        answer
    }

    /// The places of all that are done, in the order in which they were; `None` when none is
    /// active.
    fn all_done<A: RequestArray + ?Sized>(&self, requests: &A) -> Option<Vec<usize>> {
        let (mut active, mut done) = (false, Vec::new());
        for at in 0..requests.len() {
            match self.look_at(requests.get(at)) {
                Look::Inactive => continue,
                Look::Pending => {}
                Look::Done(age) => done.push((age, at)),
            }
            active = true;
        }
        // Stable: those of one age stay in the order of the array.
        done.sort_by_key(|(age, _)| Reverse(*age));
        active.then(|| done.into_iter().map(|(_, at)| at).collect())
    }

    fn find_done<A: RequestArray + ?Sized>(&self, requests: &mut A) -> Any {
        match self.earliest(requests) {
            Earliest::Pending => Any::Pending,
            Earliest::Inactive => Any::Inactive,
            Earliest::At(at) => {
                let mut request = requests.get(at);
                let result = self.wait(&mut request);
                requests.set(at, request);
                Any::Done(at, result)
            }
        }
    }

    fn collect_done<A: RequestArray + ?Sized>(
        &self,
        requests: &mut A,
        mut each: impl FnMut(usize, usize, Status),
    ) -> Result<Option<usize>> {
        let Some(done) = self.all_done(requests) else {
            return Ok(None);
        };
        let mut failed = None;
        for (number, at) in done.iter().enumerate() {
            let mut request = requests.get(*at);
            let status = self.status_or_error(&mut request, Engine::wait, &mut failed);
            requests.set(*at, request);
            each(number, *at, status);
        }
        match failed {
            Some(failed) => Err(in_status(failed)),
            None => Ok(Some(done.len())),
        }
    }
}

/// What a thread is told that waited for a message when MPI was finalised.
#[cold]
pub(super) fn in_vain() -> Error {
    Error::new(
        ErrorClass::OTHER,
        "MPI was finalised while this thread waited for a message: nothing can arrive any more; \
         let the thread end before",
    )
}

#[cold]
fn in_status(first: Error) -> Error {
    let sentence = format!("the statuses say which operations failed; the first: {first}");
    first.first_of_several(ErrorClass::IN_STATUS, sentence)
}

/// The error of an operation whose request is still in its slab.
#[cold]
fn failed(error: Error, status: Status, data: &RequestData) -> Error {
    error.with_origin(status, data.shared_comm())
}
