//! mpiexec's other name.

fn main() -> std::process::ExitCode {
    ferrite_launch::main()
}
