//! The engine, several ranks in one process: each rank is a thread with an engine of its own.
//!
//! What is tested stands in [`point_to_point`], [`gaps`] and [`random`]; where it runs, in
//! [`over`]: shared memory, TCP, the simulator, a network of the completion kind, and two networks
//! at once. [`seeds`] runs all of it over many simulated networks.

mod collective;
mod gaps;
mod lanes;
mod over;
mod point_to_point;
mod random;
mod rank;
mod returnable;
mod seeds;
mod threads;
mod unequal;

use ferrite_fabric_testing::sim::Seeds;
use over::Over;

/// A test that can run over anything.
type Test = fn(&Over);

/// Makes a test of each over everything there is.
macro_rules! over_everything {
    ($($module:ident: $test:ident),* $(,)?) => {
        /// By name.
        const TESTS: &[(&str, Test)] = &[$((stringify!($test), $module::$test)),*];

        mod shm {
            $(#[test]
            fn $test() {
                super::$module::$test(&super::Over::shm());
            })*
        }

        mod tcp {
            $(#[test]
            fn $test() {
                super::$module::$test(&super::Over::tcp());
            })*
        }

        mod completion {
            $(#[test]
            fn $test() {
                for seed in super::Seeds::new(stringify!($test), 3) {
                    super::$module::$test(&super::Over::completion(seed, stringify!($test)));
                }
            })*
        }

        mod two {
            $(#[test]
            fn $test() {
                for seed in super::Seeds::new(stringify!($test), 3) {
                    super::$module::$test(&super::Over::two(seed, stringify!($test)));
                }
            })*
        }

        mod sim {
            $(#[test]
            fn $test() {
                for seed in super::Seeds::new(stringify!($test), 3) {
                    super::$module::$test(&super::Over::sim(seed, stringify!($test)));
                }
            })*
        }
    };
}

over_everything! {
    random: random_programs_receive_what_was_sent,
    point_to_point: every_size_arrives_in_every_mode_and_protocol,
    point_to_point: many_at_once_keep_their_order,
    point_to_point: many_long_messages_cross,
    point_to_point: an_unwilling_receiver_keeps_little,
    point_to_point: truncation_is_an_error_with_the_first_bytes,
    point_to_point: probes_and_matched_messages,
    point_to_point: operations_are_cancelled_or_completed,
    point_to_point: completion_in_every_form,
    point_to_point: persistent_operations_run_again_and_again,
    point_to_point: exchanges_are_done_when_both_parts_are,
    point_to_point: messages_to_oneself,
    gaps: gaps_on_either_side_or_on_both,
    gaps: gaps_in_messages_to_oneself_and_in_replaced_ones,
    point_to_point: splitting_and_freeing,
    point_to_point: freed_communicators,
    point_to_point: what_was_sent_needs_its_sender_no_more,
    returnable: what_is_given_back_comes_again,
}

#[test]
fn everybody_works_together() {
    collective::everybody_works_together(&Over::shm());
    collective::everybody_works_together(&Over::tcp());
    for seed in Seeds::new("everybody works together", 5) {
        for over in [Over::completion, Over::two, Over::sim, Over::sim_mixed] {
            collective::everybody_works_together(&over(seed, "everybody_works_together"));
        }
    }
}

#[test]
fn blocks_of_any_length_arrive() {
    unequal::blocks_of_any_length_arrive(&Over::shm());
    unequal::blocks_of_any_length_arrive(&Over::tcp());
}

#[test]
fn lengths_that_do_not_agree_are_told() {
    unequal::lengths_that_do_not_agree_are_told(&Over::shm());
}

#[test]
fn threads_of_one_rank_do_not_disturb_each_other() {
    point_to_point::threads_of_one_rank_do_not_disturb_each_other(&Over::shm());
    point_to_point::threads_of_one_rank_do_not_disturb_each_other(&Over::tcp());
}

#[test]
fn threads_do_not_disturb_each_other_over_a_network() {
    for seed in Seeds::new("threads over a network", 2) {
        let over = Over::sim_at_large(seed, "threads_do_not_disturb_each_other_over_a_network");
        point_to_point::threads_of_one_rank_do_not_disturb_each_other(&over);
        let over = Over::completion(seed, "threads_do_not_disturb_each_other_over_a_network");
        point_to_point::threads_of_one_rank_do_not_disturb_each_other(&over);
    }
}

#[test]
fn without_a_common_network_the_job_ends() {
    over::without_a_common_network();
}
