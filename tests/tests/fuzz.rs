//! The fuzz targets without a fuzzer: their seeds, and mutations of them. `tests/fuzz/run` looks
//! much deeper.

#[path = "../fuzz/targets.rs"]
#[allow(missing_docs, unreachable_pub)]
mod targets;

use ferrite_fabric_testing::conformance::Random;
use ferrite_tests::{full, seed};
use targets::TARGETS;

/// Bytes that decide something in one of the formats.
const SPECIAL: &[&[u8]] = &[
    b"\n",
    b" ",
    b"=",
    b",",
    b":",
    b"[",
    b"]",
    b"-",
    b"#",
    b"%",
    b"%0",
    b"slots=",
    b"cmd=",
    &[0],
    &[0xff],
    &[0xff; 4],
    &[0; 4],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0, 0, 0, 0x80],
    &[
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
    ],
    "\u{fc}".as_bytes(),
];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.bits() as u8,
        2 => bytes.truncate(at),
        3 => {
            let end = (at + random.below(20)).min(bytes.len());
            bytes.drain(at..end);
        }
        4 => {
            let word = SPECIAL[random.below(SPECIAL.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        5 => {
            let word = SPECIAL[random.below(SPECIAL.len())];
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        _ => {
            let end = (at + random.below(200)).min(bytes.len());
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

#[test]
fn every_target_survives_its_seeds_and_mutations_of_them() {
    let seed = seed();
    eprintln!("FERRITE_TEST_SEED={seed}");
    let turns = if full() { 100_000 } else { 5_000 };
    for target in TARGETS {
        let seeds = (target.seeds)();
        for bytes in &seeds {
            (target.run)(bytes);
        }
        let mut random = Random(seed);
        for turn in 0..turns {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(6) {
                mutate(&mut bytes, &mut random);
            }
            let run = std::panic::AssertUnwindSafe(|| (target.run)(&bytes));
            if std::panic::catch_unwind(run).is_err() {
                panic!("{}, turn {turn} of seed {seed}: {bytes:?}", target.name);
            }
        }
    }
}

/// Every target has a file for the fuzzer, and every file a target.
#[test]
fn the_fuzzer_knows_every_target() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder of the targets")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort_unstable();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(files, names);
}

/// A seed that is nonsense from the beginning leads nowhere.
#[test]
fn lines_of_the_channel_s_seeds_are_understood() {
    use ferrite_client::wire::{Reply, Request, parse_ranks};
    let channel = TARGETS.iter().find(|target| target.name == "channel");
    for seed in (channel.expect("a target").seeds)() {
        for line in String::from_utf8(seed).expect("text").lines() {
            let understood = Request::parse(line).is_some()
                || Reply::parse(line).is_some()
                || parse_ranks(line).is_some();
            assert!(understood, "{line}");
        }
    }
}
