//! All of it over many simulated networks. `FERRITE_TEST_SEEDS` says how many, `FERRITE_TEST_SEED` replays one.

use ferrite_fabric::sim::Seeds;

use super::{Over, TESTS, Test};

fn all(seed: u64, over: fn(u64, &'static str) -> Over, also: &'static str, but: &[&str]) -> u64 {
    let mut hash = 0;
    let tests = TESTS.iter().filter(|(name, _)| !but.contains(name));
    for (name, test) in tests {
        let test: &Test = test;
        let over = over(seed, also);
        // The name stands in the captured output, should this be the last one.
        println!("seed {seed:#x}: {name}");
        test(&over);
        hash ^= over.trace();
    }
    hash
}

#[test]
fn every_rank_alone() {
    for seed in Seeds::new("every_rank_alone", 25) {
        all(seed, Over::sim, "every_rank_alone", &[]);
    }
}

#[test]
fn some_ranks_share_a_node() {
    for seed in Seeds::new("some_ranks_share_a_node", 10) {
        all(seed, Over::sim_mixed, "some_ranks_share_a_node", &[]);
    }
}

#[test]
fn a_link_dies() {
    for seed in Seeds::new("a_link_dies", 25) {
        all(seed, Over::sim_mortal, "a_link_dies", &[]);
    }
}

#[test]
fn a_seed_is_a_run() {
    for seed in Seeds::new("a_seed_is_a_run", 3) {
        for over in [Over::sim, Over::sim_mortal] {
            let one = all(seed, over, "a_seed_is_a_run", &[]);
            let other = all(seed, over, "a_seed_is_a_run", &[]);
            assert_eq!(one, other, "seed {seed:#x} is not one run");
        }
    }
}
