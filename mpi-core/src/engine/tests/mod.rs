//! The engine, several ranks in one process: each rank is a thread with an engine of its own.
//!
//! What is tested stands in [`point_to_point`]; where it runs, in [`over`]: shared memory, TCP, the simulator, a network of the
//! completion kind. [`seeds`] runs all of it over many simulated networks.

mod over;
mod point_to_point;
mod seeds;

use ferrite_fabric::sim::Seeds;
use over::Over;

/// A test that can run over anything.
type Test = fn(&Over);

/// Makes a test of each over everything there is.
macro_rules! over_everything {
    ($($test:ident),* $(,)?) => {
        /// By name.
        const TESTS: &[(&str, Test)] = &[$((stringify!($test), point_to_point::$test)),*];

        mod shm {
            $(#[test]
            fn $test() {
                super::point_to_point::$test(&super::Over::shm());
            })*
        }

        mod tcp {
            $(#[test]
            fn $test() {
                super::point_to_point::$test(&super::Over::tcp());
            })*
        }

        mod completion {
            $(#[test]
            fn $test() {
                for seed in super::Seeds::new(stringify!($test), 3) {
                    super::point_to_point::$test(&super::Over::completion(seed, stringify!($test)));
                }
            })*
        }

        mod sim {
            $(#[test]
            fn $test() {
                for seed in super::Seeds::new(stringify!($test), 3) {
                    super::point_to_point::$test(&super::Over::sim(seed, stringify!($test)));
                }
            })*
        }
    };
}

over_everything! {
    every_size_arrives_in_every_mode_and_protocol,
    many_at_once_keep_their_order,
    many_long_messages_cross,
    an_unwilling_receiver_keeps_little,
    truncation_is_an_error_with_the_first_bytes,
    probes_and_matched_messages,
    operations_are_cancelled_or_completed,
    completion_in_every_form,
    persistent_operations_run_again_and_again,
    exchanges_are_done_when_both_parts_are,
    messages_to_oneself,
    types_with_gaps_travel_packed,
    splitting_and_freeing,
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
