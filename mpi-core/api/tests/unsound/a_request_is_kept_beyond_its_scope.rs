fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let sent = 1;
    let mut kept = Vec::new();
    mpi_core::scope(|s| {
        kept.push(world.isend(s, &sent, 0, 0)?);
        Ok(())
    })?;
    kept.pop().unwrap().wait()?;
    Ok(())
}
