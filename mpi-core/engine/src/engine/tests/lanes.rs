//! Communicators do not hold each other up: what a thread does on one needs no lock that a thread
//! on another may hold.

use std::sync::{Barrier, mpsc};
use std::thread;

use super::over::Over;
use super::point_to_point::{BYTE, WORLD, pattern};
use crate::engine::Engine;
use crate::handle::Comm;

/// A duplicate of the world with a lane of its own.
fn on_another_lane(e: &Engine) -> Comm {
    let lane = |comm| e.lane(e.comm(comm).unwrap().context());
    loop {
        let made = e.comm_dup(WORLD).unwrap();
        // All members see the same contexts, so they stop at the same duplicate.
        if !std::ptr::eq(lane(made), lane(WORLD)) {
            return made;
        }
    }
}

fn exchange(e: &Engine, comm: Comm, len: usize, round: usize) {
    let peer = 1 - e.comm_rank(comm).unwrap();
    let (out, mut into) = (pattern(len, round), vec![0; len]);
    let count = len as i64;
    // SAFETY: both vectors are as long as the count says, and stay until the requests are done.
    unsafe {
        let mut requests = [
            e.irecv(into.as_mut_ptr(), count, BYTE, peer, 5, comm)
                .unwrap(),
            e.isend(out.as_ptr(), count, BYTE, peer, 5, comm).unwrap(),
        ];
        for request in &mut requests {
            e.wait(request).unwrap();
        }
    }
    assert!(into == out, "{len} bytes, round {round}");
}

/// While one thread holds what is the world's, messages of every protocol and collectives go on
/// elsewhere.
fn a_held_lane_holds_up_no_other(over: &Over) {
    let both = Barrier::new(2);
    over.job(2, &[], |e| {
        let comm = on_another_lane(e);
        let (let_go, until) = mpsc::channel::<()>();
        let (holds, held) = mpsc::channel();
        thread::scope(|threads| {
            threads.spawn(move || {
                let lane = e.lane(e.comm(WORLD).unwrap().context()).lock();
                holds.send(()).unwrap();
                // Ends with an error when the other one has panicked.
                let _ = until.recv();
                drop(lane);
            });
            held.recv().unwrap();
            for round in 0..20 {
                for len in [0, 8, 5000, 300_000] {
                    exchange(e, comm, len, round);
                }
                e.barrier(comm).unwrap();
                let mut request = e.ibarrier(comm).unwrap();
                e.wait(&mut request).unwrap();
            }
            // What comes for the world now would make the thread that delivers wait, and with it
            // everybody.
            both.wait();
            drop(let_go);
        });
    });
}

#[test]
fn in_shared_memory() {
    a_held_lane_holds_up_no_other(&Over::shm());
}

#[test]
fn over_tcp() {
    a_held_lane_holds_up_no_other(&Over::tcp());
}
