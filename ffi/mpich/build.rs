//! Chooses MPICH's binary interface, and gives the shared library the name that programs of MPICH
//! and Intel MPI look for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(mpich)");
    println!("cargo:rustc-cfg=mpich");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmpi.so.12");
        // A lazily bound symbol would cost its first caller a look-up of hundreds of microseconds.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
    }
}
