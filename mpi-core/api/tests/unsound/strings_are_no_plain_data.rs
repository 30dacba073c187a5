fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    world.send(&vec![String::from("text")], 0, 0)
}
