//! A failed call of MPI.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;

use crate::raw;

/// Result of a call of MPI.
pub type Result<T> = std::result::Result<T, Error>;

/// Which call failed, and the library's words for why.
///
/// The default error handler of MPI ends the job before a call can return one of these; it is seen
/// on libraries that are told to return errors.
#[derive(Debug)]
pub struct Error {
    call: &'static str,
    text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: {}", self.call, self.text)
    }
}

impl std::error::Error for Error {}

/// Turns the return code of `call` into a result.
#[inline]
pub(crate) fn check(call: &'static str, code: c_int) -> Result<()> {
    if code == raw::SUCCESS {
        Ok(())
    } else {
        Err(describe(call, code))
    }
}

#[cold]
fn describe(call: &'static str, code: c_int) -> Error {
    let mut text = [0u8; raw::MAX_ERROR_STRING];
    let mut len = 0;
    // SAFETY: the ABI bounds an error string by MAX_ERROR_STRING bytes, terminator included; the
    // call is legal at any time.
    let found =
        unsafe { raw::MPI_Error_string(code, text.as_mut_ptr().cast::<c_char>(), &mut len) };
    let text = match CStr::from_bytes_until_nul(&text) {
        Ok(text) if found == raw::SUCCESS => text.to_string_lossy().into_owned(),
        _ => format!("error {code}"),
    };
    Error { call, text }
}
