//! Errors: a class, a code, and a sentence that says what was called, with what, and what to do
//! (MPI 5.0, section 9.4).
//!
//! The engine returns an [`Error`]; whoever runs the error handler calls [`Error::raise`], which
//! keeps the sentence for the thread's next [`crate::error_code::error_string`], because all that a
//! C program gets is the code.

use core::fmt;
use std::cell::RefCell;
use std::sync::Arc;

use crate::engine::CommData;
pub use crate::error_class::ErrorClass;
use crate::status::Status;

/// What every operation of the library returns.
pub type Result<T> = core::result::Result<T, Error>;

/// Why an operation failed. One pointer, so that a `Result<u32>` travels in two registers.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    class: ErrorClass,
    code: i32,
    sentence: String,
    status: Option<Status>,
    comm: Option<Arc<CommData>>,
}

impl Error {
    /// An error of a class with a sentence for the person who reads it.
    #[cold]
    pub fn new(class: ErrorClass, sentence: impl Into<String>) -> Error {
        Error(Box::new(Details {
            class,
            code: class.0,
            sentence: sentence.into(),
            status: None,
            comm: None,
        }))
    }

    /// An error with a code that a callback of the program returned, or that the program passed to
    /// `MPI_Comm_call_errhandler`. Its class is the one that the code belongs to.
    #[cold]
    pub fn with_code(code: i32, sentence: impl Into<String>) -> Error {
        let class = crate::error_code::error_class(code).unwrap_or(ErrorClass::UNKNOWN);
        Error(Box::new(Details {
            class,
            code,
            sentence: sentence.into(),
            status: None,
            comm: None,
        }))
    }

    /// The same error with `context` (the call and its arguments) in front of the sentence.
    #[cold]
    pub fn with_context(mut self, context: impl fmt::Display) -> Error {
        self.0.sentence = format!("{context}: {}", self.0.sentence);
        self
    }

    /// The same error with one more sentence: what was probably meant, and how to mend it.
    #[cold]
    pub fn with_advice(mut self, advice: impl fmt::Display) -> Error {
        self.0.sentence = format!("{}. {advice}", self.0.sentence);
        self
    }

    /// The same error with the status and the communicator of the operation that failed: a
    /// truncated message still has a source.
    #[cold]
    pub(crate) fn with_origin(mut self, status: Status, comm: Arc<CommData>) -> Error {
        self.0.status = Some(status);
        self.in_comm(comm)
    }

    /// The same error with the communicator whose error handler it belongs to, unless that is
    /// known.
    #[cold]
    pub(crate) fn in_comm(mut self, comm: Arc<CommData>) -> Error {
        self.0.comm.get_or_insert(comm);
        self
    }

    /// An error of several operations, of which this is the first.
    #[cold]
    pub(crate) fn first_of_several(self, class: ErrorClass, sentence: String) -> Error {
        let mut error = Error::new(class, sentence);
        (error.0.status, error.0.comm) = (self.0.status, self.0.comm);
        error
    }

    /// The status of the operation that failed, if it came so far.
    pub fn status(&self) -> Option<Status> {
        self.0.status
    }

    /// The communicator of the operation that failed, if it came so far. It may have been freed
    /// since, and has its error handler still.
    pub fn comm(&self) -> Option<&Arc<CommData>> {
        self.0.comm.as_ref()
    }

    /// The error's class.
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// The error code that a C program gets: the class itself unless the program defined the code.
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// What was wrong, with what, and how to mend it.
    pub fn sentence(&self) -> &str {
        &self.0.sentence
    }

    /// Keeps the sentence as this thread's latest and returns the code, for the one place that runs
    /// error handlers.
    #[cold]
    pub fn raise(&self) -> i32 {
        // A thread that is ending has no latest error any more; that is no reason to fail.
        let _ = LATEST.try_with(|latest| {
            *latest.borrow_mut() = Some((self.0.code, self.0.sentence.clone()));
        });
        self.0.code
    }
}

thread_local! {
    /// Code and sentence of the error that was last raised in this thread.
    static LATEST: RefCell<Option<(i32, String)>> = const { RefCell::new(None) };
}

/// The sentence of this thread's latest raised error, if that error has this code.
pub(crate) fn latest_sentence(code: i32) -> Option<String> {
    let read = |latest: &RefCell<Option<(i32, String)>>| {
        let latest = latest.borrow();
        latest
            .as_ref()
            .filter(|latest| latest.0 == code)
            .map(|latest| latest.1.clone())
    };
    LATEST.try_with(read).ok().flatten()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.class.name(), self.0.sentence)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_travels_in_two_registers() {
        assert_eq!(size_of::<Result<u32>>(), 16);
        assert_eq!(size_of::<Result<()>>(), 8);
    }

    #[test]
    fn context_stands_in_front() {
        let error = Error::new(ErrorClass::RANK, "rank 4 is not in 0..4").with_context("MPI_Send");
        assert_eq!(
            error.to_string(),
            "MPI_ERR_RANK: MPI_Send: rank 4 is not in 0..4"
        );
        assert_eq!((error.class(), error.code()), (ErrorClass::RANK, 6));
    }

    #[test]
    fn the_latest_sentence_belongs_to_its_thread_and_code() {
        let error = Error::new(ErrorClass::TAG, "tag -7 is negative");
        assert_eq!(error.raise(), 4);
        assert_eq!(latest_sentence(4).as_deref(), Some("tag -7 is negative"));
        assert_eq!(latest_sentence(5), None);
        std::thread::spawn(|| assert_eq!(latest_sentence(4), None))
            .join()
            .unwrap();
    }
}
