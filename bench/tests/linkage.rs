//! How the programs find their MPI library.

#![forbid(unsafe_code)]

use std::process::Command;

const PROGRAMS: [&str; 14] = [
    env!("CARGO_BIN_EXE_osu_latency"),
    env!("CARGO_BIN_EXE_osu_bw"),
    env!("CARGO_BIN_EXE_osu_bibw"),
    env!("CARGO_BIN_EXE_osu_mbw_mr"),
    env!("CARGO_BIN_EXE_osu_barrier"),
    env!("CARGO_BIN_EXE_osu_bcast"),
    env!("CARGO_BIN_EXE_osu_reduce"),
    env!("CARGO_BIN_EXE_osu_allreduce"),
    env!("CARGO_BIN_EXE_osu_allgather"),
    env!("CARGO_BIN_EXE_osu_alltoall"),
    env!("CARGO_BIN_EXE_osu_ibcast"),
    env!("CARGO_BIN_EXE_osu_iallreduce"),
    env!("CARGO_BIN_EXE_osu_init"),
    env!("CARGO_BIN_EXE_osu_hello"),
];

/// By soname, beside the program, and LD_LIBRARY_PATH comes first (it would come after an RPATH).
#[test]
fn programs_need_the_standard_soname_and_have_a_runpath() {
    for program in PROGRAMS {
        let readelf = Command::new("readelf")
            .args(["-d", program])
            .output()
            .expect("readelf belongs to the C compiler's tools");
        let dynamic = String::from_utf8_lossy(&readelf.stdout);
        let of = |kind: &str| -> Vec<String> {
            let lines = dynamic.lines().filter(|line| line.contains(kind));
            lines
                .filter_map(|line| line.split_once('[')?.1.split_once(']'))
                .map(|(value, _)| value.to_owned())
                .collect()
        };
        assert!(
            of("(NEEDED)").contains(&"libmpi_abi.so.1".to_owned()),
            "{program}: {dynamic}"
        );
        assert_eq!(of("(RUNPATH)"), ["$ORIGIN/../lib"], "{program}");
        assert!(of("(RPATH)").is_empty(), "{program}");
    }
}

/// The stand-in that the programs were linked against must not be what a program starts on.
#[test]
fn without_a_library_a_program_names_it() {
    let run = Command::new(PROGRAMS[0])
        .env("LD_LIBRARY_PATH", "/nonexistent")
        .output()
        .expect("the program was built");
    assert!(!run.status.success());
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(errors.contains("libmpi_abi.so.1"), "{errors}");
}
