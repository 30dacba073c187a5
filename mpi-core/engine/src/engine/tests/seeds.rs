//! All of it over many simulated networks. `FERRITE_TEST_SEEDS` says how many, `FERRITE_TEST_SEED`
//! replays one.

use ferrite_fabric_testing::sim::Seeds;

use super::{Over, TESTS, Test};

/// A hash of what has happened, and how many ranks have lost a peer.
fn all(
    seed: u64,
    over: fn(u64, &'static str) -> Over,
    group: &'static str,
    but: &[&str],
) -> (u64, u64) {
    let (mut hash, mut losses) = (0, 0);
    let tests = TESTS.iter().filter(|(name, _)| !but.contains(name));
    for (name, test) in tests {
        let test: &Test = test;
        let over = over(seed, group).part(name);
        test(&over);
        hash ^= over.trace();
        losses += over.losses();
    }
    (hash, losses)
}

/// Waits for its peer by other means than MPI, so it does not hear that it is lost.
const WAITS_OTHERWISE: &[&str] = &["what_was_sent_needs_its_sender_no_more"];

#[test]
fn every_rank_alone() {
    for seed in Seeds::new("every_rank_alone", 50) {
        all(seed, Over::sim, "every_rank_alone", &[]);
    }
}

#[test]
fn some_ranks_share_a_node() {
    for seed in Seeds::new("some_ranks_share_a_node", 25) {
        all(seed, Over::sim_mixed, "some_ranks_share_a_node", &[]);
    }
}

#[test]
fn two_networks_at_once() {
    for seed in Seeds::new("two_networks_at_once", 25) {
        all(seed, Over::two, "two_networks_at_once", &[]);
    }
}

#[test]
fn a_link_dies() {
    let (mut runs, mut losses) = (0, 0);
    for seed in Seeds::new("a_link_dies", 50) {
        runs += 1;
        losses += all(seed, Over::sim_mortal, "a_link_dies", WAITS_OTHERWISE).1;
    }
    println!("{losses} ranks have lost a peer");
    assert!(losses > runs, "links do die");
}

#[test]
fn a_seed_is_a_run() {
    for seed in Seeds::new("a_seed_is_a_run", 3) {
        for over in [Over::sim, Over::sim_mixed, Over::sim_mortal] {
            let one = all(seed, over, "a_seed_is_a_run", WAITS_OTHERWISE);
            let other = all(seed, over, "a_seed_is_a_run", WAITS_OTHERWISE);
            assert_eq!(one, other, "seed {seed:#x} is not one run");
        }
    }
}
