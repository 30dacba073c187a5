//! pkg-config files. They find the prefix from their own place, `PREFIX/lib/pkgconfig`, so a prefix
//! that was moved goes on working.

/// Names under which the standard ABI is found: the library's own, the one that asks for any MPI,
/// and those that Debian has for C and C++.
const STANDARD: [&str; 4] = ["ferrite.pc", "mpi.pc", "mpi-c.pc", "mpi-cxx.pc"];

/// The name under which MPICH's binary interface is found.
const MPICH: &str = "mpich.pc";

/// The files: name and content.
pub(crate) fn files() -> impl Iterator<Item = (&'static str, String)> {
    let standard = content("the MPI 5.0 standard ABI", "", "-lmpi_abi");
    let mpich = content("MPICH's binary interface", "/mpich", "-lmpi");
    let named = STANDARD.map(|name| (name, standard.clone()));
    named.into_iter().chain([(MPICH, mpich)])
}

/// The description of a binary interface, whose header and name for the linker stand in a folder
/// under `include` and `lib`.
fn content(interface: &str, folder: &str, library: &str) -> String {
    format!(
        "prefix=${{pcfiledir}}/../..
includedir=${{prefix}}/include{folder}
libdir=${{prefix}}/lib

Name: Ferrite MPI
Description: Message Passing Interface, {interface}
Version: {version}
Cflags: -I${{includedir}}
Libs: -L${{libdir}}{folder} -Wl,-rpath,${{libdir}} -Wl,--enable-new-dtags {library}
",
        version = env!("CARGO_PKG_VERSION")
    )
}
