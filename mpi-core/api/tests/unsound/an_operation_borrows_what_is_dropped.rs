fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let (own, mut sum) = (1, 0);
    mpi_core::scope(|s| {
        let offset = vec![1];
        let add = mpi_core::op::function(|a: i32, b: i32| a + b + offset[0]);
        world.iall_reduce(s, &own, &mut sum, add)?;
        Ok(())
    })
}
