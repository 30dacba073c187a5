//! Boards of ranks that are all in this process.

use super::*;
use ferrite_fabric::{Job, Secret};
use rustix::fs::{MemfdFlags, memfd_create};

/// Of a rank that is alone.
fn attachment() -> Attachment {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
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
        segment: Some(memfd_create("ferrite-test", flags).unwrap()),
    };
    crate::attach(&job, &crate::ShmConfig::default()).unwrap()
}

fn opened(attachment: &Attachment) -> (BoardId, Board) {
    let mut room = attachment.room_for_board(1).unwrap();
    let id = room.take().unwrap();
    (id, room.open(id, [0].into_iter()).unwrap())
}

fn assert_clear(board: &Board) {
    for turn in FIRST..FIRST + Board::SLOTS {
        assert!(!board.has_posted(0, turn, 1) && board.is_free(turn));
        assert!(!board.is_free(turn + Board::SLOTS));
    }
}

/// Bytes of memory that the file of the segment occupies.
fn occupied(attachment: &Attachment) -> u64 {
    attachment.node.segment.file().occupied()
}

#[test]
fn a_board_is_clear_where_data_lay_before() {
    let attachment = attachment();
    let mut large = attachment.room_for_board(16).unwrap();
    let id = large.take().unwrap();
    let bytes = large.plan.bytes();
    // SAFETY: the board's memory, which nobody else knows of.
    unsafe { large.memory.start().as_ptr().write_bytes(0xff, bytes) };
    // As where the system does not take memory back.
    large.is_alone = false;
    let pool = attachment.node.segment.pool();
    pool.give(id, bytes / UNIT);
    let mut boards = Vec::new();
    for _ in 0..bytes / Plan::of(1).bytes() {
        let (_, board) = opened(&attachment);
        assert_clear(&board);
        boards.push(board);
    }
}

#[test]
fn boards_are_apart_and_come_back_clear() {
    let attachment = attachment();
    let (first, board) = opened(&attachment);
    let (second, _other) = opened(&attachment);
    assert_ne!(first, second);
    assert!(!board.has_posted(0, FIRST, 1));
    board.post(FIRST, 2);
    assert!(board.has_posted(0, FIRST, 1) && board.has_posted(0, FIRST, 2));
    assert!(!board.has_posted(0, FIRST, 3) && !board.has_posted(0, FIRST + 1, 1));
    drop(board);
    let (again, board) = opened(&attachment);
    assert_eq!(again, first);
    assert_clear(&board);
}

#[test]
fn a_board_that_is_left_occupies_nothing() {
    let attachment = attachment();
    let before = occupied(&attachment);
    for _ in 0..3 {
        let (_, board) = opened(&attachment);
        let bytes = board.payload_bytes();
        // SAFETY: the member's own payload.
        unsafe { board.bytes(0, FIRST, false).write_bytes(1, bytes) };
        assert!(occupied(&attachment) >= before + bytes as u64);
        drop(board);
        assert_eq!(occupied(&attachment), before);
        // One that is taken and not opened goes back as well.
        let mut room = attachment.room_for_board(1).unwrap();
        room.take().unwrap();
        drop(room);
        assert_eq!(occupied(&attachment), before);
    }
}

/// Two ranks of a node, in one process.
fn two() -> [Attachment; 2] {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("ferrite-test", flags).unwrap();
    [0, 1].map(|rank| {
        let job = Job {
            id: [7; 16],
            secret: Secret([0; 32]),
            rank,
            size: 2,
            local: [0, 1].into(),
            neighbours: 1,
            nodes: Vec::new(),
            cpus: 2,
            appnum: 0,
            part: 0,
            launcher: 0,
            segment: Some(file.try_clone().unwrap()),
        };
        crate::attach(&job, &crate::ShmConfig::default()).unwrap()
    })
}

#[test]
fn a_rank_that_lags_behind_is_asked() {
    if sys::is_address_space_limited() {
        return;
    }
    let [first, second] = two();
    let take = || first.take_kept([0, 1].into_iter());
    let mut boards = Vec::new();
    for number in 0..KEPT {
        let id = take().expect("kept").expect("there is a board");
        let board = first.open_kept(id, [0, 1].into_iter());
        boards.push(board.unwrap_or_else(|| panic!("board {number} of {id:?}")));
    }
    // The other rank has not opened one of them, so it has promised all the room that it has kept.
    assert!(take().is_none());
    let id = boards[0].room.as_ref().unwrap().taken.unwrap();
    let other = second.open_kept(id, [0, 1].into_iter()).unwrap();
    boards[0].post(FIRST, 1);
    assert!(other.has_posted(0, FIRST, 1) && !other.has_posted(1, FIRST, 1));
    assert!(take().expect("kept").is_some());
    // Nothing was taken of the first rank in vain.
    let rooms = |rank: usize| first.node.segment.card(rank).rooms.load(Ordering::Relaxed);
    assert_eq!((rooms(0), rooms(1)), (KEPT as u32 - 1, 0));
}

#[test]
fn a_slot_is_free_once_its_last_turn_is_finished() {
    let board = attachment().board_of_all().unwrap();
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
    loop {
        let mut room = attachment.room_for_board(16).unwrap();
        if room.take().is_none() {
            break;
        }
        boards.push(room);
    }
    let units = UNITS - Plan::of(1).bytes() / UNIT;
    assert_eq!(boards.len(), units / (Plan::of(16).bytes() / UNIT));
    drop(boards);
    assert!(attachment.room_for_board(1024).unwrap().take().is_some());
}

#[test]
fn nobody_opens_what_is_not_theirs() {
    let attachment = attachment();
    let opened = |id, ranks: &[u32]| {
        let room = attachment.room_for_board(1).unwrap();
        room.open(BoardId(id), ranks.iter().copied())
    };
    assert!(opened(0, &[7]).is_none());
    assert!(opened(0, &[0, 0]).is_none());
    assert!(opened(u32::MAX, &[0]).is_none());
}
