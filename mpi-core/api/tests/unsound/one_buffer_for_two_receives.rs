fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let mut received = [0; 8];
    mpi_core::scope(|s| {
        world.irecv(s, &mut received, 0, 0)?;
        world.irecv(s, &mut received, 0, 1)?;
        Ok(())
    })
}
