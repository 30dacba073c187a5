//! Boards: memory of the segment in which the members of a group work together.
//!
//! Every member has a *line* and a *payload* in each of [`Board::SLOTS`] slots. Turn `t` of the
//! group uses slot `t % SLOTS`: a member writes its payload (a few bytes have room in the line
//! itself), *announces* how many bytes the whole call has, *posts* a step in its line, reads what
//! others have posted, and *finishes* the turn, which says that it reads nobody's slot any more. A
//! member may write its slot in turn `t` once everybody has finished turn `t - SLOTS`. What is
//! written, and who waits for whom, is the engine's business.
//!
//! Boards are taken from a pool by one member, who tells the others which; the last to leave a
//! board gives it back, and its memory. Whoever takes a board clears its lines, where anything may
//! have lain before. The group of all ranks of the node has the first board of the pool for good. A
//! board is mapped by its members only, while it is theirs. Whether there is address space for it,
//! each member finds out before they agree on it: see [`Room`].
//!
//! Invariant: a word of a line is written by its member only; what is posted and finished grows.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::Arc;

use ferrite_ring::fence::light;

use crate::attach::{Attachment, Node};
use crate::layout::Layout;
use crate::sys::{self, Mapping};

/// Bytes that a line has room for beside its words.
pub const IN_LINE: usize = 40;

/// Bytes of a unit of the pool.
pub(crate) const UNIT: usize = 64 << 10;
/// The most units that a pool has: 2 GiB of a file, used only where touched.
pub(crate) const UNITS: usize = 32768;
/// For how many boards a rank keeps room: so many communicators may be made before it hears of the
/// first.
const KEPT: usize = 8;
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
    room: Option<Room>,
}

/// Address space for a board, and what is needed to map it there: a member that has room can open
/// the board that is taken.
#[derive(Debug)]
pub struct Room {
    node: Arc<Node>,
    memory: Mapping,
    plan: Plan,
    /// What is mapped there.
    taken: Option<BoardId>,
    /// Whether the board goes back to the pool with the room, as nobody else has it.
    is_alone: bool,
}

// SAFETY: the memory is the segment's, which `node` keeps. Lines are atomics; payloads are reached
// by those who promise to take turns.
unsafe impl Send for Board {}
// SAFETY: as for `Send`.
unsafe impl Sync for Board {}

impl Attachment {
    /// The board of all ranks of this node, in ascending order; `None` where the segment has no
    /// boards.
    pub fn board_of_all(&self) -> Option<Board> {
        let node = &self.node;
        let ranks = node.local.len();
        Some(Board {
            base: node.segment.board_of_all()?,
            plan: Plan::of(ranks),
            own: node.own,
            members: (0..ranks as u32).collect(),
            room: None,
            node: node.clone(),
        })
    }

    /// Takes a board for a group of ranks of this node (of the job, in the group's order) out of
    /// the pool, if each of them has kept room for one: then each can
    /// [`open`](Attachment::open_kept) it without being asked. `None`: they have to be asked for
    /// [`Room`]; `Some(None)`: there is no board for them. To be called by one of them.
    pub fn take_kept(&self, ranks: impl Iterator<Item = u32>) -> Option<Option<BoardId>> {
        let node = &self.node;
        let members: Option<Vec<usize>> = ranks.map(|rank| node.index(rank)).collect();
        let members = members?;
        let rooms = |member: usize| &node.segment.card(member).rooms;
        let give_back = |members: &[usize]| {
            for &member in members {
                // Release pairs with the acquire below.
                rooms(member).fetch_add(1, Ordering::Release);
            }
        };
        // Acquire: a room that is counted has been kept. It is found by its member itself.
        let promised = |&member: &usize| {
            let one = |kept: u32| kept.checked_sub(1);
            let taken = rooms(member).fetch_update(Ordering::AcqRel, Ordering::Acquire, one);
            taken.is_ok()
        };
        if let Some(lacks) = members.iter().position(|member| !promised(member)) {
            give_back(&members[..lacks]);
            return None;
        }
        let id = self.room_for_board(members.len()).and_then(|mut room| {
            let id = room.take()?;
            // It belongs to the members now.
            room.is_alone = false;
            Some(id)
        });
        if id.is_none() {
            give_back(&members);
        }
        Some(id)
    }

    /// This process's view of a board that a member has taken with
    /// [`take_kept`](Attachment::take_kept), otherwise as [`Room::open`].
    pub fn open_kept(&self, id: BoardId, ranks: impl Iterator<Item = u32>) -> Option<Board> {
        let node = &self.node;
        let ranks: Vec<u32> = ranks.collect();
        let memory = node.spare.lock().ok()?.pop()?;
        let room = Room {
            node: node.clone(),
            memory,
            plan: Plan::of(ranks.len()),
            taken: None,
            is_alone: false,
        };
        let board = room.open(id, ranks.into_iter());
        node.keep_rooms();
        board
    }

    /// Room in this process's address space for the board of a group of `members` ranks of this
    /// node. `None`: there is none, or there are no boards.
    pub fn room_for_board(&self, members: usize) -> Option<Room> {
        let node = &self.node;
        let plan = Plan::of(members);
        if plan.bytes() > node.segment.layout().units * UNIT {
            return None;
        }
        // Twice as much as needed: replacing memory that is locked (mlockall) counts as if old and
        // new were there together.
        let memory = Mapping::reserve(2 * plan.bytes()).ok()?;
        Some(Room {
            node: node.clone(),
            memory,
            plan,
            taken: None,
            is_alone: false,
        })
    }
}

