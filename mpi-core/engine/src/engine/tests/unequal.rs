//! Blocking collectives with blocks of any length: some that a turn of a board has room for, some
//! that take several, some that are messages.

use super::over::Over;
use super::point_to_point::{BYTE, WORLD, pattern};
use crate::collective::IN_PLACE;
use crate::engine::Engine;
use crate::engine::{Types, Vectors, Waits};
use crate::handle::Comm;
use crate::{ErrorClass, Result};

/// Lengths around those at which the way of a block changes, in a board of up to eight members.
const LENGTHS: [usize; 12] = [
    0, 0, 1, 8, 40, 41, 1000, 32_760, 32_761, 90_000, 262_144, 700_001,
];

/// The length of the block from one rank for another in a round, which all ranks know; in `short`
/// rounds nobody has a long one.
fn length(round: usize, from: usize, to: usize) -> usize {
    let draw = (round * 7919 + from * 104_729 + to * 1_299_709) >> 3;
    let some = match round % 3 {
        0 => &LENGTHS[..7],
        1 => &LENGTHS[..10],
        _ => &LENGTHS[..],
    };
    some[draw % some.len()]
}

fn block(round: usize, from: usize, to: usize) -> Vec<u8> {
    pattern(length(round, from, to), round + 17 * from + 5 * to)
}

/// Blocks one behind the other with a byte between them, in reverse order.
struct Blocks {
    memory: Vec<u8>,
    counts: Vec<i64>,
    displacements: Vec<i64>,
}

impl Blocks {
    fn room(lengths: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator) -> Blocks {
        let lengths: Vec<usize> = lengths.collect();
        let mut displacements = vec![0; lengths.len()];
        let mut end = 0;
        for (at, length) in lengths.iter().enumerate().rev() {
            displacements[at] = end as i64;
            end += length + 1;
        }
        Blocks {
            memory: vec![0xee; end],
            counts: lengths.iter().map(|length| *length as i64).collect(),
            displacements,
        }
    }

    fn of(blocks: &[Vec<u8>]) -> Blocks {
        let mut all = Blocks::room(blocks.iter().map(Vec::len));
        for (at, block) in blocks.iter().enumerate() {
            let begin = all.displacements[at] as usize;
            all.memory[begin..begin + block.len()].copy_from_slice(block);
        }
        all
    }

    fn vectors(&mut self) -> Vectors<'_> {
        Vectors {
            buf: self.memory.as_mut_ptr(),
            counts: &self.counts,
            displacements: &self.displacements,
            types: Types::One(BYTE),
        }
    }
}

/// Where some bytes are. No bytes in Rust are where MPI has its MPI_IN_PLACE.
fn place(bytes: &[u8]) -> *const u8 {
    match bytes {
        [] => std::ptr::null(),
        _ => bytes.as_ptr(),
    }
}

fn place_mut(bytes: &mut [u8]) -> *mut u8 {
    match bytes {
        [] => std::ptr::null_mut(),
        _ => bytes.as_mut_ptr(),
    }
}

fn gather(e: &Engine, comm: Comm, own: &[u8], root: i32, all: &mut Blocks) -> Result<()> {
    let (from, count) = (place(own), own.len() as i64);
    let call = e.plan_gatherv(Waits::Here, from, count, BYTE, all.vectors(), root, comm)?;
    // SAFETY: the memory is as long as was said, and stays until the end.
    unsafe { e.run_to_end(comm, call) }
}

fn rounds(e: &Engine, comm: Comm, rounds: usize) {
    let rank = e.comm_rank(comm).unwrap() as usize;
    let size = e.comm_size(comm).unwrap() as usize;
    for round in 0..rounds {
        let root = round % size;
        let what = format!("round {round} of {size} ranks, rank {rank}");
        let to_root: Vec<Vec<u8>> = (0..size).map(|from| block(round, from, 0)).collect();
        let mut all = Blocks::room(to_root.iter().map(Vec::len));
        gather(e, comm, &to_root[rank], root as i32, &mut all).unwrap();
        if rank == root {
            assert!(all.memory == Blocks::of(&to_root).memory, "gatherv, {what}");
        }

        let mut sent = Blocks::of(&to_root);
        let mut own = vec![0u8; to_root[rank].len()];
        let (into, count) = (place_mut(&mut own), own.len() as i64);
        let (here, sender) = (Waits::Here, root as i32);
        let call = e.plan_scatterv(here, sent.vectors(), into, count, BYTE, sender, comm);
        // SAFETY: the memory is as long as was said, and stays until the end.
        unsafe { e.run_to_end(comm, call.unwrap()) }.unwrap();
        assert!(own == to_root[rank], "scatterv, {what}");

        for in_place in [false, true] {
            let mut all = Blocks::room(to_root.iter().map(Vec::len));
            let from = if in_place {
                let begin = all.displacements[rank] as usize;
                all.memory[begin..begin + own.len()].copy_from_slice(&own);
                IN_PLACE
            } else {
                place(&own)
            };
            let call = e.plan_allgatherv(here, from, count, BYTE, all.vectors(), comm);
            // SAFETY: as above.
            unsafe { e.run_to_end(comm, call.unwrap()) }.unwrap();
            assert!(
                all.memory == Blocks::of(&to_root).memory,
                "allgatherv, {what}"
            );
        }

        let from_all: Vec<Vec<u8>> = (0..size).map(|from| block(round, from, rank)).collect();
        let for_all: Vec<Vec<u8>> = (0..size).map(|to| block(round, rank, to)).collect();
        let (mut sent, mut all) = (
            Blocks::of(&for_all),
            Blocks::room(from_all.iter().map(Vec::len)),
        );
        let call = e.plan_alltoallv(here, Some(sent.vectors()), all.vectors(), comm);
        // SAFETY: as above.
        unsafe { e.run_to_end(comm, call.unwrap()) }.unwrap();
        assert!(
            all.memory == Blocks::of(&from_all).memory,
            "alltoallv, {what}"
        );
    }
}

pub(super) fn blocks_of_any_length_arrive(over: &Over) {
    for size in [1, 2, 3, 5, 12] {
        over.job(size, &[], |e| {
            let mut made = e.comm_dup(WORLD).unwrap();
            rounds(e, WORLD, 12);
            rounds(e, made, 3);
            e.comm_free(&mut made).unwrap();
        });
    }
}

/// A member that means another length is an error where the block is received, and the next call
/// works.
pub(super) fn lengths_that_do_not_agree_are_told(over: &Over) {
    over.job(3, &[], |e| {
        let rank = e.comm_rank(WORLD).unwrap() as usize;
        for (sent, expected, class) in [
            (9, 8, ErrorClass::TRUNCATE),
            (8, 9, ErrorClass::COUNT),
            (0, 300_000, ErrorClass::COUNT),
        ] {
            let own = pattern(if rank == 1 { sent } else { 8 }, rank);
            let mut all = Blocks::room([8, expected, 8].into_iter());
            let done = gather(e, WORLD, &own, 0, &mut all);
            match rank {
                0 => assert_eq!(done.unwrap_err().class(), class),
                _ => done.unwrap(),
            }
            rounds(e, WORLD, 3);
        }
    });
}
