fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let sent = vec![1, 2, 3];
    let request = world.isend_owned(sent, 0, 0)?;
    println!("{}", sent.len());
    request.wait()?;
    Ok(())
}
