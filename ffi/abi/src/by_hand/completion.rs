//! Starting and completing arrays of requests (chapter 3).

use ferrite_engine::{Any, Engine, Error, ErrorClass, Request, RequestArray, Result, Status};

use super::{array, null, read, set};
use crate::convert::{UNDEFINED, narrow, put_status, widen};
use crate::types::{MPI_Request, MPI_Status, c_int};

/// The program's array of requests.
struct Requests {
    first: *mut MPI_Request,
    length: usize,
}

impl Requests {
    /// # Safety
    /// `first` points to `length` handles that may be read and written while this lives, or
    /// `length` is not positive.
    unsafe fn new(first: *mut MPI_Request, length: c_int) -> Result<Requests> {
        match usize::try_from(length) {
            Ok(length) if length > 0 && first.is_null() => Err(null("array_of_requests")),
            Ok(length) => Ok(Requests { first, length }),
            Err(_) => Err(Error::new(
                ErrorClass::ARG,
                format!("the number of requests {length} is negative"),
            )),
        }
    }
}

impl RequestArray for Requests {
    #[inline]
    fn len(&self) -> usize {
        self.length
    }
    #[inline]
    fn get(&self, at: usize) -> Request {
        debug_assert!(at < self.length);
        // SAFETY: within the array, by the promise to `new`.
        Request(narrow(unsafe { self.first.add(at).read() }))
    }
    #[inline]
    fn set(&mut self, at: usize, request: Request) {
        debug_assert!(at < self.length);
        // SAFETY: within the array, by the promise to `new`.
        unsafe { self.first.add(at).write(widen(request.0)) }
    }
}

/// The program's array of statuses. `MPI_ERROR` is set if and only if the call returns
/// `MPI_ERR_IN_STATUS` (MPI 5.0, section 3.2.5), so errors are kept until that is known.
struct Statuses {
    first: *mut MPI_Status,
    stored: usize,
    failed: Vec<(usize, c_int)>,
}

impl Statuses {
    fn new(first: *mut MPI_Status) -> Statuses {
        Statuses {
            first,
            stored: 0,
            failed: Vec::new(),
        }
    }

    /// # Safety
    /// The array is `MPI_STATUSES_IGNORE` or has a place `at`.
    #[inline]
    unsafe fn put(&mut self, at: usize, status: &Status) {
        if self.first.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { put_status(self.first.add(at), status) };
        self.stored = self.stored.max(at + 1);
        if status.error != 0 {
            self.failed.push((at, status.error));
        }
    }

    /// Sets the errors if `result` says that they are in the statuses.
    fn conclude<T>(&self, result: &Result<T>) {
        let in_status = matches!(result, Err(error) if error.class() == ErrorClass::IN_STATUS);
        if !in_status || self.first.is_null() {
            return;
        }
        for at in 0..self.stored {
            let failed = self.failed.iter().find(|failed| failed.0 == at);
            // SAFETY: `put` has written the status at this place.
            unsafe { (*self.first.add(at)).set_error(failed.map_or(0, |failed| failed.1)) };
        }
    }
}

fn place(at: usize) -> c_int {
    at as c_int
}

pub(crate) unsafe fn start(engine: &Engine, request: *mut MPI_Request) -> Result<()> {
    // SAFETY: the program's pointer; the buffers of the request are as its initialization promised.
    unsafe { engine.start(Request(narrow(read(request, "request")?))) }
}

pub(crate) unsafe fn startall(
    engine: &Engine,
    count: c_int,
    first: *mut MPI_Request,
) -> Result<()> {
    // SAFETY: the program's array; the buffers of each request are as its initialization promised.
    unsafe {
        let requests = Requests::new(first, count)?;
        (0..requests.len()).try_for_each(|at| engine.start(requests.get(at)))
    }
}

pub(crate) unsafe fn cancel(engine: &Engine, request: *mut MPI_Request) -> Result<()> {
    // SAFETY: the program's pointer.
    engine.cancel(Request(narrow(unsafe { read(request, "request")? })))
}

pub(crate) unsafe fn waitall(
    engine: &Engine,
    count: c_int,
    first: *mut MPI_Request,
    statuses: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's array.
    let mut requests = unsafe { Requests::new(first, count)? };
    let mut statuses = Statuses::new(statuses);
    let result = engine.waitall(&mut requests, |at, status| {
        // SAFETY: the program's array has a place for each request.
        unsafe { statuses.put(at, &status) }
    });
    statuses.conclude(&result);
    result
}

pub(crate) unsafe fn testall(
    engine: &Engine,
    count: c_int,
    first: *mut MPI_Request,
    flag: *mut c_int,
    statuses: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's array.
    let mut requests = unsafe { Requests::new(first, count)? };
    let mut statuses = Statuses::new(statuses);
    let result = engine.testall(&mut requests, |at, status| {
        // SAFETY: the program's array has a place for each request.
        unsafe { statuses.put(at, &status) }
    });
    statuses.conclude(&result);
    // Requests that failed are complete, too.
    let done = !matches!(result, Ok(false));
    // SAFETY: the program's pointer.
    unsafe { set(flag, c_int::from(done), "flag")? };
    result.map(drop)
}

pub(crate) unsafe fn waitany(
    engine: &Engine,
    count: c_int,
    first: *mut MPI_Request,
    index: *mut c_int,
    status: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's array.
    let mut requests = unsafe { Requests::new(first, count)? };
    let found = engine.waitany(&mut requests)?;
    // SAFETY: the program's pointers.
    unsafe { put_any(found, index, None, status) }
}

