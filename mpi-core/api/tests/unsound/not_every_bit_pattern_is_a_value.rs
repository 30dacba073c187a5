#[derive(Clone, Copy, mpi_core::Datatype)]
enum State {
    On,
    Off,
}

#[derive(Clone, Copy, mpi_core::Datatype)]
struct Letter {
    letter: char,
}

#[derive(Clone, Copy, mpi_core::Datatype)]
union Either {
    number: u32,
    real: f32,
}

fn main() {}
