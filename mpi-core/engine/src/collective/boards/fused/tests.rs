//! Threads on real boards: each call is played as straight code by some members and as operations
//! by the others, whichever a member draws, and every result is compared with what MPI says.

use core::cell::Cell;
use std::sync::Barrier;
use std::thread;

use ferrite_fabric::{Job, RawBuf, RawBufMut, Secret};
use ferrite_shm::{Attachment, Board, ShmConfig, attach};
use rustix::fs::{MemfdFlags, memfd_create};

use super::*;
use crate::collective::proofs::simulate::Random;
use crate::collective::{Carrier, Operands, Running, Schedule, Thresholds, select};
use crate::handle::{Datatype, Op};
use crate::{Error, ErrorClass};

/// The ranks of a node, all in this process.
fn attachments(size: u32) -> Vec<Attachment> {
    let segment = memfd_create(
        "ferrite-test",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )
    .expect("a memory file");
    let attached = |rank| {
        let job = Job {
            id: [7; 16],
            secret: Secret([0; 32]),
            rank,
            size,
            local: (0..size).collect(),
            neighbours: size - 1,
            nodes: Vec::new(),
            cpus: 2,
            appnum: 0,
            part: 0,
            launcher: 0,
            segment: Some(segment.try_clone().expect("a second descriptor")),
        };
        attach(&job, &ShmConfig::default()).expect("attached")
    };
    (0..size).map(attached).collect()
}

/// Waits by letting the others run.
struct Yield;

impl Watch for Yield {
    fn watch(&self, mut done: impl FnMut() -> bool) -> Result<()> {
        while !done() {
            thread::yield_now();
        }
        Ok(())
    }
}

/// A board and nothing else: these calls send no messages.
struct OnlyBoard<'a>(&'a Board);

impl Carrier for OnlyBoard<'_> {
    type Request = ();

    unsafe fn send(&mut self, _: i32, _: i32, _: RawBuf) -> Result<Option<()>> {
        unreachable!("a message")
    }
    unsafe fn recv(&mut self, _: i32, _: i32, _: RawBufMut) -> Result<Option<()>> {
        unreachable!("a message")
    }
    fn poll(&mut self, (): &mut ()) -> Result<bool> {
        unreachable!("a message")
    }
    fn withdraw(&mut self, (): ()) {
        unreachable!("a message")
    }
    fn slot(&self, member: u32, turn: u64, in_line: bool) -> *mut u8 {
        self.0.bytes(member as usize, turn, in_line)
    }
    fn is_free(&self, turn: u64) -> bool {
        self.0.is_free(turn)
    }
    fn announce(&mut self, turn: u64, bytes: u64) {
        self.0.announce(turn, bytes);
    }
    fn announced(&self, member: u32, turn: u64) -> u64 {
        self.0.announced(member as usize, turn)
    }
    fn post(&mut self, turn: u64, step: u8) {
        self.0.post(turn, step);
    }
    fn has_posted(&self, member: u32, turn: u64, step: u8) -> bool {
        self.0.has_posted(member as usize, turn, step)
    }
    fn finish_turn(&mut self, turn: u64) {
        self.0.finish(turn);
    }
}

struct Member<'a> {
    board: &'a Board,
    turn: Cell<u64>,
}

impl Member<'_> {
    /// The call, in one way or the other.
    fn call(
        &self,
        schedule: &Schedule,
        straight: bool,
        buffers: (RawBuf, RawBufMut),
    ) -> Result<()> {
        let reduction = Some(Reduction::new(Op::SUM, Datatype::UINT64_T)?);
        let number = self.turn.replace(self.turn.get() + schedule.turns());
        let (board, shape) = (self.board, schedule.shape());
        if let Some(collective) = schedule.in_one_turn().filter(|_| straight) {
            let turn = Turn {
                board,
                number,
                shape,
                watch: &Yield,
            };
            // SAFETY: the caller's buffers are as long as the shape says, and all members make the
            // same call.
            return unsafe { turn.play(collective, buffers, reduction.as_ref()) };
        }
        let operands = Operands {
            input: buffers.0,
            output: buffers.1,
            scratch: RawBufMut::EMPTY,
            reduction,
            tag: 0,
            turn: number,
        };
        // SAFETY: as above; it is not dropped before it has ended.
        let mut running: Running<()> = unsafe { Running::new(schedule, operands) };
        let mut outcome = Ok(false);
        Yield.watch(|| {
            outcome = running.step(&mut OnlyBoard(board));
            !matches!(outcome, Ok(false))
        })?;
        outcome.map(drop)
    }
}

