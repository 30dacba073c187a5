fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let world = universe.world();
    let sent = 1;
    mpi_core::scope(|s| {
        let request = world.isend(s, &sent, 0, 0)?;
        std::thread::scope(|threads| {
            threads.spawn(move || request.wait());
        });
        Ok(())
    })
}
