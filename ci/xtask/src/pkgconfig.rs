//! pkg-config files. They find the prefix from their own place, `PREFIX/lib/pkgconfig`, so a prefix that was moved goes on working.

/// The names under which the library is found: its own, and the one that looks for any MPI.
pub(crate) const NAMES: [&str; 2] = ["ferrite.pc", "mpi.pc"];

/// The content of a pkg-config file.
pub(crate) fn content() -> String {
    format!(
        "prefix=${{pcfiledir}}/../..
includedir=${{prefix}}/include
libdir=${{prefix}}/lib

Name: Ferrite MPI
Description: Message Passing Interface, the MPI 5.0 standard ABI
Version: {version}
Cflags: -I${{includedir}}
Libs: -L${{libdir}} -Wl,-rpath,${{libdir}} -Wl,--enable-new-dtags -lmpi_abi
",
        version = env!("CARGO_PKG_VERSION")
    )
}