pub(crate) unsafe fn testany(
    engine: &Engine,
    count: c_int,
    first: *mut MPI_Request,
    index: *mut c_int,
    flag: *mut c_int,
    status: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's array.
    let mut requests = unsafe { Requests::new(first, count)? };
    let found = engine.testany(&mut requests)?;
    // SAFETY: the program's pointers.
    unsafe { put_any(found, index, Some(flag), status) }
}

/// # Safety
/// The pointers are null or point to what may be written.
unsafe fn put_any(
    found: Any,
    index: *mut c_int,
    flag: Option<*mut c_int>,
    status: *mut MPI_Status,
) -> Result<()> {
    let (at, done) = match found {
        Any::Pending => (UNDEFINED, None),
        Any::Inactive => (UNDEFINED, Some(Ok(Status::EMPTY))),
        Any::Done(at, status) => (place(at), Some(status)),
    };
    // SAFETY: the caller's promise.
    unsafe {
        set(index, at, "index")?;
        if let Some(flag) = flag {
            set(flag, c_int::from(done.is_some()), "flag")?;
        }
        if let Some(done) = done {
            // An operation that failed is done too: the program learns which it was.
            put_status(status, &done?);
        }
    }
    Ok(())
}

/// What `MPI_Waitsome` and its siblings share: `complete` tells number, place and status of each
/// that is done.
///
/// # Safety
/// The pointers are null or point to what may be written: one count, and as many indices and
/// statuses as requests.
unsafe fn some(
    requests: usize,
    count: *mut c_int,
    indices: *mut c_int,
    statuses: *mut MPI_Status,
    complete: impl FnOnce(&mut dyn FnMut(usize, usize, Status)) -> Result<Option<usize>>,
) -> Result<()> {
    if indices.is_null() && requests > 0 {
        return Err(null("array_of_indices"));
    }
    let mut statuses = Statuses::new(statuses);
    let mut told = 0;
    let result = complete(&mut |number, at, status| {
        // SAFETY: `number` is less than the number of requests, and by the caller's promise there
        // is a place for each.
        unsafe {
            indices.add(number).write(place(at));
            statuses.put(number, &status);
        }
        told = number + 1;
    });
    statuses.conclude(&result);
    let number = match result {
        Ok(None) => UNDEFINED,
        _ => place(told),
    };
    // SAFETY: the caller's promise.
    unsafe { set(count, number, "outcount")? };
    result.map(drop)
}

pub(crate) unsafe fn waitsome(
    engine: &Engine,
    incount: c_int,
    first: *mut MPI_Request,
    outcount: *mut c_int,
    indices: *mut c_int,
    statuses: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's arrays.
    unsafe {
        let mut requests = Requests::new(first, incount)?;
        some(requests.len(), outcount, indices, statuses, |each| {
            engine.waitsome(&mut requests, each)
        })
    }
}

pub(crate) unsafe fn testsome(
    engine: &Engine,
    incount: c_int,
    first: *mut MPI_Request,
    outcount: *mut c_int,
    indices: *mut c_int,
    statuses: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's arrays.
    unsafe {
        let mut requests = Requests::new(first, incount)?;
        some(requests.len(), outcount, indices, statuses, |each| {
            engine.testsome(&mut requests, each)
        })
    }
}

pub(crate) unsafe fn request_get_status_all(
    engine: &Engine,
    count: c_int,
    first: *const MPI_Request,
    flag: *mut c_int,
    statuses: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's array, which is only read.
    let requests = unsafe { Requests::new(first.cast_mut(), count)? };
    let done = engine.request_get_status_all(&requests, |at, status| {
        if !statuses.is_null() {
            // SAFETY: the program's array has a place for each request.
            unsafe { put_status(statuses.add(at), &status) };
        }
    })?;
    // SAFETY: the program's pointer.
    unsafe { set(flag, c_int::from(done), "flag") }
}

pub(crate) unsafe fn request_get_status_any(
    engine: &Engine,
    count: c_int,
    first: *const MPI_Request,
    index: *mut c_int,
    flag: *mut c_int,
    status: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's array, which is only read.
    let requests = unsafe { Requests::new(first.cast_mut(), count)? };
    let found = engine.request_get_status_any(&requests)?;
    // SAFETY: the program's pointers.
    unsafe { put_any(found, index, Some(flag), status) }
}

pub(crate) unsafe fn request_get_status_some(
    engine: &Engine,
    incount: c_int,
    first: *const MPI_Request,
    outcount: *mut c_int,
    indices: *mut c_int,
    statuses: *mut MPI_Status,
) -> Result<()> {
    // SAFETY: the program's arrays; that of the requests is only read.
    unsafe {
        let requests = Requests::new(first.cast_mut(), incount)?;
        some(requests.len(), outcount, indices, statuses, |each| {
            engine.request_get_status_some(&requests, |number, at, status| {
                each(number, at, status);
            })
        })
    }
}

pub(crate) unsafe fn pready_list(
    engine: &Engine,
    length: c_int,
    partitions: *const c_int,
    request: MPI_Request,
) -> Result<()> {
    // SAFETY: the program's array.
    let partitions = unsafe { array(partitions, length, "array_of_partitions")? };
    engine.pready_list(partitions, Request(narrow(request)))
}
