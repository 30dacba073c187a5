fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    world.all_reduce(&1.5f64, mpi_core::op::bit_and())?;
    Ok(())
}
