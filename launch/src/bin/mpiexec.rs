//! Starts MPI programs.

fn main() -> std::process::ExitCode {
    ferrite_launch::main()
}
