fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let (own, mut sum) = (1, 0);
    mpi_core::scope(|s| {
        world.iall_reduce(s, &own, &mut sum, mpi_core::op::sum())?;
        if sum == 1 {}
        Ok(())
    })
}
