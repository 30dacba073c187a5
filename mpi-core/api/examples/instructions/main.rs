//! What `ci/api-instructions.sh` counts: small messages through this crate, and the same ones by
//! the engine that it stands on.
//!
//! A program has no use for it: the engine is not part of the API.

use std::hint::black_box;

use ferrite_engine::{Comm, Datatype, Engine};
use mpi_core::{Communicator, Result};

/// Messages on their way at the same time.
const BATCH: u64 = 32;
const BATCHES: u64 = 20;
/// The tag of the message behind a batch.
const LAST: i32 = 1;

#[inline(never)]
fn send_through_the_api(world: &Communicator, value: &u64, (peer, tag): (usize, i32)) {
    world.send(value, peer, tag).expect("rank 1 is there");
}

#[inline(never)]
fn send_by_the_engine(engine: &Engine, comm: Comm, value: &u64, (peer, tag): (i32, i32)) {
    let value: *const u64 = value;
    // SAFETY: the number is readable.
    let sent = unsafe { engine.send(value.cast(), 1, Datatype::UINT64_T, peer, tag, comm) };
    sent.expect("rank 1 is there");
}

#[inline(never)]
fn receive_through_the_api(world: &Communicator, (peer, tag): (usize, i32)) -> u64 {
    world.recv(peer, tag).expect("rank 1 has sent").0
}

#[inline(never)]
fn receive_by_the_engine(engine: &Engine, comm: Comm, (peer, tag): (i32, i32)) -> u64 {
    let mut value = 0u64;
    let into: *mut u64 = &mut value;
    // SAFETY: the number is writable until the call returns.
    let received = unsafe { engine.recv(into.cast(), 1, Datatype::UINT64_T, peer, tag, comm) };
    received.expect("rank 1 has sent");
    value
}

/// Rank 0's part: messages to rank 1 and back, all of a batch there before the first is received.
fn count(world: &Communicator, send: impl Fn(&u64), receive: impl Fn() -> u64) -> Result<()> {
    for batch in 0..BATCHES {
        (0..BATCH).for_each(|at| send(&(batch * BATCH + at)));
        // Comes behind the others: they wait for their receives then.
        world.recv::<u64>(1, LAST)?;
        (0..BATCH).for_each(|at| assert_eq!(receive(), batch * BATCH + at));
        world.barrier()?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let universe = mpi_core::init()?;
    let world = &universe.world();
    assert_eq!(world.size(), 2, "this program needs two ranks");
    let engine = ferrite_engine::engine()?;
    if world.rank() == 0 {
        // As in a program, of which the compiler does not know whom it will talk to.
        let place = black_box((1, 0));
        count(
            world,
            |value| send_through_the_api(world, value, place),
            || receive_through_the_api(world, place),
        )?;
        let (comm, place) = black_box((Comm(world.as_raw() as u32), (1, 0)));
        count(
            world,
            |value| send_by_the_engine(engine, comm, value, place),
            || receive_by_the_engine(engine, comm, place),
        )?;
        println!("passed");
        return Ok(());
    }
    for _ in 0..2 * BATCHES {
        let all: Vec<u64> = (0..BATCH)
            .map(|_| world.recv(0, 0).map(|(value, _)| value))
            .collect::<Result<_>>()?;
        all.iter().try_for_each(|value| world.send(value, 0, 0))?;
        world.send(&BATCH, 0, LAST)?;
        world.barrier()?;
    }
    Ok(())
}
