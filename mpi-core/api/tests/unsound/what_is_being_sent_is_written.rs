fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let mut sent = [0; 8];
    mpi_core::scope(|s| {
        world.isend(s, &sent, 0, 0)?;
        sent[0] = 1;
        Ok(())
    })
}
