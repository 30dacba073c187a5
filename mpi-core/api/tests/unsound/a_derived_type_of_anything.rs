#[derive(Clone, Copy, mpi_core::Datatype)]
struct Pair<T> {
    first: T,
    second: T,
}

fn main() -> mpi_core::Result<()> {
    let universe = mpi_core::init()?;
    let pair = Pair { first: 'a', second: 'b' };
    universe.world().send(&pair, 0, 0)
}
