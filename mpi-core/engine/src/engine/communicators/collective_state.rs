//! What a communicator has for its collective operations: the number of the next one, the log of
//! calls, a board.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ferrite_shm::Board;

use super::call_log::Calls;
use super::communicator::CommData;
use crate::collective::Nodes;

/// The bit in which the numbers of persistent collective operations differ from those of others,
/// which come around again sooner or later.
const PERSISTENT: i32 = 1 << 30;

/// The state of a communicator's collective operations.
pub(super) struct CollectiveState {
    /// Operations begun, which tells those under way at the same time apart.
    sequence: AtomicI32,
    /// The calls made last.
    calls: Arc<Calls>,
    /// Where the members of this node work together, if they are several and there was room. Set
    /// before the first operation that may use it.
    board: OnceLock<Board>,
    /// Where the members are, if they are on several nodes and some share one. Known from the first
    /// question on.
    nodes: OnceLock<Option<Arc<Nodes>>>,
    /// The next turn of the board.
    turn: AtomicU64,
    /// The last call on the board had a root.
    rooted: AtomicBool,
}

impl CollectiveState {
    pub(super) fn new(calls: Calls) -> CollectiveState {
        CollectiveState {
            sequence: AtomicI32::new(0),
            calls: Arc::new(calls),
            board: OnceLock::new(),
            nodes: OnceLock::new(),
            turn: AtomicU64::new(Board::FIRST_TURN),
            rooted: AtomicBool::new(false),
        }
    }
}

impl CommData {
    /// The collective calls made on it last.
    #[inline]
    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.collectives.calls
    }

    /// A number for the next collective operation, the same on every member.
    pub(crate) fn next_sequence(&self) -> i32 {
        self.collectives.sequence.fetch_add(1, Ordering::Relaxed) & (PERSISTENT - 1)
    }

    /// A number for a persistent collective operation, which keeps it for as long as it lives.
    pub(crate) fn next_persistent(&self) -> i32 {
        self.next_sequence() | PERSISTENT
    }

    /// The board of all members, where there is one.
    #[inline]
    pub(crate) fn board(&self) -> Option<&Board> {
        self.any_board()
            .filter(|board| board.members() == self.size() as usize)
    }

    /// The board of those members that are on this node, where there is one.
    #[inline]
    pub(crate) fn any_board(&self) -> Option<&Board> {
        self.collectives.board.get()
    }

    /// Where the members are; `node_of` is the node of each process of the job. `None` where it
    /// makes no difference.
    pub(crate) fn nodes(&self, node_of: &[u32]) -> Option<&Arc<Nodes>> {
        if node_of.is_empty() {
            return None;
        }
        let found = self.collectives.nodes.get_or_init(|| {
            let processes = (0..self.size()).map(|rank| self.members().process(rank as u32));
            Nodes::new(processes.map(|process| node_of[process as usize])).map(Arc::new)
        });
        found.as_ref()
    }

    /// The board of a communicator whose collective operations use it.
    #[inline]
    pub(in crate::engine) fn expect_board(&self) -> &Board {
        let board = self.any_board();
        board.expect("a schedule takes turns of a board only where the shape has one")
    }

    /// Gives the communicator its board.
    pub(in crate::engine) fn set_board(&self, board: Board) {
        let set = self.collectives.board.set(board);
        debug_assert!(set.is_ok(), "a communicator gets one board");
    }

    /// The first of as many turns of the board for the next collective operation, the same on every
    /// member.
    pub(crate) fn next_turns(&self, turns: u64) -> u64 {
        self.collectives.turn.fetch_add(turns, Ordering::Relaxed)
    }

    /// Notes whether a call on the board has a root. Returns whether the one before had one.
    /// Relaxed: calls come one after the other.
    #[inline]
    pub(crate) fn replace_rooted(&self, rooted: bool) -> bool {
        let before = self.collectives.rooted.load(Ordering::Relaxed);
        self.collectives.rooted.store(rooted, Ordering::Relaxed);
        before
    }
}
