//! What a finished operation tells, and the special ranks and tags (MPI 5.0, section 3.2.5).

/// Receive from any rank: `MPI_ANY_SOURCE`.
pub const ANY_SOURCE: i32 = -1;
/// Receive any tag: `MPI_ANY_TAG`.
pub const ANY_TAG: i32 = -2;
/// The rank that nothing is sent to: `MPI_PROC_NULL`.
pub const PROC_NULL: i32 = -3;
/// The root's own mark in intercommunicator collectives: `MPI_ROOT`.
pub const ROOT: i32 = -4;
/// `MPI_UNDEFINED`
pub const UNDEFINED: i32 = -32766;
/// The largest tag.
pub const TAG_UB: i32 = i32::MAX;

/// Source, tag and length of a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Rank of the sender in the communicator, or [`PROC_NULL`] or [`ANY_SOURCE`].
    pub source: i32,
    /// Tag of the message, or [`ANY_TAG`].
    pub tag: i32,
    /// Error code of this operation (0: none).
    pub error: i32,
    /// Bytes received.
    pub bytes: i64,
    /// Whether the operation was cancelled.
    pub cancelled: bool,
}

impl Status {
    /// The standard's empty status: any source, any tag, nothing received.
    pub const EMPTY: Status = Status {
        source: ANY_SOURCE,
        tag: ANY_TAG,
        error: 0,
        bytes: 0,
        cancelled: false,
    };

    /// The status of a receive from `MPI_PROC_NULL`.
    pub const PROC_NULL: Status = Status {
        source: PROC_NULL,
        ..Status::EMPTY
    };
}
