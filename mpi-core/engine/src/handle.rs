//! Handles: 32 bits that name an MPI object.
//!
//! Layout of a handle that is not predefined: bit 31 zero, 4 bits kind (never 0), 5 bits
//! generation, 22 bits index. Such a value is at least 2^27. Predefined objects and the null
//! handles are compile-time constants below 4096, with the values of the MPI 5.0 standard ABI (MPI
//! 5.0, appendix A); other ABIs translate.

/// Index bits of a handle.
pub(crate) const INDEX_BITS: u32 = 22;
/// Generation bits of a handle.
pub(crate) const GENERATION_BITS: u32 = 5;

/// What a handle names.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// Communicator
    Comm = 1,
    /// Group
    Group = 2,
    /// Datatype
    Datatype = 3,
    /// Reduction operation
    Op = 4,
    /// Request
    Request = 5,
    /// Matched message
    Message = 6,
    /// Info object
    Info = 7,
    /// Error handler
    Errhandler = 8,
    /// Session
    Session = 9,
    /// Window
    Win = 10,
    /// File
    File = 11,
    /// Attribute key
    Keyval = 12,
}

/// Composes a handle.
pub(crate) const fn compose(kind: HandleKind, generation: u32, index: u32) -> u32 {
    (kind as u32) << (INDEX_BITS + GENERATION_BITS)
        | (generation & ((1 << GENERATION_BITS) - 1)) << INDEX_BITS
        | index
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident { $($(#[$cdoc:meta])* $const:ident = $value:expr),* $(,)? })*) => {$(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub u32);
        impl $name {
            $($(#[$cdoc])* pub const $const: $name = $name($value);)*
            /// The kind of object that this handle type names.
            pub const KIND: HandleKind = HandleKind::$name;
        }
    )*};
}

handles! {
    /// A communicator (MPI 5.0, chapter 7).
    Comm {
        /// `MPI_COMM_NULL`
        NULL = 0x100,
        /// `MPI_COMM_WORLD`
        WORLD = 0x101,
        /// `MPI_COMM_SELF`
        SELF = 0x102,
    }
    /// A group (MPI 5.0, section 7.3).
    Group {
        /// `MPI_GROUP_NULL`
        NULL = 0x108,
        /// `MPI_GROUP_EMPTY`
        EMPTY = 0x109,
    }
    /// A datatype (MPI 5.0, chapter 5). The predefined ones are in [`crate::datatype`].
    Datatype {
        /// `MPI_DATATYPE_NULL`
        NULL = 0x200,
    }
    /// A reduction operation (MPI 5.0, section 6.9). The predefined ones are in [`crate::op`].
    Op {
        /// `MPI_OP_NULL`
        NULL = 0x020,
    }
    /// A request (MPI 5.0, section 3.7).
    Request {
        /// `MPI_REQUEST_NULL`
        NULL = 0x180,
    }
    /// A matched message (MPI 5.0, section 3.8.2).
    Message {
        /// `MPI_MESSAGE_NULL`
        NULL = 0x128,
        /// `MPI_MESSAGE_NO_PROC`
        NO_PROC = 0x129,
    }
    /// An info object (MPI 5.0, chapter 10).
    Info {
        /// `MPI_INFO_NULL`
        NULL = 0x130,
        /// `MPI_INFO_ENV`
        ENV = 0x131,
    }
    /// An error handler (MPI 5.0, section 9.3).
    Errhandler {
        /// `MPI_ERRHANDLER_NULL`
        NULL = 0x140,
        /// `MPI_ERRORS_ARE_FATAL`
        ARE_FATAL = 0x141,
        /// `MPI_ERRORS_ABORT`
        ABORT = 0x142,
        /// `MPI_ERRORS_RETURN`
        RETURN = 0x143,
    }
    /// A session (MPI 5.0, section 11.3).
    Session {
        /// `MPI_SESSION_NULL`
        NULL = 0x120,
    }
    /// A window (MPI 5.0, chapter 12).
    Win {
        /// `MPI_WIN_NULL`
        NULL = 0x110,
    }
    /// A file (MPI 5.0, chapter 14).
    File {
        /// `MPI_FILE_NULL`
        NULL = 0x118,
    }
}
