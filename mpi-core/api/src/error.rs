//! What every call returns when it fails.

use core::fmt;
pub use ferrite_engine::ErrorClass;

use crate::Status;

/// What calls return.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a call failed: a class of the standard (MPI 5.0, section 9.4) and a sentence that says what
/// was called, with what, and what to do. One pointer wide.
pub struct Error(ferrite_engine::Error);

impl Error {
    #[cold]
    pub(crate) fn new(class: ErrorClass, sentence: impl Into<String>) -> Error {
        Error(ferrite_engine::Error::new(class, sentence))
    }

    /// The class, for example [`ErrorClass::TRUNCATE`].
    pub fn class(&self) -> ErrorClass {
        self.0.class()
    }

    /// What was wrong, with what, and how to mend it.
    pub fn sentence(&self) -> &str {
        self.0.sentence()
    }

    /// The status of the operation that failed, if it came so far: a truncated message still has a
    /// source.
    pub fn status(&self) -> Option<Status> {
        self.0.status().map(Status)
    }
}

impl From<ferrite_engine::Error> for Error {
    fn from(error: ferrite_engine::Error) -> Error {
        Error(error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `main` and `unwrap` print this form, so it is the sentence too.
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for Error {}
