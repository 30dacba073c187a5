//! Error classes: what kind of thing went wrong (MPI 5.0, section 9.4, and 15.3.10 for the tool
//! interface).
//!
//! Values are those of the standard ABI (MPI 5.0, appendix A). An error code of Ferrite's own
//! equals its class; codes that differ from their class, and classes above
//! [`ErrorClass::LASTCODE`], are the program's, see [`crate::error_code`].

use core::fmt;

/// The kind of an error: one of the constants, or a class that the program added.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorClass(pub i32);

macro_rules! classes {
    ($($name:ident = $value:literal, $mpi:literal, $text:literal;)*) => {
        impl ErrorClass {
            $(#[doc = concat!("`", $mpi, "`: ", $text)] pub const $name: ErrorClass = ErrorClass($value);)*
        }

        /// Every predefined class with its name and one line about it, in ascending order of the
        /// values.
        const CLASSES: &[(ErrorClass, &str, &str)] = &[$((ErrorClass::$name, $mpi, $text),)*];
    };
}

classes! {
    SUCCESS = 0, "MPI_SUCCESS", "no error";
    BUFFER = 1, "MPI_ERR_BUFFER", "invalid buffer address";
    COUNT = 2, "MPI_ERR_COUNT", "invalid count";
    TYPE = 3, "MPI_ERR_TYPE", "invalid datatype";
    TAG = 4, "MPI_ERR_TAG", "invalid tag";
    COMM = 5, "MPI_ERR_COMM", "invalid communicator";
    RANK = 6, "MPI_ERR_RANK", "invalid rank";
    REQUEST = 7, "MPI_ERR_REQUEST", "invalid request";
    ROOT = 8, "MPI_ERR_ROOT", "invalid root";
    GROUP = 9, "MPI_ERR_GROUP", "invalid group";
    OP = 10, "MPI_ERR_OP", "invalid operation";
    TOPOLOGY = 11, "MPI_ERR_TOPOLOGY", "invalid topology";
    DIMS = 12, "MPI_ERR_DIMS", "invalid dimensions";
    ARG = 13, "MPI_ERR_ARG", "invalid argument";
    UNKNOWN = 14, "MPI_ERR_UNKNOWN", "unknown error";
    TRUNCATE = 15, "MPI_ERR_TRUNCATE", "message longer than the receive buffer";
    OTHER = 16, "MPI_ERR_OTHER", "an error without a class of its own";
    INTERN = 17, "MPI_ERR_INTERN", "the MPI library went wrong";
    PENDING = 18, "MPI_ERR_PENDING", "the operation is still pending";
    IN_STATUS = 19, "MPI_ERR_IN_STATUS", "the error code is in the status";
    ACCESS = 20, "MPI_ERR_ACCESS", "permission denied";
    AMODE = 21, "MPI_ERR_AMODE", "invalid file access mode";
    ASSERT = 22, "MPI_ERR_ASSERT", "invalid assertion";
    BAD_FILE = 23, "MPI_ERR_BAD_FILE", "invalid file name";
    BASE = 24, "MPI_ERR_BASE", "invalid base address";
    CONVERSION = 25, "MPI_ERR_CONVERSION", "data conversion failed";
    DISP = 26, "MPI_ERR_DISP", "invalid displacement";
    DUP_DATAREP = 27, "MPI_ERR_DUP_DATAREP", "the data representation is already defined";
    FILE_EXISTS = 28, "MPI_ERR_FILE_EXISTS", "the file exists";
    FILE_IN_USE = 29, "MPI_ERR_FILE_IN_USE", "the file is in use";
    FILE = 30, "MPI_ERR_FILE", "invalid file handle";
    INFO_KEY = 31, "MPI_ERR_INFO_KEY", "invalid info key";
    INFO_NOKEY = 32, "MPI_ERR_INFO_NOKEY", "no such info key";
    INFO_VALUE = 33, "MPI_ERR_INFO_VALUE", "invalid info value";
    INFO = 34, "MPI_ERR_INFO", "invalid info object";
    IO = 35, "MPI_ERR_IO", "input or output failed";
    KEYVAL = 36, "MPI_ERR_KEYVAL", "invalid attribute key";
    LOCKTYPE = 37, "MPI_ERR_LOCKTYPE", "invalid lock type";
    NAME = 38, "MPI_ERR_NAME", "the service name is not published";
    NO_MEM = 39, "MPI_ERR_NO_MEM", "out of memory";
    NOT_SAME = 40, "MPI_ERR_NOT_SAME", "an argument differs between processes";
    NO_SPACE = 41, "MPI_ERR_NO_SPACE", "no space left";
    NO_SUCH_FILE = 42, "MPI_ERR_NO_SUCH_FILE", "no such file";
    PORT = 43, "MPI_ERR_PORT", "invalid port name";
    QUOTA = 44, "MPI_ERR_QUOTA", "quota exceeded";
    READ_ONLY = 45, "MPI_ERR_READ_ONLY", "the file or file system is read-only";
    RMA_ATTACH = 46, "MPI_ERR_RMA_ATTACH", "memory cannot be attached to the window";
    RMA_CONFLICT = 47, "MPI_ERR_RMA_CONFLICT", "conflicting accesses to a window";
    RMA_RANGE = 48, "MPI_ERR_RMA_RANGE", "target memory is not part of the window";
    RMA_SHARED = 49, "MPI_ERR_RMA_SHARED", "memory cannot be shared";
    RMA_SYNC = 50, "MPI_ERR_RMA_SYNC", "wrong synchronization of one-sided operations";
    SERVICE = 51, "MPI_ERR_SERVICE", "the service name cannot be published or withdrawn";
    SIZE = 52, "MPI_ERR_SIZE", "invalid size";
    SPAWN = 53, "MPI_ERR_SPAWN", "processes could not be started";
    UNSUPPORTED_DATAREP = 54, "MPI_ERR_UNSUPPORTED_DATAREP", "unsupported data representation";
    UNSUPPORTED_OPERATION = 55, "MPI_ERR_UNSUPPORTED_OPERATION", "unsupported operation";
    WIN = 56, "MPI_ERR_WIN", "invalid window";
    RMA_FLAVOR = 57, "MPI_ERR_RMA_FLAVOR", "the window has the wrong flavor";
    PROC_ABORTED = 58, "MPI_ERR_PROC_ABORTED", "a peer process has aborted";
    VALUE_TOO_LARGE = 59, "MPI_ERR_VALUE_TOO_LARGE", "the value does not fit its type";
    SESSION = 60, "MPI_ERR_SESSION", "invalid session";
    ERRHANDLER = 61, "MPI_ERR_ERRHANDLER", "invalid error handler";
    ABI = 62, "MPI_ERR_ABI", "ABI mismatch";
    T_CANNOT_INIT = 1001, "MPI_T_ERR_CANNOT_INIT", "the tool interface cannot be initialized";
    T_NOT_ACCESSIBLE = 1002, "MPI_T_ERR_NOT_ACCESSIBLE", "the requested functionality is not \
        accessible";
    T_NOT_INITIALIZED = 1003, "MPI_T_ERR_NOT_INITIALIZED", "the tool interface is not initialized";
    T_NOT_SUPPORTED = 1004, "MPI_T_ERR_NOT_SUPPORTED", "the requested functionality is not \
        supported";
    T_MEMORY = 1005, "MPI_T_ERR_MEMORY", "out of memory";
    T_INVALID = 1006, "MPI_T_ERR_INVALID", "invalid use of the tool interface or bad parameter \
        values";
    T_INVALID_INDEX = 1007, "MPI_T_ERR_INVALID_INDEX", "invalid index of a variable, category, \
        event or source";
    T_INVALID_ITEM = 1008, "MPI_T_ERR_INVALID_ITEM", "invalid item index";
    T_INVALID_SESSION = 1009, "MPI_T_ERR_INVALID_SESSION", "invalid session of performance \
        variables";
    T_INVALID_HANDLE = 1010, "MPI_T_ERR_INVALID_HANDLE", "invalid handle of the tool interface";
    T_INVALID_NAME = 1011, "MPI_T_ERR_INVALID_NAME", "invalid name of a variable, category or \
        event";
    T_OUT_OF_HANDLES = 1012, "MPI_T_ERR_OUT_OF_HANDLES", "no more handles";
    T_OUT_OF_SESSIONS = 1013, "MPI_T_ERR_OUT_OF_SESSIONS", "no more sessions";
    T_CVAR_SET_NOT_NOW = 1014, "MPI_T_ERR_CVAR_SET_NOT_NOW", "the control variable cannot be set \
        now";
    T_CVAR_SET_NEVER = 1015, "MPI_T_ERR_CVAR_SET_NEVER", "the control variable cannot be set until \
        the program ends";
    T_PVAR_NO_WRITE = 1016, "MPI_T_ERR_PVAR_NO_WRITE", "the performance variable cannot be written \
        or reset";
    T_PVAR_NO_STARTSTOP = 1017, "MPI_T_ERR_PVAR_NO_STARTSTOP", "the performance variable cannot be \
        started or stopped";
    T_PVAR_NO_ATOMIC = 1018, "MPI_T_ERR_PVAR_NO_ATOMIC", "the performance variable cannot be read \
        and reset atomically";
    LASTCODE = 0x3fff, "MPI_ERR_LASTCODE", "the last predefined error code";
}

impl ErrorClass {
    fn entry(self) -> Option<&'static (ErrorClass, &'static str, &'static str)> {
        CLASSES
            .binary_search_by_key(&self.0, |entry| entry.0.0)
            .ok()
            .map(|at| &CLASSES[at])
    }

    /// Whether this is a class of the standard.
    pub fn is_predefined(self) -> bool {
        self.entry().is_some()
    }

    /// The constant's name in C, for example `MPI_ERR_RANK`.
    pub fn name(self) -> &'static str {
        self.entry()
            .map_or("user-defined error class", |entry| entry.1)
    }

    /// One line that says what the class means.
    pub fn text(self) -> &'static str {
        self.entry()
            .map_or("an error that the program defined", |entry| entry.2)
    }

    /// All predefined classes in ascending order of their values.
    pub fn predefined() -> impl Iterator<Item = ErrorClass> {
        CLASSES.iter().map(|entry| entry.0)
    }
}

impl fmt::Debug for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => f.write_str(entry.1),
            None => write!(f, "ErrorClass({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_stand_in_ascending_order_without_gaps_below_1000() {
        assert!(CLASSES.windows(2).all(|pair| pair[0].0.0 < pair[1].0.0));
        for value in 0..=62 {
            assert_eq!(CLASSES[value as usize].0, ErrorClass(value));
        }
        assert_eq!(CLASSES.len(), 63 + 18 + 1);
    }

    #[test]
    fn names_and_texts() {
        assert_eq!(ErrorClass::RANK.name(), "MPI_ERR_RANK");
        assert_eq!(ErrorClass(6).text(), "invalid rank");
        assert_eq!(format!("{:?}", ErrorClass::T_MEMORY), "MPI_T_ERR_MEMORY");
        assert!(!ErrorClass(0x4000).is_predefined());
        assert!(!ErrorClass(-1).is_predefined());
        assert_eq!(ErrorClass(63).name(), "user-defined error class");
    }
}
