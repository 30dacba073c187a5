//! Errors: a class, and a sentence that says what was called, with what, and what to do (MPI 5.0, section 9.4).

use core::fmt;

/// What every operation of the library returns.
pub type Result<T> = core::result::Result<T, Error>;

/// Why an operation failed.
#[derive(Debug)]
pub struct Error(Box<Details>);

#[derive(Debug)]
struct Details {
    class: ErrorClass,
    sentence: String,
}

impl Error {
    /// An error of a class with a sentence for the person who reads it.
    #[cold]
    pub fn new(class: ErrorClass, sentence: impl Into<String>) -> Error {
        Error(Box::new(Details { class, sentence: sentence.into() }))
    }

    /// The error's class.
    pub fn class(&self) -> ErrorClass {
        self.0.class
    }

    /// What was wrong, with what, and how to mend it.
    pub fn sentence(&self) -> &str {
        &self.0.sentence
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.class.name(), self.0.sentence)
    }
}

impl std::error::Error for Error {}
#[path = "error_class.rs"] mod error_class; pub use error_class::ErrorClass;
