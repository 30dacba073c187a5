//! Links the programs to the soname `libmpi_abi.so.1`, which they look for in `../lib` beside
//! themselves.
//!
//! RUNPATH rather than RPATH: LD_LIBRARY_PATH comes first, so that the same program runs on any
//! library of that name.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(standin) = std::env::var("DEP_MPI_ABI_STANDIN") {
        println!("cargo::rustc-link-arg-bins={standin}");
        println!("cargo::rustc-link-arg-bins=-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib");
    }
}
