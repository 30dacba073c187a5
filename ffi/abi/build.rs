//! Gives the shared library its name: programs look for `libmpi_abi.so.1` (MPI 5.0, section 20.2).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(mpich)");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target == "linux" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libmpi_abi.so.1");
        // A lazily bound symbol would cost its first caller a look-up of hundreds of microseconds.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
    }
}
