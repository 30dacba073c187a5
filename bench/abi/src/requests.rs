//! Nonblocking transfers, bounded by a scope.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::process;

use crate::buffer::Payload;
use crate::comm::{Comm, Op};
use crate::error::{Result, check};
use crate::raw;
use crate::world::abort;

/// Space for a window of requests, made once and used again: a benchmark's loop allocates nothing.
pub struct Requests {
    handles: Box<[raw::Request]>,
    statuses: Box<[raw::Status]>,
    /// The first `started` handles belong to operations that may be in flight.
    started: usize,
}

impl Requests {
    /// Space for `capacity` operations at a time.
    pub fn new(capacity: usize) -> Self {
        assert!(
            c_int::try_from(capacity).is_ok(),
            "a window holds at most 2^31 - 1 operations"
        );
        Self {
            handles: vec![raw::REQUEST_NULL; capacity].into_boxed_slice(),
            statuses: vec![raw::Status::default(); capacity].into_boxed_slice(),
            started: 0,
        }
    }

    /// Runs `body`, which may start operations on `comm`, and returns when all of them are
    /// complete.
    ///
    /// The buffers' lifetime `'buf` is longer than this call, so no buffer is freed, filled or read
    /// under an operation. When `body` fails or panics with operations in flight, the job ends:
    /// they could not be waited for.
    #[inline]
    pub fn scope<'buf, R>(
        &mut self,
        comm: &Comm<'_>,
        body: impl FnOnce(&mut InFlight<'_, 'buf>) -> Result<R>,
    ) -> Result<R> {
        let guard = AbortOnUnwind;
        let mut window = InFlight {
            requests: self,
            comm: comm.handle(),
            buffers: PhantomData,
        };
        let result = body(&mut window);
        if let Err(error) = &result
            && window.requests.started > 0
        {
            eprintln!("{error}");
            abort(1);
        }
        if window.requests.started > 0
            && let Err(error) = window.wait_all()
        {
            eprintln!("{error}");
            abort(1);
        }
        std::mem::forget(guard);
        result
    }
}

/// The operations of one [`Requests::scope`].
pub struct InFlight<'scope, 'buf> {
    requests: &'scope mut Requests,
    comm: raw::Comm,
    /// Invariant in `'buf`: a scope never accepts a buffer that ends before it does.
    buffers: PhantomData<std::cell::Cell<&'buf ()>>,
}

impl<'buf> InFlight<'_, 'buf> {
    /// Starts to send `payload` to `dest`.
    ///
    /// # Panics
    /// When the window is full.
    #[inline]
    pub fn isend(&mut self, payload: Payload<'buf>, dest: i32, tag: i32) -> Result<()> {
        let comm = self.comm;
        let request = self.next();
        // SAFETY: the payload's buffer and the request's slot stay in place until the scope has
        // waited for the operation.
        let code = unsafe {
            let (start, count, datatype) = (payload.start(), payload.count(), payload.datatype());
            raw::MPI_Isend(start, count, datatype, dest, tag, comm, request)
        };
        check("MPI_Isend", code)?;
        self.requests.started += 1;
        Ok(())
    }

    /// Starts to receive a message from `source` into `payload`.
    ///
    /// # Panics
    /// When the window is full.
    #[inline]
    pub fn irecv(&mut self, payload: Payload<'buf>, source: i32, tag: i32) -> Result<()> {
        let comm = self.comm;
        let request = self.next();
        // SAFETY: as for `isend`; nobody reads the buffer, because that needs it exclusively.
        let code = unsafe {
            let (start, count, datatype) = (payload.start(), payload.count(), payload.datatype());
            raw::MPI_Irecv(start, count, datatype, source, tag, comm, request)
        };
        check("MPI_Irecv", code)?;
        self.requests.started += 1;
        Ok(())
    }

    /// Starts to send rank `root`'s payload to all.
    ///
    /// # Panics
    /// When the window is full.
    #[inline]
    pub fn ibcast(&mut self, payload: Payload<'buf>, root: i32) -> Result<()> {
        let comm = self.comm;
        let request = self.next();
        // SAFETY: as for `irecv`.
        let code = unsafe {
            let (start, count, datatype) = (payload.start(), payload.count(), payload.datatype());
            raw::MPI_Ibcast(start, count, datatype, root, comm, request)
        };
        check("MPI_Ibcast", code)?;
        self.requests.started += 1;
        Ok(())
    }

    /// Starts the reduction of everybody's `send` to everybody's `recv`, of another buffer.
    ///
    /// # Panics
    /// When the window is full, or the payloads differ in length.
    #[inline]
    pub fn iallreduce(&mut self, send: Payload<'buf>, recv: Payload<'buf>, op: Op) -> Result<()> {
        assert_eq!(send.count(), recv.count(), "operand and result are alike");
        let comm = self.comm;
        let request = self.next();
        // SAFETY: as for `irecv`; the payloads are equally long.
        let code = unsafe {
            let (from, into, datatype) = (send.start(), recv.start(), send.datatype());
            raw::MPI_Iallreduce(
                from,
                into,
                send.count(),
                datatype,
                op.handle(),
                comm,
                request,
            )
        };
        check("MPI_Iallreduce", code)?;
        self.requests.started += 1;
        Ok(())
    }

    /// Whether all operations of the window are complete.
    #[inline]
    pub fn test_all(&mut self) -> Result<bool> {
        let requests = &mut *self.requests;
        let mut done = 0;
        // SAFETY: as for `wait_all`; `done` outlives the call.
        let code = unsafe {
            let (handles, statuses) = (&mut requests.handles, &mut requests.statuses);
            raw::MPI_Testall(
                requests.started as c_int,
                handles.as_mut_ptr(),
                &mut done,
                statuses.as_mut_ptr(),
            )
        };
        check("MPI_Testall", code)?;
        if done != 0 {
            requests.started = 0;
        }
        Ok(done != 0)
    }

    /// Waits until all operations of the window are complete.
    #[inline]
    pub fn wait_all(&mut self) -> Result<()> {
        let requests = &mut *self.requests;
        // SAFETY: both arrays hold at least `started` elements, and the handles came from the calls
        // above.
        let code = unsafe {
            let (handles, statuses) = (&mut requests.handles, &mut requests.statuses);
            raw::MPI_Waitall(
                requests.started as c_int,
                handles.as_mut_ptr(),
                statuses.as_mut_ptr(),
            )
        };
        check("MPI_Waitall", code)?;
        requests.started = 0;
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> &mut raw::Request {
        &mut self.requests.handles[self.requests.started]
    }
}

/// Ends the process when a scope is left by a panic: MPI may still write to the buffers that
/// unwinding would free.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        process::abort();
    }
}
