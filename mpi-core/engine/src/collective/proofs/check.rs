//! Checks every algorithm for every size up to 64, first by reading the schedules, then by running
//! all ranks in this process. Cases are tried from small to large, so the first failure is close to
//! the smallest one.

use core::ops::Range;
use std::collections::BTreeSet;

use super::case::{Case, Kind};
use super::case_list::cases;
use super::simulate::{Random, simulate};
use crate::collective::algorithms::Algorithm;
use crate::collective::operation::{Action, Buffer, Id, Operation, Place};
use crate::collective::schedule::Schedule;
use crate::collective::select;
use crate::collective::shape::{Collective, Shape};
use crate::collective::thresholds::Thresholds;

impl Case {
    /// Checks the schedules without running them.
    fn read(&self) {
        let schedules: Vec<Vec<Operation>> = (0..self.size)
            .map(|rank| self.schedule(rank).operations().collect())
            .collect();
        for (rank, operations) in schedules.iter().enumerate() {
            self.read_rank(rank as u32, operations);
        }
        // What one rank sends to another is what that one receives, in the same order.
        let size = self.size as usize;
        let mut sent = vec![Vec::new(); size * size];
        let mut received = vec![Vec::new(); size * size];
        for (rank, operations) in schedules.iter().enumerate() {
            let peer = |peer| self.peer(rank as u32, peer) as usize;
            for operation in operations {
                match operation.action {
                    Action::Send { to, .. } if peer(to) == rank => {
                        panic!("a message to oneself, {self:?}")
                    }
                    Action::Send { to, bytes, .. } => sent[rank * size + peer(to)].push(bytes),
                    Action::Recv { from, bytes, .. } => {
                        received[peer(from) * size + rank].push(bytes)
                    }
                    _ => {}
                }
            }
        }
        assert!(sent == received, "messages that do not match, {self:?}");
        if self.kind == Kind::Barrier {
            assert!(
                everybody_hears_of_all(self, &schedules),
                "a barrier that lets through, {self:?}"
            );
        }
    }

    fn read_rank(&self, rank: u32, operations: &[Operation]) {
        let schedule = self.schedule(rank);
        let in_place = self.is_one_buffer(rank);
        let (input, output) = self.lengths(rank);
        let input = if in_place && self.reduces() {
            output
        } else {
            input
        };
        let lengths = [input, output, schedule.scratch_bytes()];
        let fail =
            |id: Id, what: &str| -> ! { panic!("{what} at #{}, {self:?}\n{schedule}", id.0) };

        let mut defined: [Vec<bool>; 3] = lengths.map(|length| vec![false; length]);
        defined[memory(Buffer::Input)].fill(true);
        defined[memory(Buffer::Output)][self.contribution_in_output(rank)].fill(true);

        let mut accesses: Vec<Vec<Access>> = Vec::new();
        let mut ancestors: Vec<Vec<u64>> = Vec::new();
        // Everything before the last join.
        let mut joined = vec![0u64; operations.len() / 64 + 1];
        for (index, operation) in operations.iter().enumerate() {
            if operation.id != Id(index as u32 + 1) {
                fail(operation.id, "a number out of sequence");
            }
            if operation.action == Action::Join {
                (0..=index).for_each(|earlier| joined[earlier / 64] |= 1 << (earlier % 64));
            }
            let mut known = joined.clone();
            for after in operation.after.iter().filter(|after| **after != Id::NONE) {
                if *after >= operation.id {
                    fail(operation.id, "a dependency on what comes later");
                }
                let earlier = after.0 as usize - 1;
                known
                    .iter_mut()
                    .zip(&ancestors[earlier])
                    .for_each(|(a, b)| *a |= b);
                known[earlier / 64] |= 1 << (earlier % 64);
            }
            let mine = accesses_of(operation, schedule.shape().width);
            for access in &mine {
                let Access {
                    buffer,
                    range,
                    write,
                } = access;
                if range.end > lengths[memory(*buffer)] {
                    fail(operation.id, "beyond the end of a buffer");
                }
                if *write && *buffer == Buffer::Input {
                    fail(operation.id, "a write to the input");
                }
                if !write
                    && !defined[memory(*buffer)][range.clone()]
                        .iter()
                        .all(|defined| *defined)
                {
                    fail(operation.id, "a read of undefined bytes");
                }
            }
            for access in mine.iter().filter(|access| access.write) {
                defined[memory(access.buffer)][access.range.clone()].fill(true);
            }
            for (earlier, theirs) in accesses.iter().enumerate() {
                let ordered = known[earlier / 64] >> (earlier % 64) & 1 == 1;
                if !ordered
                    && mine
                        .iter()
                        .any(|a| theirs.iter().any(|b| a.conflicts(b, in_place)))
                {
                    fail(operation.id, &format!("a race with #{}", earlier + 1));
                }
            }
            accesses.push(mine);
            ancestors.push(known);
        }
        let result = match self.kind {
            Kind::Reduce | Kind::Gather if rank != self.root => 0,
            Kind::Exscan if rank == 0 => 0,
            _ => output,
        };
        assert!(
            defined[memory(Buffer::Output)][..result]
                .iter()
                .all(|defined| *defined)
                || in_place && self.reduces(),
            "a result that is not whole, {self:?}\n{schedule}"
        );
    }
}

