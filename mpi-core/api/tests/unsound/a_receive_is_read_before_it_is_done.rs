fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let mut received = 0;
    mpi_core::scope(|s| {
        world.irecv(s, &mut received, 0, 0)?;
        if received == 1 {}
        Ok(())
    })
}
