//! Building programs: the wrappers, pkg-config, CMake; and moving the prefix.

use ferrite_tests::{Job, Prefix, cc, cxx, needs, passes, prefix, sources};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What a command that succeeds prints, without the last line's end.
fn prints(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Why a command that fails says it did.
fn complains(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{command:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A wrapper, without the variables that would choose its compiler.
fn wrapper(name: &str) -> Command {
    let mut command = Command::new(prefix().program(name));
    for variable in [
        "FERRITE_ABI",
        "FERRITE_CC",
        "MPICH_CC",
        "OMPI_CC",
        "FERRITE_CXX",
        "MPICH_CXX",
        "OMPI_CXX",
    ] {
        command.env_remove(variable);
    }
    command
}

fn mpicc() -> Command {
    wrapper("mpicc")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn hello() -> PathBuf {
    sources().join("hello.c")
}

#[test]
fn questions_in_the_manner_of_mpich() {
    let home = prefix().path().canonicalize().expect("a prefix");
    let home = home.display();
    let compile = format!("-I{home}/include");
    let link = format!("-L{home}/lib -Wl,-rpath,{home}/lib -Wl,--enable-new-dtags -lmpi_abi");
    assert_eq!(
        prints(mpicc().args(["-cc=gcc", "-show"])),
        format!("gcc {compile} {link}")
    );
    assert_eq!(
        prints(mpicc().args(["-cc=gcc", "-show", "-c", "x.c"])),
        format!("gcc -c x.c {compile}")
    );
    assert_eq!(
        prints(mpicc().args(["-cc=gcc", "-compile-info"])),
        format!("gcc {compile}")
    );
    assert_eq!(
        prints(mpicc().args(["-cc=gcc", "-link-info"])),
        format!("gcc {link}")
    );
    assert_eq!(
        prints(wrapper("mpicxx").args(["-cxx=g++", "-show"])),
        format!("g++ {compile} {link}")
    );
}

#[test]
fn questions_in_the_manner_of_open_mpi() {
    let home = prefix().path().canonicalize().expect("a prefix");
    let home = home.display();
    let asked = |question: &str| prints(mpicc().args(["-cc=gcc", question]));
    assert_eq!(asked("--showme"), asked("-show"));
    assert_eq!(asked("--showme:command"), "gcc");
    assert_eq!(asked("--showme:compile"), format!("-I{home}/include"));
    assert!(asked("--showme:link").ends_with("-lmpi_abi"));
    assert_eq!(asked("--showme:incdirs"), format!("{home}/include"));
    assert_eq!(asked("--showme:libdirs"), format!("{home}/lib"));
    assert_eq!(asked("--showme:libs"), "mpi_abi");
    assert!(asked("--showme:version").contains("Ferrite"));
    assert!(asked("--showme:help").contains("-compile-info"));
    assert!(complains(mpicc().arg("--showme:lonk")).contains("--showme:lonk"));
}

#[test]
fn the_compiler_is_chosen_by_option_then_variables() {
    let command =
        |set: &[(&str, &str)]| prints(mpicc().envs(set.iter().copied()).arg("--showme:command"));
    assert_eq!(command(&[("MPICH_CC", "cc -m64")]), "cc -m64");
    assert_eq!(command(&[("OMPI_CC", "cc -g"), ("MPICH_CC", "cc")]), "cc");
    assert_eq!(
        command(&[
            ("FERRITE_CC", "clang"),
            ("OMPI_CC", "cc"),
            ("MPICH_CC", "cc")
        ]),
        "clang"
    );
    assert_eq!(
        prints(
            mpicc()
                .env("FERRITE_CC", "clang")
                .args(["-cc=gcc", "--showme:command"])
        ),
        "gcc"
    );
    assert_eq!(
        prints(
            wrapper("mpicxx")
                .env("OMPI_CXX", "c++")
                .arg("--showme:command")
        ),
        "c++"
    );
}

#[test]
fn mistakes_are_answered() {
    assert!(complains(&mut mpicc()).contains("no input files"));
    let missing = complains(mpicc().args(["-cc=/no/such/compiler", "x.c"]));
    assert!(missing.contains("/no/such/compiler"), "{missing}");
    assert!(complains(mpicc().args(["-cc=", "x.c"])).contains("-cc="));
    // What the compiler says reaches the user, and so does its status.
    assert!(complains(mpicc().arg("/no/such/source.c")).contains("/no/such/source.c"));
}

#[test]
fn versions() {
    let output = run(mpicc().arg("-v"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && text.contains("Ferrite"),
        "{text}"
    );
    assert!(
        text.lines().count() > 1,
        "the compiler's own follows: {text}"
    );
    assert_eq!(
        prints(mpicc().arg("--version")),
        prints(Command::new(prints(mpicc().arg("--showme:command"))).arg("--version"))
    );
}

/// Programs find the library by a RUNPATH, which LD_LIBRARY_PATH overrides; objects are compiled
/// without a word about the library.
#[test]
fn compile_and_link_in_two_steps() {
    let folder = folder();
    let (object, program) = (folder.path().join("hello.o"), folder.path().join("hello"));
    let compiled = run(mpicc().arg("-c").arg(hello()).arg("-o").arg(&object));
    assert!(
        compiled.status.success() && compiled.stderr.is_empty(),
        "{compiled:?}"
    );
    prints(mpicc().arg(&object).arg("-o").arg(&program));
    passes(Job::new(&program).ranks(2));
    if needs("readelf") {
        let dynamic = prints(
            Command::new("readelf")
                .args(["--dynamic", "--wide"])
                .arg(&program),
        );
        assert!(
            dynamic.contains("(RUNPATH)") && !dynamic.contains("(RPATH)"),
            "{dynamic}"
        );
        assert!(dynamic.contains("[libmpi_abi.so.1]"), "{dynamic}");
    }
}

#[test]
fn cxx_programs() {
    if !needs("g++") {
        return;
    }
    for name in ["mpic++", "mpiCC"] {
        assert_eq!(
            prints(wrapper(name).arg("-show")),
            prints(wrapper("mpicxx").arg("-show"))
        );
    }
    passes(
        Job::new(cxx(
            &sources().join("hello.cc"),
            &["-std=c++17", "-Wall", "-Wextra", "-Werror"],
        ))
        .ranks(2),
    );
}

/// The header is plain C: old and new standards, and every warning there is.
#[test]
fn the_header_is_plain_c() {
    let folder = folder();
    let source = folder.path().join("header.c");
    std::fs::write(
        &source,
        "#include <mpi.h>\nint answer(void);\nint answer(void) { return MPI_SUCCESS; }\n",
    )
    .expect("written");
    for standard in ["-std=c99", "-std=c11", "-std=gnu17"] {
        let arguments = [
            standard,
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wstrict-prototypes",
            "-Werror",
            "-c",
        ];
        prints(
            mpicc()
                .args(arguments)
                .arg(&source)
                .arg("-o")
                .arg(folder.path().join("header.o")),
        );
    }
}

#[test]
fn pkg_config() {
    if !needs("pkg-config") {
        return;
    }
    let folder = folder();
    let descriptions = prefix().path().join("lib/pkgconfig");
    for name in ["ferrite", "mpi", "mpi-c", "mpi-cxx", "mpich"] {
        let flags = prints(
            Command::new("pkg-config")
                .env("PKG_CONFIG_PATH", &descriptions)
                .args(["--cflags", "--libs", name]),
        );
        let program = folder.path().join(name);
        let mut command = Command::new("cc");
        prints(
            command
                .arg(hello())
                .args(flags.split_whitespace())
                .arg("-o")
                .arg(&program),
        );
        passes(Job::new(&program).ranks(2));
    }
}

/// A project that knows CMake's FindMPI only; the wrappers are found by PATH, then by MPI_HOME.
#[test]
fn cmake() {
    if !needs("cmake") || !needs("g++") {
        return;
    }
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("cmake");
    let bin = prefix().path().join("bin");
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    for by_path in [true, false] {
        let folder = folder();
        let mut configure = Command::new("cmake");
        configure
            .arg("-S")
            .arg(&project)
            .arg("-B")
            .arg(folder.path())
            .args(["-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++"]);
        if by_path {
            configure.env("PATH", &path);
        } else {
            configure.env("MPI_HOME", prefix().path());
        }
        prints(&mut configure);
        prints(Command::new("cmake").arg("--build").arg(folder.path()));
        for program in ["hello", "hello_cxx"] {
            passes(Job::new(folder.path().join(program)).ranks(2));
        }
        let cache = std::fs::read_to_string(folder.path().join("CMakeCache.txt")).expect("a cache");
        let executable = cache
            .lines()
            .find(|line| line.starts_with("MPIEXEC_EXECUTABLE"))
            .expect("an mpiexec was found");
        assert!(executable.contains(&*bin.to_string_lossy()), "{executable}");
    }
}

/// A prefix goes on working elsewhere, and through symbolic links to its programs.
#[test]
fn a_prefix_that_was_moved() {
    let folder = folder();
    let moved = folder.path().join("elsewhere/ferrite 1");
    std::fs::create_dir_all(moved.parent().expect("elsewhere")).expect("made");
    prints(
        Command::new("cp")
            .arg("-a")
            .arg(prefix().path())
            .arg(&moved),
    );
    let moved = Prefix::at(moved.canonicalize().expect("moved"));

    let links = folder.path().join("links");
    std::fs::create_dir(&links).expect("made");
    for name in ["mpicc", "mpiexec"] {
        prints(
            Command::new("ln")
                .arg("-s")
                .arg(moved.program(name))
                .arg(links.join(name)),
        );
    }
    assert!(
        prints(Command::new(links.join("mpicc")).arg("-show"))
            .contains("elsewhere/ferrite 1/include")
    );
    let program = folder.path().join("hello");
    prints(
        Command::new(links.join("mpicc"))
            .arg(hello())
            .arg("-o")
            .arg(&program),
    );
    if needs("ldd") {
        let libraries = prints(
            Command::new("ldd")
                .arg(&program)
                .env_remove("LD_LIBRARY_PATH"),
        );
        assert!(
            libraries.contains("elsewhere/ferrite 1/lib/libmpi_abi.so.1"),
            "{libraries}"
        );
    }
    passes(Job::new(&program).launcher(links.join("mpiexec")).ranks(2));
    if needs("pkg-config") {
        let flags = prints(
            Command::new("pkg-config")
                .env("PKG_CONFIG_PATH", moved.path().join("lib/pkgconfig"))
                .args(["--variable=libdir", "mpi"]),
        );
        assert!(flags.contains("elsewhere/ferrite"), "{flags}");
    }
}

/// A wrapper outside a prefix says so.
#[test]
fn a_wrapper_that_was_taken_out() {
    let folder = folder();
    let alone = folder.path().join("mpicc");
    std::fs::copy(prefix().program("mpicc"), &alone).expect("copied");
    let text = complains(Command::new(&alone).arg("x.c"));
    assert!(
        text.contains("include/mpi.h") && text.contains("xtask install"),
        "{text}"
    );
}

#[test]
fn the_layout() {
    let home = prefix().path();
    for file in [
        "bin/mpiexec",
        "bin/mpirun",
        "bin/mpicc",
        "bin/mpicxx",
        "bin/mpic++",
        "bin/mpiCC",
        "bin/ferrite-info",
        "bin/osu_latency",
        "bin/osu_bw",
        "bin/osu_bibw",
        "bin/osu_mbw_mr",
        "bin/osu_barrier",
        "bin/osu_allreduce",
        "bin/osu_iallreduce",
        "include/mpi.h",
        "lib/libmpi_abi.so.1",
        "lib/pkgconfig/ferrite.pc",
        "lib/pkgconfig/mpi.pc",
        "lib/pkgconfig/mpi-c.pc",
        "lib/pkgconfig/mpi-cxx.pc",
        "lib/pkgconfig/mpich.pc",
        "include/mpich/mpi.h",
        "lib/libmpi.so.12",
        "lib/libmpich.so.12",
        "lib/libmpicxx.so.12",
        "lib/libmpichcxx.so.12",
        "lib/mpich/libmpi.so",
        "share/doc/ferrite/LICENSE-MIT",
        "share/doc/ferrite/COVERAGE.md",
        "share/ferrite/valgrind.supp",
    ] {
        assert!(home.join(file).is_file(), "{file}");
    }
    assert_eq!(
        std::fs::read_link(home.join("lib/libmpi_abi.so")).expect("a link"),
        Path::new("libmpi_abi.so.1")
    );
}

/// What a makefile may have after `-l`.
const LINKER_NAMES: [&str; 5] = ["mpi_abi", "mpi", "mpich", "mpicxx", "mpi_cxx"];

/// A line by hand: the header's folder, the library's folder, and a name. Another MPI's library
/// that stands in a later folder is not taken.
#[test]
fn linked_by_hand() {
    let folder = folder();
    let home = prefix().path();
    let other = folder.path().join("libmpi.so");
    std::fs::write(&other, "INPUT(/no/such/library)\n").expect("written");
    for name in LINKER_NAMES {
        let lib = home.join("lib");
        let (first, second) = (lib.display(), folder.path().display());
        // By name, and by its file, as CMake links what it has found.
        let by_name = [
            format!("-L{first}"),
            format!("-L{second}"),
            format!("-l{name}"),
        ];
        let by_file = [format!("{first}/lib{name}.so")];
        for linked in [&by_name[..], &by_file] {
            let program = folder.path().join(name);
            let mut command = Command::new("cc");
            command.arg(format!("-I{}", home.join("include").display()));
            command.arg(hello()).args(linked).arg("-o").arg(&program);
            prints(&mut command);
            let library = first.to_string();
            passes(Job::new(&program).ranks(2).env("LD_LIBRARY_PATH", &library));
            if needs("readelf") {
                let dynamic = prints(Command::new("readelf").arg("-dW").arg(&program));
                assert!(dynamic.contains("[libmpi_abi.so.1]"), "{dynamic}");
            }
        }
    }
}

/// The folder of one header and the folder of another library: the first error says which header it
/// was, and which library.
#[test]
fn linked_with_the_wrong_header() {
    let folder = folder();
    let home = prefix().path();
    let library = home.join("lib").display().to_string();
    for (include, lib, words) in [
        (
            "include/mpich",
            "lib",
            ["MPI_COMM_WORLD in MPICH's mpi.h", "libmpi_abi.so.1"],
        ),
        (
            "include",
            "lib/mpich",
            [
                "MPI_COMM_WORLD in the mpi.h of the standard ABI",
                "libmpi.so.12",
            ],
        ),
    ] {
        let program = folder.path().join("wrong");
        let mut command = Command::new("cc");
        command.arg(format!("-I{}", home.join(include).display()));
        command.arg(format!("-L{}", home.join(lib).display()));
        prints(command.arg(hello()).arg("-o").arg(&program).arg("-lmpi"));
        for job in [Job::alone(&program), Job::new(&program).ranks(2)] {
            let outcome = job.env("LD_LIBRARY_PATH", &library).run();
            assert!(!outcome.status.success(), "{outcome}");
            for word in words {
                assert!(outcome.stderr.contains(word), "{outcome}");
            }
        }
    }
}

/// Open MPI's handles are addresses of its own objects, which a program built with its header
/// refers to by name.
#[test]
fn linked_with_open_mpis_header() {
    let folder = folder();
    let home = prefix().path();
    let source = folder.path().join("open.c");
    let text = "char ompi_mpi_comm_world[512];\nint MPI_Init(int *, char ***);\nint \
        MPI_Comm_rank(void *, int *);\n\
        int main(void) \
        { int rank; MPI_Init(0, 0); return MPI_Comm_rank(ompi_mpi_comm_world, &rank); }\n";
    std::fs::write(&source, text).expect("written");
    for (lib, name) in [("lib", "libmpi_abi.so.1"), ("lib/mpich", "libmpi.so.12")] {
        let program = folder.path().join("open");
        let mut command = Command::new("cc");
        command
            .arg("-rdynamic")
            .arg(&source)
            .arg("-o")
            .arg(&program);
        command.arg(format!("-L{}", home.join(lib).display()));
        prints(command.arg("-lmpi"));
        let library = home.join("lib").display().to_string();
        let outcome = Job::alone(&program).env("LD_LIBRARY_PATH", &library).run();
        assert!(!outcome.status.success(), "{outcome}");
        for word in ["Open MPI's ompi_mpi_comm_world", name] {
            assert!(outcome.stderr.contains(word), "{outcome}");
        }
    }
}

/// The programs of the prefix and of the tests run without help from the environment.
#[test]
fn without_library_path() {
    let program = cc(&hello(), &[]);
    passes(Job::alone(&program));
    Job::new(prefix().program("osu_latency"))
        .ranks(2)
        .args(["-m", "8:8", "-i", "10", "-x", "1"])
        .succeeds();
}
