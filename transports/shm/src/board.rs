//! Boards: memory of the segment in which the members of a group work together.
//!
//! Every member has a *line* and a *payload* in each of [`Board::SLOTS`] slots. Turn `t` of the group uses slot `t % SLOTS`: a member
//! writes its payload (a few bytes have room in the line itself), *announces* how many bytes the whole call has, *posts* a step in its line, reads what others have posted, and *finishes*
//! the turn, which says that it reads nobody's slot any more. A member may write its slot in turn `t` once everybody has finished turn
//! `t - SLOTS`. What is written, and who waits for whom, is the engine's business.
//!
//! The group of all ranks of the node has its board at a fixed place. Other boards are taken from a pool by one member, who tells the
//! others which; the last to leave a board gives it back. Whoever takes a board clears its lines, where anything may have lain before.
//!
//! Invariant: a word of a line is written by its member only; what is posted and finished grows.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::Arc;

use ferrite_ring::fence::light;

use crate::attach::{Attachment, Node};

/// Bytes that a line has room for beside its words.
pub const IN_LINE: usize = 40;

/// Bytes of a unit of the pool.
const UNIT: usize = 64 << 10;
/// Units of the pool: 2 GiB of address space, used only where touched.
const UNITS: usize = 32768;
/// Turn 0 is never played: zeroed memory means that it is finished.
const FIRST: u64 = 1;

/// What boards of the pool are taken.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct Pool {
    /// 1 while somebody looks for room.
    lock: AtomicU32,
    taken: [AtomicU64; UNITS / 64],
}

#[repr(C, align(64))]
struct Line {
    /// Turn and step: `turn << 8 | step`.
    posted: AtomicU64,
    /// The last turn of this slot that the member has finished.
    finished: AtomicU64,
    /// Bytes of the call for which the slot was filled last.
    announced: AtomicU64,
    _bytes: [u8; IN_LINE],
}

const _: () = assert!(size_of::<Line>() == 64);

#[repr(C, align(128))]
struct Head {
    /// Members that have left.
    left: AtomicU32,
}

/// Where the parts of a board lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    members: usize,
    payload: usize,
}

impl Plan {
    pub(crate) fn of(members: usize) -> Plan {
        let payload = match members {
            0..=8 => 256 << 10,
            9..=16 => 128 << 10,
            17..=32 => 64 << 10,
            33..=64 => 32 << 10,
            _ => 8 << 10,
        };
        Plan { members, payload }
    }

    fn line(self, member: usize, slot: usize) -> usize {
        size_of::<Head>() + (member * Board::SLOTS as usize + slot) * size_of::<Line>()
    }

    fn payload(self, member: usize, slot: usize) -> usize {
        let lines = self.line(self.members, 0).next_multiple_of(4096);
        lines + (member * Board::SLOTS as usize + slot) * self.payload
    }

    pub(crate) fn bytes(self) -> usize {
        self.payload(self.members, 0).next_multiple_of(UNIT)
    }
}

/// Bytes of the pool's place in the segment.
pub(crate) const POOL_BYTES: usize = UNITS * UNIT;

/// Which board of the pool. Travels between processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardId(pub u32);

/// One member's view of a board.
#[derive(Debug)]
pub struct Board {
    node: Arc<Node>,
    base: NonNull<u8>,
    plan: Plan,
    own: usize,
    /// The local index of each member.
    members: Box<[u32]>,
    /// None for the board of all.
    id: Option<BoardId>,
}

// SAFETY: the memory is the segment's, which `node` keeps. Lines are atomics; payloads are reached by those who promise to take turns.
unsafe impl Send for Board {}
// SAFETY: as for `Send`.
unsafe impl Sync for Board {}

impl Attachment {
    /// The board of all ranks of this node, in ascending order.
    pub fn board_of_all(&self) -> Board {
        let node = &self.node;
        let layout = node.segment.layout();
        Board {
            base: node.segment.place(layout.board_of_all()),
            plan: Plan::of(layout.ranks),
            own: node.own,
            members: (0..layout.ranks as u32).collect(),
            id: None,
            node: node.clone(),
        }
    }

    /// Takes a board for a group of `members` ranks of this node out of the pool. `None`: there is no room. Each member has to
    /// [`open`](Attachment::open_board) it once it has been told of it, and to drop what it got.
    pub fn take_board(&self, members: usize) -> Option<BoardId> {
        let segment = &self.node.segment;
        let plan = Plan::of(members);
        let id = segment.pool().take(plan.bytes() / UNIT)?;
        let base = self.board_memory(id);
        // SAFETY: the lines are the beginning of the board, which nobody but this process knows of yet; all zeros are a `Head` and `Line`s.
        unsafe { base.as_ptr().write_bytes(0, plan.line(members, 0)) };
        Some(id)
    }

    fn board_memory(&self, id: BoardId) -> NonNull<u8> {
        let segment = &self.node.segment;
        segment.place(segment.layout().pool_memory() + id.0 as usize * UNIT)
    }

