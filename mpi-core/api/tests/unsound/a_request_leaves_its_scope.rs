fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let sent = 1;
    let request = mpi_core::scope(|s| world.isend(s, &sent, 0, 0))?;
    request.wait()?;
    Ok(())
}
