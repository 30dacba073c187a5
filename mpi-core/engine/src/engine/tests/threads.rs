//! Four threads a rank with mixed traffic: each has a communicator of its own and goes on with all
//! sorts of operations, while one more communicator is shared by all of them, told apart by tags.
//! `FERRITE_TEST_SECONDS` is how long (1).

use std::thread;
use std::time::{Duration, Instant};

use ferrite_fabric_testing::conformance::Random;

use super::over::Over;
use super::point_to_point::{BYTE, WORLD, pattern};
use crate::engine::Engine;
use crate::handle::{Comm, Datatype, Op, Request};

const THREADS: i32 = 4;
const LENGTHS: [usize; 6] = [0, 1, 40, 1000, 20_000, 300_000];

fn to_end(e: &Engine, mut requests: Vec<Request>) {
    for request in &mut requests {
        e.wait(request).unwrap();
    }
}

/// A message each way, by a tag of this thread's.
fn exchange(e: &Engine, comm: Comm, len: usize, round: usize, thread: i32) {
    let peer = 1 - e.comm_rank(comm).unwrap();
    let (out, mut into) = (pattern(len, round), vec![0; len]);
    let (from, room, count) = (out.as_ptr(), into.as_mut_ptr(), len as i64);
    // SAFETY: both vectors are as long as the count says, and stay until the requests are done.
    unsafe {
        let requests = vec![
            e.irecv(room, count, BYTE, peer, thread, comm).unwrap(),
            e.isend(from, count, BYTE, peer, thread, comm).unwrap(),
        ];
        to_end(e, requests);
    }
    assert!(into == out, "{len} bytes, round {round}");
}

/// A sum of everybody's numbers, in one of two forms, or a broadcast.
fn collective(e: &Engine, comm: Comm, how: usize, count: usize) {
    let rank = e.comm_rank(comm).unwrap();
    let mut own: Vec<i64> = (0..count as i64)
        .map(|at| at * (i64::from(rank) + 1))
        .collect();
    let mut sum = vec![0i64; count];
    let (from, into, number) = (own.as_ptr().cast(), sum.as_mut_ptr().cast(), count as i64);
    // SAFETY: both vectors have as many numbers, and stay until the operation has ended.
    unsafe {
        match how {
            0 => e
                .allreduce(from, into, number, Datatype::INT64_T, Op::SUM, comm)
                .unwrap(),
            1 => {
                let request = e.iallreduce(from, into, number, Datatype::INT64_T, Op::SUM, comm);
                to_end(e, vec![request.unwrap()]);
            }
            _ => {
                let data = own.as_mut_ptr().cast();
                e.bcast(data, number, Datatype::INT64_T, 1, comm).unwrap();
                assert!((0..).zip(&own).all(|(at, value)| *value == 2 * at));
                return;
            }
        }
    }
    assert!((0..).zip(&sum).all(|(at, value)| *value == 3 * at));
}

fn mixed(e: &Engine, own: Comm, shared: Comm, thread: i32, until: Instant) {
    // Both ranks draw the same; one of them says when it is enough.
    let mut random = Random(thread as u64 + 1);
    for round in 0.. {
        let len = random.choose(&LENGTHS);
        match random.bits() % 6 {
            0 => exchange(e, own, len, round, 1),
            1 | 2 => exchange(e, shared, len, round, thread),
            how => collective(e, own, how as usize - 3, len / 8),
        }
        let mut ends = [u8::from(
            e.comm_rank(own).unwrap() == 0 && Instant::now() > until,
        )];
        e.tell_all(e.comm(own).unwrap(), &mut ends).unwrap();
        if ends[0] != 0 {
            return;
        }
    }
}

fn four_threads_a_rank(over: &Over) {
    let seconds = std::env::var("FERRITE_TEST_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(1);
    over.job(2, &[], |e| {
        let until = Instant::now() + Duration::from_secs(seconds);
        let shared = e.comm_dup(WORLD).unwrap();
        thread::scope(|threads| {
            for thread in 0..THREADS {
                let own = e.comm_dup(WORLD).unwrap();
                threads.spawn(move || mixed(e, own, shared, thread, until));
            }
        });
    });
}

#[test]
fn in_shared_memory() {
    four_threads_a_rank(&Over::shm());
}

#[test]
fn over_tcp() {
    four_threads_a_rank(&Over::tcp());
}