    /// This process's view of a board that a member has taken for `ranks` (of the job, in the group's order, this one among them).
    /// `None` unless all are on this node and the board lies within the pool.
    pub fn open_board(&self, id: BoardId, ranks: impl Iterator<Item = u32>) -> Option<Board> {
        let node = &self.node;
        let members: Option<Box<[u32]>> = ranks
            .map(|rank| node.index(rank).map(|index| index as u32))
            .collect();
        let members = members?;
        let plan = Plan::of(members.len());
        if id.0 as usize * UNIT + plan.bytes() > POOL_BYTES {
            return None;
        }
        let own = members
            .iter()
            .position(|&index| index as usize == node.own)?;
        Some(Board {
            base: self.board_memory(id),
            plan,
            own,
            members,
            id: Some(id),
            node: node.clone(),
        })
    }
}

impl Board {
    /// Turns that may be under way at the same time.
    pub const SLOTS: u64 = 4;
    /// The number of the first turn.
    pub const FIRST_TURN: u64 = FIRST;

    /// Bytes of each payload.
    pub fn payload_bytes(&self) -> usize {
        self.plan.payload
    }

    /// How many members there are.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    #[inline(always)]
    fn line(&self, member: usize, turn: u64) -> &Line {
        debug_assert!(member < self.members.len());
        let at = self.plan.line(member, (turn % Self::SLOTS) as usize);
        // SAFETY: `Plan` keeps lines within the board and aligned; a line's words are atomics, its other bytes are reached by pointer only.
        unsafe { self.base.add(at).cast().as_ref() }
    }

    /// A member's bytes of a turn: the [`IN_LINE`] of its line, or its payload.
    #[inline(always)]
    pub fn bytes(&self, member: usize, turn: u64, in_line: bool) -> *mut u8 {
        debug_assert!(member < self.members.len());
        let slot = (turn % Self::SLOTS) as usize;
        let at = if in_line {
            self.plan.line(member, slot) + size_of::<Line>() - IN_LINE
        } else {
            self.plan.payload(member, slot)
        };
        // SAFETY: within the board, see `Plan`.
        unsafe { self.base.add(at).as_ptr() }
    }

    /// Says how many bytes the call has that this member fills its slot for. Before [`Board::post`], which makes it visible.
    #[inline(always)]
    pub fn announce(&self, turn: u64, bytes: u64) {
        // Relaxed: the release in `post` follows.
        self.line(self.own, turn)
            .announced
            .store(bytes, Ordering::Relaxed);
    }

    /// What a member has announced that has filled its slot and posted.
    #[inline(always)]
    pub fn announced(&self, member: usize, turn: u64) -> u64 {
        // Relaxed: the acquire in `has_posted` came before; the next announcement needs the slot, which this member has not freed.
        self.line(member, turn).announced.load(Ordering::Relaxed)
    }

    /// Tells the others that this member has come to a step of a turn. Steps of a turn are posted in ascending order.
    #[inline]
    pub fn post(&self, turn: u64, step: u8) {
        let line = self.line(self.own, turn);
        // Pairs with the acquire in `has_posted`: what this member has written is visible then.
        line.posted
            .store(turn << 8 | u64::from(step), Ordering::Release);
        self.wake_sleepers();
    }

    /// Whether a member has come to a step of a turn, which is under way.
    #[inline(always)]
    pub fn has_posted(&self, member: usize, turn: u64, step: u8) -> bool {
        // Pairs with the release in `post`.
        self.line(member, turn).posted.load(Ordering::Acquire) >= turn << 8 | u64::from(step)
    }

    /// Says that this member reads nobody's slot of the turn any more.
    #[inline]
    pub fn finish(&self, turn: u64) {
        let line = self.line(self.own, turn);
        // Pairs with the acquire in `is_free`: reads come before.
        line.finished.store(turn, Ordering::Release);
        self.wake_sleepers();
    }

    /// Whether all members have finished the turn that used the slot of `turn` before, so that it may be filled.
    #[inline]
    pub fn is_free(&self, turn: u64) -> bool {
        (0..self.members.len()).all(|member| {
            // Pairs with the release in `finish`.
            self.line(member, turn).finished.load(Ordering::Acquire) + Self::SLOTS >= turn
        })
    }

    /// Wakes the members that sleep: one of them may wait for what was just stored.
    #[inline]
    fn wake_sleepers(&self) {
        // Pairs with the heavy fence in `ShmPort::prepare_sleep`: either the sleeper sees the store, or this process sees it asleep. A process
        // without asymmetric fences needs a real one; one that sleeps without them sleeps for a millisecond at most.
        if self.node.fenced {
            light();
        } else {
            fence(Ordering::SeqCst);
        }
        for &member in &self.members {
            self.node.segment.bell(member as usize).wake();
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let Some(id) = self.id else {
            return;
        };
        // SAFETY: the head of the board.
        let head: &Head = unsafe { self.base.cast().as_ref() };
        // Acquire and release: the last to leave gives the board back after everybody's last access.
        let left = head.left.fetch_add(1, Ordering::AcqRel) + 1;
        if left as usize == self.members.len() {
            let pool = self.node.segment.pool();
            pool.give(id, self.plan.bytes() / UNIT);
        }
    }
}

impl Pool {
    /// The first free run of `units`.
    fn take(&self, units: usize) -> Option<BoardId> {
        self.locked(|| {
            let mut run = 0;
            for unit in 0..UNITS {
                if self.taken[unit / 64].load(Ordering::Relaxed) & 1 << (unit % 64) != 0 {
                    run = 0;
                    continue;
                }
                run += 1;
                if run == units {
                    let first = unit + 1 - units;
                    for unit in first..=unit {
                        self.taken[unit / 64].fetch_or(1 << (unit % 64), Ordering::Relaxed);
                    }
                    return Some(BoardId(first as u32));
                }
            }
            None
        })
    }

