//! Remote memory access: a chapter for each thing that a link may promise, and a mixture of all. A
//! link is asked for what its capabilities promise, and nothing else.

mod atomics;
mod budgets;
mod cells;
mod mixture;
mod order;
mod registration;
mod transfers;

use super::{Coverage, Endpoint};
pub(super) use cells::Cells;

/// Runs all chapters.
pub(super) fn run(seed: u64, make: &dyn Fn(u32) -> Vec<Endpoint>) -> Coverage {
    let mut coverage = Coverage::default();
    coverage += registration::only_what_is_registered_is_reached(seed, make(3));
    coverage += registration::registrations_have_limits(make(2));
    coverage += transfers::registered_memory_is_read_and_written(seed, make(2));
    coverage += transfers::what_fails_late_is_told_by_the_flush(seed, make(2));
    coverage += atomics::integers_change_as_they_should(seed, make(2));
    coverage += atomics::nobody_comes_between(seed, make(3));
    coverage += order::what_is_promised_holds(seed, make(2));
    coverage += budgets::full_means_nothing_was_begun(seed, make(2));
    for round in 0..3 {
        coverage += mixture::all_at_once(seed.wrapping_add(round), make(3));
    }
    coverage
}
