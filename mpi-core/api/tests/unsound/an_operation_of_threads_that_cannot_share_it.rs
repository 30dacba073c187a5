use std::cell::Cell;

fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let calls = Cell::new(0);
    let counted = mpi_core::op::function(|a: i32, b: i32| {
        calls.set(calls.get() + 1);
        a + b
    });
    world.all_reduce(&1, counted)?;
    Ok(())
}
