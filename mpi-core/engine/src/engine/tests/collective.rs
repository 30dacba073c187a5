//! Blocking and nonblocking collectives on communicators that were just made; where some ranks
//! share a node, they go by nodes.

use super::over::Over;
use crate::Engine;
use crate::handle::{Comm, Datatype, Op};

/// Numbers of each call.
const COUNTS: [usize; 2] = [1, 1500];

fn numbers(rank: i64, count: usize) -> Vec<i64> {
    (0..count as i64).map(|at| 1000 * at + rank).collect()
}

fn calls(e: &Engine, comm: Comm, count: usize) {
    let (rank, size) = (e.comm_rank(comm).unwrap(), e.comm_size(comm).unwrap());
    let (ranks, of) = (0..i64::from(size), Datatype::INT64_T);
    let (own, number) = (numbers(i64::from(rank), count), count as i64);
    let mut sum = vec![0i64; count];
    let mut all = vec![0i64; count * size as usize];
    for root in [0, size - 1] {
        let mut told = if rank == root {
            own.clone()
        } else {
            sum.clone()
        };
        let mut at_root = vec![0i64; count];
        // SAFETY: the vectors have as many numbers, and stay until the operations have ended.
        unsafe {
            let (from, at) = (own.as_ptr().cast(), told.as_mut_ptr().cast());
            e.bcast(at, number, of, root, comm).unwrap();
            let into = at_root.as_mut_ptr().cast();
            e.reduce(from, into, number, of, Op::SUM, root, comm)
                .unwrap();
            e.barrier(comm).unwrap();
            let mut later = e
                .iallreduce(from, sum.as_mut_ptr().cast(), number, of, Op::MAX, comm)
                .unwrap();
            e.wait(&mut later).unwrap();
            assert_eq!(sum, numbers(i64::from(size) - 1, count));
            e.allreduce(from, sum.as_mut_ptr().cast(), number, of, Op::SUM, comm)
                .unwrap();
            let into = all.as_mut_ptr().cast();
            e.allgather(from, number, of, into, number, of, comm)
                .unwrap();
        }
        assert_eq!(told, numbers(i64::from(root), count));
        let expected: Vec<i64> = (0..count as i64)
            .map(|at| ranks.clone().map(|rank| 1000 * at + rank).sum())
            .collect();
        assert_eq!(sum, expected);
        if rank == root {
            assert_eq!(at_root, expected);
        }
        let expected: Vec<i64> = ranks
            .clone()
            .flat_map(|rank| numbers(rank, count))
            .collect();
        assert_eq!(all, expected);
    }
}

pub(super) fn everybody_works_together(over: &Over) {
    over.job(4, &[], |e| {
        let mut made = e.comm_dup(Comm::WORLD).unwrap();
        for (comm, count) in [Comm::WORLD, made].into_iter().zip(COUNTS) {
            calls(e, comm, count);
        }
        e.comm_free(&mut made).unwrap();
    });
}