/// Element `at` of what a rank contributes to a call.
fn element(call: u64, rank: u32, at: usize) -> u64 {
    (call << 40) + (u64::from(rank) << 20) + at as u64
}

/// One random call of all members; this one's part of it.
fn random_call(member: &Member<'_>, rank: u32, size: u32, call: u64, seed: u64) {
    // All members draw the same call.
    let mut random = Random::new(seed ^ call);
    let collective = Collective::ALL[random.below(Collective::ALL.len())];
    let root = random.below(size as usize) as u32;
    let most = match collective.has_blocks() {
        // A block for each fits a slot.
        true => [4, 50, 256][random.below(3)],
        false => [4, 100, 512][random.below(3)],
    };
    let count = match collective {
        Collective::Barrier => 0,
        _ => 1 + random.below(most),
    };
    let rooted = matches!(
        collective,
        Collective::Bcast | Collective::Reduce | Collective::Gather | Collective::Scatter
    );
    let never = [
        Collective::Barrier,
        Collective::Bcast,
        Collective::Alltoall,
        Collective::ReduceScatter,
    ];
    let in_place =
        random.below(2) == 0 && !never.contains(&collective) && (!rooted || rank == root);
    let shape = Shape {
        rank,
        size,
        root,
        count,
        width: 8,
        commutative: true,
        in_place,
        board: Some(member.board.payload_bytes()),
    };
    let straight = Random::new(seed ^ call << 20 ^ u64::from(rank)).below(2) == 0;
    let sent = if collective.has_blocks() {
        count * size as usize
    } else {
        count
    };
    let own: Vec<u64> = (0..sent).map(|at| element(call, rank, at)).collect();
    let gathers = matches!(
        collective,
        Collective::Gather | Collective::Allgather | Collective::Alltoall
    );
    let mut output = vec![
        u64::MAX;
        if gathers {
            count * size as usize
        } else {
            count
        }
    ];
    let place = if gathers { rank as usize * count } else { 0 };
    if in_place && collective != Collective::Scatter
        || collective == Collective::Bcast && rank == root
    {
        output[place..place + count].copy_from_slice(&own);
    }
    let bytes = |words: &[u64]| RawBuf {
        ptr: words.as_ptr().cast(),
        len: size_of_val(words),
    };
    let into = RawBufMut {
        ptr: output.as_mut_ptr().cast(),
        len: size_of_val(&output[..]),
    };
    let input = match in_place && collective != Collective::Scatter {
        true => into.as_buf(),
        false => bytes(&own),
    };
    let schedule = select::flat(collective, shape, &Thresholds::DEFAULT);
    assert!(schedule.turns() > 0, "a call that is not for a board");
    member
        .call(&schedule, straight, (input, into))
        .unwrap_or_else(|error| panic!("{error}, {collective:?}, {shape:?}, seed {seed:#x}"));
    let (everybody, mine) = (0..size, rank as usize * count);
    let expected: Vec<u64> = match collective {
        Collective::Barrier => Vec::new(),
        Collective::Bcast => (0..count).map(|at| element(call, root, at)).collect(),
        Collective::Reduce | Collective::Allreduce | Collective::Scan | Collective::Exscan => {
            let combined = match collective {
                Collective::Scan => 0..rank + 1,
                Collective::Exscan => 0..rank,
                _ => everybody,
            };
            let of = |at| combined.clone().map(move |from| element(call, from, at));
            (0..count).map(|at| of(at).sum()).collect()
        }
        Collective::Gather | Collective::Allgather => everybody
            .flat_map(|from| (0..count).map(move |at| element(call, from, at)))
            .collect(),
        Collective::Scatter => (0..count)
            .map(|at| element(call, root, mine + at))
            .collect(),
        Collective::Alltoall => everybody
            .flat_map(|from| (0..count).map(move |at| element(call, from, mine + at)))
            .collect(),
        Collective::ReduceScatter => (0..count)
            .map(|at| {
                everybody
                    .clone()
                    .map(|from| element(call, from, mine + at))
                    .sum()
            })
            .collect(),
    };
    let is_told = match collective {
        Collective::Reduce | Collective::Gather => rank == root,
        Collective::Scatter => !in_place,
        Collective::Exscan => rank > 0,
        _ => true,
    };
    if is_told {
        assert!(
            output == expected,
            "wrong result, straight {straight}, call {call}, {collective:?}, {shape:?}, seed \
             {seed:#x}"
        );
    }
}