#[derive(Clone, Debug)]
struct Access {
    buffer: Buffer,
    range: Range<usize>,
    write: bool,
}

impl Access {
    fn conflicts(&self, other: &Access, in_place: bool) -> bool {
        let memory = |buffer| {
            if in_place && buffer == Buffer::Input {
                Buffer::Output
            } else {
                buffer
            }
        };
        (self.write || other.write)
            && memory(self.buffer) == memory(other.buffer)
            && self.range.start < other.range.end
            && other.range.start < self.range.end
    }
}

fn accesses_of(operation: &Operation, width: usize) -> Vec<Access> {
    let access = |place: Place, bytes, write| Access {
        buffer: place.buffer,
        range: place.offset..place.offset + bytes,
        write,
    };
    let mut accesses = match operation.action {
        Action::Send { from, bytes, .. } => vec![access(from, bytes, false)],
        Action::Recv { into, bytes, .. } => vec![access(into, bytes, true)],
        Action::Reduce {
            from,
            with,
            into,
            count,
        } => {
            let bytes = count * width;
            vec![
                access(from, bytes, false),
                access(with, bytes, false),
                access(into, bytes, true),
            ]
        }
        Action::Copy { from, into, bytes } => {
            vec![access(from, bytes, false), access(into, bytes, true)]
        }
        Action::Enter { .. }
        | Action::Post { .. }
        | Action::Await { .. }
        | Action::Join
        | Action::Finish { .. } => Vec::new(),
    };
    // Slots are other ranks' too: the simulation spoils them as soon as it may.
    accesses.retain(|access| memory(access.buffer) < 3);
    accesses
}

/// The number of a buffer that is this rank's alone.
fn memory(buffer: Buffer) -> usize {
    match buffer {
        Buffer::Input => 0,
        Buffer::Output => 1,
        Buffer::Scratch => 2,
        Buffer::Slot { .. } => 3,
    }
}

