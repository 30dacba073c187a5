#[derive(Clone, Copy, mpi_core::Datatype)]
struct Name<'a> {
    text: &'a str,
}

#[derive(Clone, Copy, mpi_core::Datatype)]
struct Node {
    next: *const u8,
}

fn main() {}