    fn give(&self, id: BoardId, units: usize) {
        self.locked(|| {
            for unit in (id.0 as usize..).take(units) {
                self.taken[unit / 64].fetch_and(!(1 << (unit % 64)), Ordering::Relaxed);
            }
        });
    }

    /// Boards are taken and given back rarely, so a lock that yields will do. A process that dies within takes the job with it.
    fn locked<T>(&self, body: impl FnOnce() -> T) -> T {
        // Acquire pairs with the release below: the words of the map are visible, and whoever gave a board back has left it.
        while self
            .lock
            .compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            std::thread::yield_now();
        }
        let result = body();
        self.lock.store(0, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_fabric::{Job, Secret};

    /// Of a rank that is alone.
    fn attachment() -> Attachment {
        let job = Job {
            id: [7; 16],
            secret: Secret([0; 32]),
            rank: 0,
            size: 1,
            local: [0].into(),
            neighbours: 0,
            nodes: Vec::new(),
            cpus: 2,
            appnum: 0,
            part: 0,
            launcher: 0,
            segment: None,
        };
        crate::attach(&job, &crate::ShmConfig::default()).unwrap()
    }

    #[test]
    fn a_board_is_clear_where_data_lay_before() {
        let attachment = attachment();
        let large = attachment.take_board(16).unwrap();
        let units = Plan::of(16).bytes() / UNIT;
        // SAFETY: the board's memory, which nobody else knows of.
        unsafe {
            let memory = attachment.board_memory(large);
            memory.as_ptr().write_bytes(0xff, units * UNIT);
        }
        attachment.node.segment.pool().give(large, units);
        for _ in 0..units / (Plan::of(1).bytes() / UNIT) {
            let id = attachment.take_board(1).unwrap();
            let board = attachment.open_board(id, [0].into_iter()).unwrap();
            for turn in FIRST..FIRST + Board::SLOTS {
                assert!(!board.has_posted(0, turn, 1) && board.is_free(turn));
                assert!(!board.is_free(turn + Board::SLOTS));
            }
            // The next one is another.
            std::mem::forget(board);
        }
    }

    #[test]
    fn boards_are_apart_and_come_back_clear() {
        let attachment = attachment();
        let first = attachment.take_board(1).unwrap();
        let second = attachment.take_board(1).unwrap();
        assert_ne!(first, second);
        let board = attachment.open_board(first, [0].into_iter()).unwrap();
        assert!(!board.has_posted(0, FIRST, 1));
        board.post(FIRST, 2);
        assert!(board.has_posted(0, FIRST, 1) && board.has_posted(0, FIRST, 2));
        assert!(!board.has_posted(0, FIRST, 3) && !board.has_posted(0, FIRST + 1, 1));
        drop(board);
        let again = attachment.take_board(1).unwrap();
        assert_eq!(again, first);
        let board = attachment.open_board(again, [0].into_iter()).unwrap();
        assert!(!board.has_posted(0, FIRST, 1));
    }

    #[test]
    fn a_slot_is_free_once_its_last_turn_is_finished() {
        let board = attachment().board_of_all();
        for turn in FIRST..=Board::SLOTS {
            assert!(board.is_free(turn), "turn {turn} is the first of its slot");
        }
        let next = FIRST + Board::SLOTS;
        assert!(!board.is_free(next));
        board.finish(FIRST);
        assert!(board.is_free(next) && !board.is_free(next + 1));
    }

    #[test]
    fn the_pool_ends() {
        let attachment = attachment();
        let mut boards = Vec::new();
        while let Some(id) = attachment.take_board(16) {
            boards.push(id);
        }
        assert_eq!(boards.len(), UNITS / (Plan::of(16).bytes() / UNIT));
        for id in boards {
            attachment
                .node
                .segment
                .pool()
                .give(id, Plan::of(16).bytes() / UNIT);
        }
        assert!(attachment.take_board(1024).is_some());
    }

    #[test]
    fn nobody_opens_what_is_not_theirs() {
        let attachment = attachment();
        assert!(attachment.open_board(BoardId(0), [7].into_iter()).is_none());
        assert!(
            attachment
                .open_board(BoardId(u32::MAX), [0].into_iter())
                .is_none()
        );
    }
}
