//! Point-to-point communication: every mode, call and length, under every protocol, on one rank and
//! on more ranks than cores.

use std::sync::atomic::{AtomicBool, Ordering};

use ferrite_tests::{Job, c, everywhere, passes, pick};

#[test]
fn modes() {
    everywhere("pt2pt_modes");
}

#[test]
fn order() {
    everywhere("pt2pt_order");
}

#[test]
fn probes() {
    everywhere("pt2pt_probe");
}

#[test]
fn completion() {
    everywhere("pt2pt_completion");
}

#[test]
fn order_of_completion() {
    everywhere("completion_order");
}

/// A loop that polls gives way: under every protocol, alone, with a core for each rank and with
/// more ranks than cores.
#[test]
fn polling_in_every_way() {
    everywhere("hops");
    for ranks in [1, 2, 4] {
        passes(Job::new(c("hops")).ranks(ranks).args(["-threads"]));
    }
}

/// The same beside strangers who never give way, so that ranks learn to sleep in place of yielding.
#[test]
fn polling_beside_busy_loops() {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                // Relaxed: nothing else is told by it.
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let ran = std::panic::catch_unwind(|| {
            for transport in ["shm", "tcp"] {
                for ranks in [2, 4] {
                    let job = Job::new(c("hops")).ranks(ranks);
                    passes(job.env("FERRITE_TRANSPORT", transport));
                }
                let job = Job::new(c("hops")).ranks(2).args(["-threads"]);
                passes(job.env("FERRITE_TRANSPORT", transport));
            }
        });
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = ran {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn persistent_requests() {
    everywhere("pt2pt_persistent");
}

#[test]
fn exchanges() {
    everywhere("pt2pt_exchange");
}

#[test]
fn cancelling() {
    everywhere("pt2pt_cancel");
}

#[test]
fn nobody_and_oneself() {
    everywhere("pt2pt_null");
}

#[test]
fn truncation() {
    everywhere("pt2pt_truncate");
}

#[test]
fn datatypes_and_large_counts() {
    everywhere("pt2pt_types");
}

#[test]
fn threads() {
    everywhere("threads");
}

#[test]
fn thread_levels() {
    for level in ["0", "1", "2", "3"] {
        passes(Job::new(c("thread_level")).ranks(2).args([level]));
    }
}

/// Buffered sends take the room that there is, in one step, and get back what was received.
#[test]
fn buffered_sends() {
    let every = [
        &[][..],
        &[("FERRITE_CMA", "never")],
        &[("FERRITE_TRANSPORT", "tcp")],
    ];
    for settings in pick(&every[..1], &every) {
        passes(Job::new(c("bsend")).ranks(2).envs(settings));
    }
}
