//! A pipeline of asynchronous stages: each rank awaits a block, transforms it, and passes it on
//! while the next one is already on its way.

use mpi_core::{Communicator, Result, block_on};

const BLOCKS: usize = 30;
const LENGTH: usize = 2_000;

fn block(number: usize) -> Vec<u64> {
    (0..LENGTH)
        .map(|at| (number * LENGTH + at) as u64)
        .collect()
}

fn transform(stage: usize, items: &mut [u64]) {
    for item in items {
        *item = item.rotate_left(stage as u32 + 1) ^ stage as u64;
    }
}

async fn stage(world: &Communicator) -> Result<Vec<Vec<u64>>> {
    let (rank, size) = (world.rank(), world.size());
    let last = rank + 1 == size;
    let mut finished = Vec::new();
    let mut leaving = None;
    let mut coming = match rank {
        0 => None,
        _ => Some(world.irecv_owned(vec![0u64; LENGTH], rank - 1, 0)?),
    };
    for number in 0..BLOCKS {
        let mut items = match coming.take() {
            None => block(number),
            Some(request) => {
                let (items, _) = request.await?;
                if number + 1 < BLOCKS {
                    coming = Some(world.irecv_owned(vec![0u64; LENGTH], rank - 1, 0)?);
                }
                items
            }
        };
        transform(rank, &mut items);
        if last {
            finished.push(items);
        } else if let Some(before) = leaving.replace(world.isend_owned(items, rank + 1, 0)?) {
            before.await?;
        }
    }
    if let Some(request) = leaving {
        request.await?;
    }
    Ok(finished)
}

fn main() -> Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let finished = block_on(stage(&world))?;
    if world.rank() + 1 == world.size() {
        for (number, items) in finished.iter().enumerate() {
            let mut serial = block(number);
            (0..world.size()).for_each(|stage| transform(stage, &mut serial));
            assert_eq!(*items, serial, "block {number}");
        }
        assert_eq!(finished.len(), BLOCKS);
        println!("{BLOCKS} blocks went through {} stages", world.size());
        println!("passed");
    }
    Ok(())
}