impl Node {
    /// Keeps room for boards that this rank is told to open. Not where address space is limited:
    /// there the program needs it more.
    pub(crate) fn keep_rooms(&self) {
        let layout = self.segment.layout();
        if layout.units == 0 || self.local.len() < 2 || sys::is_address_space_limited() {
            return;
        }
        let bytes = (2..=self.local.len()).map(|members| Plan::of(members).bytes());
        let most = bytes.max().unwrap_or_default();
        let Ok(mut spare) = self.spare.lock() else {
            return;
        };
        while spare.len() < KEPT
            && let Ok(room) = Mapping::reserve(most)
        {
            spare.push(room);
            let rooms = &self.segment.card(self.own).rooms;
            // Release pairs with the acquire in `take_kept`.
            rooms.fetch_add(1, Ordering::Release);
        }
    }
}

impl Room {
    /// Takes a board for the group out of the pool. `None`: there is none, or it cannot be mapped.
    /// Each member, this one included, has to [`open`](Room::open) it once it has been told of it,
    /// and to drop what it got. If all drop their room instead, the board is free again.
    pub fn take(&mut self) -> Option<BoardId> {
        let segment = &self.node.segment;
        let id = segment.pool().take(segment.layout(), self.plan)?;
        self.is_alone = true;
        self.show(id)?;
        // SAFETY: the lines are the beginning of the board, which nobody but this process knows of
        // yet; all zeros are a `Head` and `Line`s.
        unsafe {
            let lines = self.plan.line(self.plan.members, 0);
            self.memory.start().as_ptr().write_bytes(0, lines);
        }
        Some(id)
    }

    fn show(&mut self, id: BoardId) -> Option<()> {
        self.taken = Some(id);
        let segment = &self.node.segment;
        let at = segment.layout().pool_memory() + id.0 as usize * UNIT;
        let bytes = self.plan.bytes();
        self.memory.show(0, segment.file(), at, bytes).ok()
    }

    /// This process's view of a board that a member has taken for `ranks` (of the job, in the
    /// group's order, this one among them). `None` unless all are on this node and the board lies
    /// within the pool, or if the system does not map it although there is room.
    pub fn open(mut self, id: BoardId, ranks: impl Iterator<Item = u32>) -> Option<Board> {
        let node = self.node.clone();
        let members: Option<Box<[u32]>> = ranks
            .map(|rank| node.index(rank).map(|index| index as u32))
            .collect();
        let members = members.filter(|members| members.len() == self.plan.members)?;
        let end = id.0 as usize * UNIT + self.plan.bytes();
        if end > node.segment.layout().units * UNIT {
            return None;
        }
        let own = members
            .iter()
            .position(|&index| index as usize == node.own)?;
        self.memory.cut(self.plan.bytes());
        if self.taken != Some(id) {
            self.show(id)?;
        }
        self.is_alone = false;
        Some(Board {
            base: self.memory.start(),
            plan: self.plan,
            own,
            members,
            room: Some(self),
            node,
        })
    }

    fn give_back(&self, id: BoardId) {
        let segment = &self.node.segment;
        let at = segment.layout().pool_memory() + id.0 as usize * UNIT;
        segment.file().give_back(at, self.plan.bytes());
        segment.pool().give(id, self.plan.bytes() / UNIT);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(id) = self.taken.filter(|_| self.is_alone) {
            self.give_back(id);
        }
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
        // SAFETY: `Plan` keeps lines within the board and aligned; a line's words are atomics, its
        // other bytes are reached by pointer only.
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

    /// Says how many bytes the call has that this member fills its slot for. Before
    /// [`Board::post`], which makes it visible.
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
        // Relaxed: the acquire in `has_posted` came before; the next announcement needs the slot,
        // which this member has not freed.
        self.line(member, turn).announced.load(Ordering::Relaxed)
    }

    /// Tells the others that this member has come to a step of a turn. Steps of a turn are posted
    /// in ascending order.
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

    /// Whether all members have finished the turn that used the slot of `turn` before, so that it
    /// may be filled.
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
        // Pairs with the heavy fence in `ShmPort::prepare_sleep`: either the sleeper sees the
        // store, or this process sees it asleep. A process without asymmetric fences needs a real
        // one; one that sleeps without them sleeps for a millisecond at most.
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
        let Some(room) = &self.room else {
            return;
        };
        // SAFETY: the head of the board.
        let head: &Head = unsafe { self.base.cast().as_ref() };
        // Acquire and release: the last to leave gives the board back after everybody's last
        // access.
        let left = head.left.fetch_add(1, Ordering::AcqRel) + 1;
        if left as usize == self.members.len()
            && let Some(id) = room.taken
        {
            room.give_back(id);
        }
    }
}

impl Pool {
    /// The first free run of units that a board of this plan has room in. The first board is that
    /// of all ranks.
    fn take(&self, layout: Layout, plan: Plan) -> Option<BoardId> {
        let units = plan.bytes() / UNIT;
        self.locked(|| {
            let mut run = 0;
            for unit in layout.board_of_all_bytes() / UNIT..layout.units {
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

    /// Boards are taken and given back rarely, so a lock that yields will do. A process that dies
    /// within takes the job with it.
    fn locked<T>(&self, body: impl FnOnce() -> T) -> T {
        // Acquire pairs with the release below: the words of the map are visible, and whoever gave
        // a board back has left it.
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
mod tests;
