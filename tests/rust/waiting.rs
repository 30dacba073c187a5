//! Threads that wait, and sends that are under way, when MPI is finalised.

use mpi_core::{ErrorClass, Result, Source, Universe, block_on};
use std::sync::Barrier;
use std::thread;

/// Threads wait in every way for what never comes; each is told.
pub fn threads(universe: Universe) -> Result<()> {
    let world = universe.world();
    let (rank, next) = (world.rank(), (world.rank() + 1) % world.size());
    let begun = Barrier::new(5);
    let awaited = world.irecv_owned(vec![0u8; 4], Source::Any, 11)?;
    if world.size() > 1 {
        // Its buffer is lent, so this one cannot be told. A thread of its own: it never ends.
        let world = world.clone();
        thread::spawn(move || world.ssend(&vec![1u8; 1 << 20], next, 12));
    }
    let wait = || begun.wait();
    thread::scope(|threads| {
        let waits = [
            threads.spawn(|| {
                wait();
                world.recv::<u8>(next, 1).map(drop)
            }),
            threads.spawn(|| {
                wait();
                world.recv_vec::<u64>(Source::Any, 2).map(drop)
            }),
            threads.spawn(|| {
                wait();
                world.probe(next, 3).map(drop)
            }),
            threads.spawn(|| {
                wait();
                block_on(awaited).map(drop)
            }),
        ];
        begun.wait();
        // Nothing says when a thread has begun to wait; those that come later are refused, which is
        // an error, too.
        thread::sleep(std::time::Duration::from_millis(100));
        drop(universe);
        for (number, wait) in waits.into_iter().enumerate() {
            let error = wait
                .join()
                .expect("no panic")
                .expect_err("nothing was sent");
            assert_eq!(error.class(), ErrorClass::OTHER, "{number}: {error}");
        }
        Result::Ok(())
    })?;
    if rank == 0 {
        println!("passed");
    }
    Ok(())
}

/// Sends that are dropped and never received do not keep finalisation, which names them.
pub fn sends(universe: Universe) -> Result<()> {
    let world = universe.world();
    let (rank, next) = (world.rank(), (world.rank() + 1) % world.size());
    drop(world.isend_owned(vec![1u32; 1 << 18], next, 7)?);
    // This one is received.
    drop(world.isend_owned(vec![rank; 1 << 18], next, 8)?);
    world.recv_vec::<usize>(Source::Any, 8)?;
    let error = universe.finalize().expect_err("a send is left");
    assert_eq!(error.class(), ErrorClass::PENDING, "{error}");
    for expected in [
        format!("rank {rank} has sent"),
        format!("1048576 bytes to rank {next}"),
        "with tag 7".into(),
    ] {
        assert!(error.sentence().contains(&expected), "{error}");
    }
    assert!(!error.sentence().contains("tag 8"), "{error}");
    if rank == 0 {
        println!("passed");
    }
    Ok(())
}

/// Rank 0 has sent what rank 1, which is late, does not receive.
pub fn late(universe: Universe) -> Result<()> {
    let world = universe.world();
    if world.rank() == 0 {
        drop(world.isend_owned(vec![1u8; 1 << 20], 1, 7)?);
    } else {
        thread::sleep(std::time::Duration::from_secs(7));
        println!("passed");
    }
    Ok(())
}