/// Whether no rank can finish before all have started: follows what each operation can know of.
fn everybody_hears_of_all(case: &Case, schedules: &[Vec<Operation>]) -> bool {
    let size = schedules.len();
    let mut heard: Vec<Vec<Vec<bool>>> = schedules
        .iter()
        .map(|operations| vec![vec![false; size]; operations.len()])
        .collect();
    // Sent messages on each pair, by operation, in order: the nth receive gets the nth.
    let sends = |from: usize, to: usize| {
        let to_it = move |o: &&Operation| matches!(o.action, Action::Send { to: peer, .. } if peer as usize == to);
        schedules[from]
            .iter()
            .filter(to_it)
            .map(|o| o.id.0 as usize - 1)
    };
    // As many passes as a message can have stages.
    for _ in 0..=3 * size.ilog2() + 1 {
        for rank in 0..size {
            let mut received = vec![0; size];
            // What the operations so far know of, and those before the last join.
            let (mut sofar, mut joined) = (vec![false; size], vec![false; size]);
            for (index, operation) in schedules[rank].iter().enumerate() {
                let mut knows = vec![false; size];
                knows[rank] = true;
                let mut learn =
                    |other: &[bool]| knows.iter_mut().zip(other).for_each(|(a, b)| *a |= b);
                for after in operation.after.iter().filter(|after| **after != Id::NONE) {
                    learn(&heard[rank][after.0 as usize - 1]);
                }
                if let Action::Await {
                    turn,
                    step,
                    first,
                    end,
                } = operation.action
                {
                    let (_, members) = case.around(rank as u32);
                    for member in &members[first as usize..end as usize] {
                        let member = *member as usize;
                        let post = Action::Post { turn, step };
                        let posts = schedules[member]
                            .iter()
                            .position(|other| other.action == post);
                        learn(&heard[member][posts.expect("a step that is awaited is posted")]);
                    }
                }
                if let Action::Recv { from, .. } = operation.action {
                    let from = from as usize;
                    let send = sends(from, rank)
                        .nth(received[from])
                        .expect("messages match");
                    received[from] += 1;
                    learn(&heard[from][send]);
                }
                learn(&joined);
                if operation.action == Action::Join {
                    learn(&sofar);
                    joined.clone_from(&knows);
                }
                sofar.iter_mut().zip(&knows).for_each(|(a, b)| *a |= b);
                heard[rank][index] = knows;
            }
        }
    }
    (0..size).all(|rank| {
        (0..size).all(|other| other == rank || heard[rank].iter().any(|knows| knows[other]))
    })
}

/// Every size up to 64; in a quick run small ones, and some of the others: powers of two and their
/// neighbours.
fn sizes() -> impl Iterator<Item = u32> {
    let quick = |size: &u32| *size <= 8 || [13, 16, 17, 31].contains(size);
    (1..=64).filter(move |size| ferrite_fabric_testing::depth::full() || quick(size))
}

#[test]
fn schedules_match_and_never_race() {
    for size in sizes() {
        let (small, many) = (size <= 12, size as usize);
        let counts = [0, 1, 3, many - 1, many, many + 1, 40];
        let counts = if small {
            &counts[..]
        } else {
            &[1 + many % 11, 40][..1 + many % 4 / 3]
        };
        let roots = [size / 2, 0, 1 % size, size - 1];
        let roots = if small { &roots[..] } else { &roots[..1] };
        for case in cases(size, counts, roots) {
            case.read();
        }
    }
}

#[test]
fn results_are_right_in_any_order_of_delivery() {
    let mut random = Random::new(0x5eed);
    for size in sizes() {
        let count = 1 + random.below(90);
        let root = random.below(size as usize) as u32;
        let (counts, roots) = ([size as usize % 3, count], [root, size - 1]);
        let some = if size <= 20 { 2 } else { 1 };
        for case in cases(size, &counts[2 - some..], &roots[..some]) {
            let seed = random.next();
            simulate::<16>(&[case], seed);
            if some == 2 || seed.is_multiple_of(2) {
                simulate::<2>(&[case], seed);
            }
        }
    }
}

#[test]
fn several_collectives_of_a_communicator_can_be_under_way() {
    let mut random = Random::new(0xfe11);
    for size in 1..=24 {
        let all = cases(size, &[1, 3, 40], &[0, size - 1]);
        for _ in 0..10 {
            let some: Vec<Case> = (0..4).map(|_| all[random.below(all.len())]).collect();
            simulate::<16>(&some, random.next());
        }
    }
}

