fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let received = [0; 4];
    world.recv_into(&received, 0, 0)?;
    Ok(())
}
