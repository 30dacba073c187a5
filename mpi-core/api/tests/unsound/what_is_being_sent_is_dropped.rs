fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    mpi_core::scope(|s| {
        let sent = vec![1, 2, 3];
        world.isend(s, &sent, 0, 0)?;
        Ok(())
    })
}