#[test]
fn what_nodes_are_for_goes_by_nodes() {
    // Otherwise the other tests would check flat algorithms in their place.
    let mut with_board = 0;
    for case in cases(9, &[1, 40], &[0, 4]) {
        if case.placed().is_some() && case.commutative {
            let schedules: Vec<Schedule> = (0..9).map(|rank| case.schedule(rank)).collect();
            for schedule in &schedules {
                assert_eq!(schedule.name(), "within and between nodes", "{case:?}");
            }
            with_board += usize::from(schedules.iter().any(|schedule| schedule.turns() > 0));
        }
    }
    assert!(
        with_board > 10,
        "only {with_board} calls use a node's board"
    );
}

#[test]
fn selection_switches_algorithms_where_the_thresholds_say() {
    let shape = Shape {
        rank: 3,
        size: 8,
        root: 0,
        count: 1,
        width: 1,
        commutative: true,
        in_place: false,
        board: None,
    };
    let limits = &Thresholds::DEFAULT;
    for (collective, from) in [
        (Collective::Bcast, 64 << 10),
        (Collective::Allreduce, 8 << 10),
        (Collective::Gather, 4 << 10),
        (Collective::Scatter, 4 << 10),
        (Collective::Allgather, 4 << 10),
    ] {
        let [below, at] = [from - 1, from].map(|count| {
            let shape = Shape { count, ..shape };
            select::flat(collective, shape, limits).name()
        });
        assert_ne!(below, at, "{collective}");
    }
}

#[test]
fn every_algorithm_is_chosen_for_some_call_and_checked() {
    let limits = &Thresholds::DEFAULT;
    for row in Algorithm::CANDIDATES {
        let mut shapes = [2, 3, 8].into_iter().flat_map(|size| {
            (0..24).map(move |log| Shape {
                rank: 0,
                size,
                root: 0,
                count: 1 << log,
                width: 1,
                commutative: true,
                in_place: false,
                board: None,
            })
        });
        let is_chosen = |shape| select::flat(row.collective, shape, limits).name() == row.name;
        assert!(
            shapes.any(is_chosen),
            "{}: never chosen, as the algorithms above it suit all calls",
            row.name
        );
    }
    let checked: BTreeSet<&str> = cases(9, &[0, 1, 40], &[0])
        .iter()
        .map(|case| case.schedule(0).name())
        .collect();
    for name in Algorithm::NAMES {
        assert!(
            checked.contains(name),
            "{name}: no case is checked. A special algorithm needs one in `case_list`"
        );
    }
}

#[test]
fn a_million_ranks_need_a_logarithm_of_operations() {
    let size = 1_000_000;
    let shape = Shape {
        rank: 0,
        size,
        root: 7,
        count: 1,
        width: 8,
        commutative: true,
        in_place: false,
        board: None,
    };
    let limits = &Thresholds::DEFAULT;
    for rank in [0, 7, 8, 524_287, 524_288, size - 1] {
        let shape = Shape { rank, ..shape };
        for schedule in [
            select::flat(Collective::Barrier, shape, limits),
            select::flat(Collective::Bcast, shape, limits),
            select::flat(Collective::Reduce, shape, limits),
            select::flat(Collective::Allreduce, shape, limits),
            select::flat(Collective::Gather, shape, limits),
            select::flat(Collective::Allgather, shape, limits),
        ] {
            assert!(schedule.operations().count() <= 4 * 20 + 2, "{schedule}");
        }
        assert!(select::flat(Collective::Reduce, shape, limits).scratch_bytes() <= 256);
    }
}

#[test]
fn a_schedule_prints_its_operations() {
    let shape = Shape {
        rank: 1,
        size: 2,
        root: 0,
        count: 3,
        width: 8,
        commutative: false,
        in_place: false,
        board: None,
    };
    let schedule = select::flat(Collective::Allreduce, shape, &Thresholds::DEFAULT);
    let text = schedule.to_string();
    let expected = "allreduce by recursive doubling: rank 1 of 2, root 0, 3 elements of 8 B, in \
        order, 24 B of scratch
  #1 copy input+0 to output+0, 24 B
  #2 send output+0, 24 B, to 0 after #1
  #3 recv scratch+0, 24 B, from 0
  #4 reduce scratch+0 into output+0, 3 elements after #3, #2, #1
";
    assert_eq!(text, expected);
}