/// Runs `part` for each rank of a node in a thread of its own, on the board of all.
fn on_all(size: u32, part: impl Fn(&Member<'_>, u32) + Sync) {
    thread::scope(|threads| {
        for (rank, attachment) in (0..size).zip(attachments(size)) {
            let part = &part;
            threads.spawn(move || {
                let member = Member {
                    board: &attachment.board_of_all().expect("there are boards"),
                    turn: Cell::new(Board::FIRST_TURN),
                };
                part(&member, rank);
            });
        }
    });
}

#[test]
fn straight_code_and_operations_are_one_protocol() {
    for size in [2, 3, 5, 8] {
        on_all(size, |member, rank| {
            for call in 1..400 {
                random_call(member, rank, size, call, 0x5eed << size);
            }
        });
    }
}

#[test]
fn nobody_leaves_a_barrier_before_all_have_come() {
    use core::sync::atomic::{AtomicU32, Ordering};
    let (size, come) = (4, AtomicU32::new(0));
    let between = Barrier::new(size as usize);
    on_all(size, |member, rank| {
        for round in 1..200 {
            let shape = Shape {
                rank,
                size,
                root: 0,
                count: 0,
                width: 1,
                commutative: true,
                in_place: false,
                board: Some(member.board.payload_bytes()),
            };
            come.fetch_add(1, Ordering::Relaxed);
            let straight = (round + rank).is_multiple_of(2);
            let buffers = (RawBuf::EMPTY, RawBufMut::EMPTY);
            member
                .call(
                    &select::flat(Collective::Barrier, shape, &Thresholds::DEFAULT),
                    straight,
                    buffers,
                )
                .expect("a barrier");
            assert_eq!(come.load(Ordering::Relaxed), size * round);
            between.wait();
        }
    });
}

#[test]
fn members_that_disagree_are_told() {
    for straight in [true, false] {
        on_all(2, |member, rank| {
            let count = 3 + rank as usize;
            let shape = Shape {
                rank,
                size: 2,
                root: 0,
                count,
                width: 8,
                commutative: true,
                in_place: false,
                board: Some(member.board.payload_bytes()),
            };
            let (own, mut all) = (vec![1u64; count], vec![0u64; count]);
            let buffers = (
                RawBuf {
                    ptr: own.as_ptr().cast(),
                    len: 8 * count,
                },
                RawBufMut {
                    ptr: all.as_mut_ptr().cast(),
                    len: 8 * count,
                },
            );
            let schedule = select::flat(Collective::Allreduce, shape, &Thresholds::DEFAULT);
            let told: Error = member
                .call(&schedule, straight, buffers)
                .expect_err("24 bytes are not 32");
            let class = [ErrorClass::TRUNCATE, ErrorClass::COUNT][rank as usize];
            assert_eq!(told.class(), class, "{told}");
            assert!(told.sentence().contains("24") && told.sentence().contains("32"));
        });
    }
}
