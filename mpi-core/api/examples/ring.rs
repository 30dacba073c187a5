//! A token goes round all ranks, each of which adds its number.

use mpi_core::Result;

fn main() -> Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let (rank, size) = (world.rank(), world.size());
    let (next, previous) = ((rank + 1) % size, (rank + size - 1) % size);
    let mut rounds = 0;
    let mut token = 0u64;
    while rounds < 3 {
        if rank == 0 {
            world.send(&token, next, 0)?;
            token = world.recv(previous, 0)?.0;
        } else {
            token = world.recv::<u64>(previous, 0)?.0 + rank as u64;
            world.send(&token, next, 0)?;
        }
        rounds += 1;
    }
    if rank == 0 {
        let serial = 3 * (size * (size - 1) / 2) as u64;
        assert_eq!(token, serial);
        println!("{size} ranks, {rounds} rounds: the token is {token}");
        println!("passed");
    }
    Ok(())
}
