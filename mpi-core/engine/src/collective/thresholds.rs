//! Where one algorithm gives way to another.

pub use super::algorithms::MessageThresholds;
pub use super::boards::{BoardLengths, BoardThresholds};

/// Where one algorithm gives way to another, in bytes. The same on all ranks of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Among algorithms by messages.
    pub messages: MessageThresholds,
    /// Between boards and messages, and among ways over a board.
    pub board: BoardThresholds,
    /// Calls of up to this many bytes go within nodes and between them where a communicator spans
    /// several.
    pub by_nodes: usize,
}

/// A threshold that has a name, and where it is.
pub(crate) type Named = (&'static str, fn(&mut Thresholds) -> &mut usize);

impl Thresholds {
    /// What holds unless somebody chooses otherwise.
    pub const DEFAULT: Thresholds = Thresholds {
        messages: MessageThresholds::DEFAULT,
        board: BoardThresholds::DEFAULT,
        by_nodes: 1 << 30,
    };

    /// All of them, for who chooses otherwise than we do.
    pub(crate) fn named() -> impl Iterator<Item = Named> {
        let by_nodes: Named = ("by_nodes", |t| &mut t.by_nodes);
        let messages = MessageThresholds::NAMED.iter().copied();
        let board = BoardThresholds::NAMED.iter().copied();
        messages.chain([by_nodes]).chain(board)
    }
}
